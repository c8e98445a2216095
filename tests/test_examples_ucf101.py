"""examples/ucf101.md: every command of it runs as it stands, on small data in the same layout.

The blocks are read out of the document and given to bash. ``unrar`` and ``unzip`` unpack small
archives with the same insides; ``c3dhub`` runs in this process, with fewer epochs and smaller
batches; the released networks are ResNet-10 with 8 channels.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_release import checkpoint_bytes, write_manifest
from ucf101_sets import UCF101_CLASSES, pack_hmdb51, pack_ucf101

from c3dhub.cli import build_parser, main
from c3dhub.registry.manifest import list_models

DOCUMENT = Path(__file__).resolve().parent.parent / "examples" / "ucf101.md"
RELEASED = {
    "resnet-18-kinetics.pth": ("resnet18_kinetics", 16),
    "resnext-101-64f-kinetics.pth": ("resnext101_64f_kinetics", 64),
    "resnext-101-64f-kinetics-ucf101_split1.pth": ("resnext101_64f_kinetics_ucf101", 64),
    "resnext-101-64f-kinetics-hmdb51_split1.pth": ("resnext101_64f_kinetics_hmdb51", 64),
}
SMALL = {"--epochs": "1", "--batch-size": "5"}

UNPACK = '#!/bin/sh\ntar -xf "$2" -C "$3"\n'
UNZIP = '#!/bin/sh\n[ "$2" = -d ] && tar -xf "$1" -C "$3"\n'
# Hands its arguments to the test and gives back what came of them.
C3DHUB = """#!{python}
import json, socket, sys
with socket.socket(socket.AF_UNIX) as line:
    line.connect({address!r})
    line.sendall(json.dumps(sys.argv[1:]).encode())
    line.shutdown(socket.SHUT_WR)
    answer = json.loads(b"".join(iter(lambda: line.recv(65536), b"")))
sys.stdout.write(answer["out"])
sys.stderr.write(answer["err"])
sys.exit(answer["code"])
"""


def blocks(language: str = "bash") -> list[str]:
    text = DOCUMENT.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


class Shell:
    """Runs blocks with bash in one folder, and the c3dhub commands of them in this process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.commands: list[list[str]] = []
        tools = folder / "bin"
        tools.mkdir()
        # The address of a socket must be short, so it is relative to the folder.
        client = C3DHUB.format(python=sys.executable, address="line")
        for name, text in (("unrar", UNPACK), ("unzip", UNZIP), ("c3dhub", client)):
            (tools / name).write_text(text, encoding="utf-8")
            (tools / name).chmod(stat.S_IRWXU)
        (tools / "python").symlink_to(sys.executable)
        self.path = f"{tools}{os.pathsep}{os.environ['PATH']}"

    def run(self, block: str) -> str:
        """Run a block in the folder, which is the current one, and return its standard output."""
        with socket.socket(socket.AF_UNIX) as line:
            line.bind("line")
            line.listen()
            line.settimeout(0.05)
            script = subprocess.Popen(
                ["bash", "-euo", "pipefail", "-c", block],
                cwd=self.folder, env={**os.environ, "PATH": self.path},
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )  # fmt: skip
            while script.poll() is None:
                with contextlib.suppress(TimeoutError):
                    self._serve(line.accept()[0])
        Path("line").unlink()
        assert script.stdout is not None
        with script.stdout as stream:
            shown = stream.read()
        assert script.returncode == 0, shown
        return shown

    def _serve(self, caller: socket.socket) -> None:
        with caller:
            caller.settimeout(None)
            arguments = json.loads(b"".join(iter(lambda: caller.recv(65536), b"")))
            self.commands.append(arguments)
            caller.sendall(json.dumps(called(arguments)).encode())


def called(arguments: list[str]) -> dict[str, object]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(small(arguments))
    return {"code": code, "out": out.getvalue(), "err": err.getvalue()}


def small(arguments: list[str]) -> list[str]:
    """Return a command with fewer epochs and smaller batches, that decodes in this process."""
    if arguments[0] != "finetune":
        return arguments
    pairs = zip(["", *arguments], arguments, strict=False)
    return [*(SMALL.get(before, value) for before, value in pairs), "--workers", "0"]


