from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
import torch
from loopback import FileServer, HubServer
from safetensors.torch import save
from tiny_release import at, checkpoint_bytes, tiny_config, write_manifest

from c3dhub.base.errors import C3DHubError, UnknownModelError
from c3dhub.cli import build_parser
from c3dhub.weights import resolve_hub
from c3dhub.weights.cache import Cache

CHECKPOINT = checkpoint_bytes()
Run = Callable[..., int]


@pytest.fixture(autouse=True)
def served(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """Give three models: two that are served, and one that only a person can fetch."""
    monkeypatch.setenv("no_proxy", "*")
    server = FileServer(files={"/tiny.pth": CHECKPOINT})
    with server:
        folder = {"kind": "gdrive_folder", "location": "a-folder"}
        models: dict[str, dict[str, Any]] = {
            "tiny": {"sources": [at(server)]},
            "tiny2": {"sources": [at(server)]},
            "other": {"sources": [folder], "status": "manual"},
        }
        path = write_manifest(tmp_path / "manifest.json", models)
        monkeypatch.setenv("C3DHUB_MANIFEST", str(path))
        yield server


@pytest.fixture
def released(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.pth"
    path.write_bytes(CHECKPOINT)
    return path


def run(*arguments: object) -> int:
    """Run a command as main() does, but let its errors through."""
    parsed = build_parser().parse_args([str(argument) for argument in arguments])
    code: int = parsed.run(parsed)
    return code


def test_download_says_where_each_model_lies(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("download", "tiny*") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"{name}  {Cache(home).weights(name)}" for name in ("tiny", "tiny2")]


def test_download_goes_on_after_a_failure_and_lists_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("download", "other", "tiny", "tiny", "--json") == 1
    captured = capsys.readouterr()
    rows = json.loads(captured.out)
    assert [row["name"] for row in rows] == ["other", "tiny"]
    assert "c3dhub convert /path/to/other.pth --name other" in rows[0]["error"]
    assert set(rows[1]) == {"name", "path", "sha256", "origin"}
    assert captured.err.endswith("c3dhub: 1 of 2 failed: other\n")


@pytest.mark.parametrize("name", ["tinny", "tinny*"])
def test_download_of_an_unknown_name_fetches_nothing(name: str, served: FileServer) -> None:
    with pytest.raises(UnknownModelError, match="Did you mean tiny"):
        run("download", "tiny", name)
    assert served.requests == []


def test_convert_puts_the_model_into_the_cache(
    released: Path, home: Path, capsys: pytest.CaptureFixture[str], served: FileServer
) -> None:
    assert run("convert", released) == 0
    out = capsys.readouterr().out
    assert f"{released}: tiny (Tiny ResNet-10, nothing)" in out
    assert f"sha256 {hashlib.sha256(CHECKPOINT).hexdigest()}" in out
    assert str(Cache(home).weights("tiny")) in out
    assert "note     prefix 'module.' removed from every key" in out
    assert run("download", "tiny") == 0
    assert served.requests == []


def test_convert_with_a_name_and_json(
    released: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("convert", released, "--name", "tiny2", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["name"] == "tiny2"
    assert facts["prefix"] == "module."
    assert facts["notes"]
    assert Cache(home).has("tiny2")


def test_convert_into_a_folder_leaves_the_cache_alone(
    released: Path, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("convert", released, "-o", tmp_path / "out") == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "model.safetensors",
        "config.json",
    }
    assert not home.exists()
    capsys.readouterr()
    assert run("verify", tmp_path / "out") == 0


def test_convert_of_another_file_says_that_the_pin_is_replaced(
    released: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("convert", released)
    run("convert", released)
    assert capsys.readouterr().err == ""
    released.write_bytes(checkpoint_bytes(seed=1))
    assert run("convert", released) == 0
    assert "c3dhub: note: tiny was pinned to another file before" in capsys.readouterr().err


def test_convert_over_copied_weights_says_so(
    released: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("convert", released)
    cache = Cache(home)
    cache.unpin("tiny", forget=True)
    run("verify", "tiny")
    released.write_bytes(checkpoint_bytes(seed=1))
    assert run("convert", released) == 0
    assert "other weights were pinned for tiny before" in capsys.readouterr().err


def test_convert_of_something_else_leaves_nothing(home: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny.pth").write_text("not a checkpoint")
    with pytest.raises(C3DHubError, match="text file"):
        run("convert", tmp_path / "tiny.pth")
    assert not home.exists()


def test_verify_of_an_empty_cache_is_fine(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("verify") == 0
    assert "the cache is empty" in capsys.readouterr().err
    assert run("verify", "--json") == 0
    assert json.loads(capsys.readouterr().out) == []


def test_verify_reports_each_item_and_fails_when_one_does(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("download", "tiny", "tiny2")
    Cache(home).weights("tiny2").write_bytes(b"changed")
    capsys.readouterr()
    assert run("verify") == 1
    captured = capsys.readouterr()
    assert [line.split(":")[0] for line in captured.out.splitlines()] == [
        "ok      tiny",
        "FAILED  tiny2",
    ]
    assert captured.err == "c3dhub: 1 of 2 failed: tiny2\n"
    assert run("verify", "--json") == 1
    assert [row["ok"] for row in json.loads(capsys.readouterr().out)] == [True, False]


def test_cache_lists_models_partial_downloads_and_the_total(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("download", "tiny")
    partial = Cache(home).downloads("other")
    partial.mkdir(parents=True)
    (partial / "x.part").write_bytes(b"12345")
    capsys.readouterr()
    assert run("cache") == 0
    other, tiny, total = capsys.readouterr().out.splitlines()
    assert other.split()[:4] == ["other", "5", "B", "partial"]
    assert tiny.split()[0] == "tiny"
    assert tiny.endswith("/tiny.pth")
    assert total.endswith(f" in {home}")
    for arguments in (["--json"], ["list", "--json"], ["--json", "list"]):
        assert run("cache", *arguments) == 0
        listing = json.loads(capsys.readouterr().out)
        assert [item["name"] for item in listing["items"]] == ["other", "tiny"]
        assert listing["bytes"] == sum(p.stat().st_size for p in home.glob("models/*/*")) + 5


def test_cache_size_and_dir(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, text, data in (
        ("size", "0 B\n", {"bytes": 0}),
        ("dir", f"{home}\n", {"dir": str(home)}),
        ("list", f"{home}: empty\n", {"dir": str(home), "bytes": 0, "items": []}),
    ):
        assert run("cache", arguments) == 0
        assert capsys.readouterr().out == text
        assert run("cache", arguments, "--json") == 0
        assert json.loads(capsys.readouterr().out) == data


def test_cache_remove_keeps_the_source_pin_unless_it_is_to_forget(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("download", "tiny")
    capsys.readouterr()
    assert run("cache", "remove", "tiny") == 0
    assert capsys.readouterr().out.startswith("removed tiny (")
    assert Cache(home).pinned("tiny").source is not None
    assert run("cache", "remove", "tiny", "--forget", "--json") == 0
    assert json.loads(capsys.readouterr().out) == [{"name": "tiny", "bytes": 0}]
    assert Cache(home).pins() == {}


def test_cache_remove_of_what_is_not_there_fails(capsys: pytest.CaptureFixture[str]) -> None:
    run("download", "tiny")
    assert run("cache", "remove", "tinny", "../../etc", "tiny") == 1
    captured = capsys.readouterr()
    assert "tinny: not in the cache. Did you mean tiny?" in captured.err
    assert "2 of 3 failed: tinny, ../../etc" in captured.err
    assert "removed tiny" in captured.out


def test_cache_remove_all(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("download", "tiny", "tiny2")
    assert run("cache", "remove", "--all", "--forget") == 0
    assert Cache(home).stored() == []
    assert Cache(home).pins() == {}
    for arguments in ([], ["--all", "tiny"]):
        with pytest.raises(ValueError, match="give the names to remove, or --all"):
            run("cache", "remove", *arguments)


def test_files_from_the_hub_are_listed_verified_and_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    content = save({"x": torch.zeros(1)})
    config = json.dumps(tiny_config().to_dict()).encode()
    hub = HubServer()
    with hub:
        commit = hub.add("lab/tiny", {"model.safetensors": content, "config.json": config})
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        key = resolve_hub("hf://lab/tiny").origin
    assert key == f"hf://lab/tiny@{commit}/model.safetensors"
    assert run("cache") == 0
    assert f"{key}  {len(content):>7} B  huggingface_hub's cache\n0 B in" in capsys.readouterr().out
    assert run("verify") == 0
    assert capsys.readouterr().out.startswith(f"ok      {key}: sha256 ")
    assert run("cache", "remove", key) == 0
    assert capsys.readouterr().out == f"removed {key} ({len(content)} B)\n"
    assert run("verify") == 0


def test_parsers_and_the_cache_commands_do_not_import_torch() -> None:
    code = (
        "import argparse, sys; from c3dhub.cli.cache import add_parsers\n"
        "parser = argparse.ArgumentParser(); add_parsers(parser.add_subparsers())\n"
        "parsed = parser.parse_args(['cache']); parsed.run(parsed)\n"
        "assert not {'torch', 'numpy', 'huggingface_hub'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize(
    ("kind", "option"), [("openvino", "--prepared"), ("features", "--features")]
)
def test_what_is_made_again_when_needed_is_listed_and_removed(
    kind: str, option: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = home / kind / "key"
    folder.mkdir(parents=True)
    (folder / "model.bin").write_bytes(b"x" * 1500)
    assert run("cache", "list") == 0
    assert f"({kind})     1.5 kB  " in capsys.readouterr().out
    assert run("cache", "size", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"bytes": 1500}
    with pytest.raises(ValueError, match="but one of them"):
        run("cache", "remove", option, "name")
    assert run("cache", "remove", option) == 0
    assert f"removed ({kind}) (1.5 kB)" in capsys.readouterr().out
    assert not folder.exists()
    assert run("cache", "remove", option) == 0
    folder.mkdir(parents=True)
    capsys.readouterr()
    assert run("cache", "remove", "--all", "--json") == 0
    assert json.loads(capsys.readouterr().out) == [{"name": f"({kind})", "bytes": 0}]
    assert not folder.exists()