def _shrink_frames(manifest: Path) -> None:
    """Let the networks see 32 pixels on each side, which takes a tenth of the time."""
    content = json.loads(manifest.read_text(encoding="utf-8"))
    content["releases"]["tiny"]["input"] |= {"resize_size": [32], "crop_size": 32}
    manifest.write_text(json.dumps(content), encoding="utf-8")


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Return a shell in a folder with the files that the document asks for."""
    packing = tmp_path / "packing"
    packing.mkdir()
    pack_ucf101(packing)
    pack_hmdb51(packing)
    folder = tmp_path / "w"
    folder.mkdir()
    for archive in ("UCF101.rar", "UCF101TrainTestSplits-RecognitionTask.zip", "hmdb51_org.rar"):
        shutil.copy(packing / archive, folder)
    shutil.copy(packing / "test_train_splits.rar", folder)
    for seed, name in enumerate(RELEASED):
        (folder / name).write_bytes(checkpoint_bytes(seed=seed))
    models = {
        name: {"clip_len": clip_len, "filename": file}
        for file, (name, clip_len) in RELEASED.items()
    }
    manifest = write_manifest(tmp_path / "manifest.json", models)
    _shrink_frames(manifest)
    monkeypatch.setenv("C3DHUB_MANIFEST", str(manifest))
    monkeypatch.setenv("C3DHUB_OFFLINE", "1")
    monkeypatch.chdir(folder)
    # What `c3dhub download` would have fetched.
    assert called(["convert", "resnet-18-kinetics.pth", "--name", "resnet18_kinetics"])["code"] == 0
    return Shell(folder)


needs_bash = pytest.mark.skipif(
    shutil.which("bash") is None or not hasattr(socket, "AF_UNIX"), reason="needs bash"
)


@needs_bash
@pytest.mark.slow
def test_every_command_of_the_document_runs(shell: Shell) -> None:
    shown = [shell.run(block) for block in blocks()]
    assert {command[0] for command in shell.commands} == {
        "download", "convert", "evaluate", "finetune",
    }  # fmt: skip
    runs = {
        f"{data}-{model}-{split}"
        for data in ("ucf101", "hmdb51")
        for model in ("resnet18-scratch", "resnet18", "resnext101_64f")
        for split in (1, 2, 3)
    }
    assert {path.stem for path in Path("runs").glob("*.json")} == runs
    means = shown[-1].split()
    assert means[::4] == sorted({run[:-2] for run in runs})
    assert set(means[2::4]) == {"15"}  # five test videos in each of three splits
    found = json.loads(Path("runs/ucf101-resnext101_64f-2.json").read_text(encoding="utf-8"))
    assert found["provenance"]["clip_rule"]["clip_len"] == 64
    assert "5 videos of data/ucf101 (UCF-101, split 2) (test). Clips of 64" in found["protocol"]
    assert "Classes are matched by name" in found["protocol"]
    assert [each["name"] for each in found["per_class"]] == list(UCF101_CLASSES)
    table = Path("runs/ucf101-released.csv").read_text(encoding="utf-8")
    assert "data/ucf101/UCF-101/Archery/v_Archery_g01_c01.avi" in table


@needs_bash
def test_the_layout_in_the_document_is_the_one_that_its_commands_make(shell: Shell) -> None:
    shell.run(blocks()[0])
    [layout] = blocks("text")
    for line in layout.splitlines():
        assert Path(line.split()[0].rstrip(",")).is_file()
    assert not list(Path("data").rglob("*.rar"))


def test_the_options_in_the_document_exist_and_released_names_are_in_the_manifest() -> None:
    parser, text = build_parser(), " ".join(blocks()).replace("\\\n", " ")
    lines = re.findall(r"^ *(c3dhub .*?)(?: >.*)?$", text, flags=re.MULTILINE)
    assert len(lines) == 12
    for line in lines:
        parsed = vars(parser.parse_args(line.replace("$split", "1").split()[1:]))
        given = parsed.get("names") or [parsed.get("model") or parsed["name"]]
        assert {name for name in given if not name.startswith("$")} <= set(list_models())
