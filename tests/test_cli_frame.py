"""What the command line does with any command: usage, errors, warnings, closed pipes."""

from __future__ import annotations

import argparse
import errno
import json
import os
import runpy
import subprocess
import sys
import types
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

import c3dhub
from c3dhub import cli
from c3dhub.base.errors import ManifestError, UnknownModelError, UnknownStageError
from c3dhub.cli import main

ROOT = Path(c3dhub.__file__).parent.parent


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "c3dhub", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], int]], list[str]]:
    """Return a function that installs a command ``fail``, which calls what it is given."""

    def install(action: Callable[[], int]) -> list[str]:
        def add_parsers(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
            subparsers.add_parser("fail").set_defaults(run=lambda _: action())

        module = types.ModuleType("c3dhub.cli.fake")
        module.__dict__["add_parsers"] = add_parsers
        monkeypatch.setitem(sys.modules, "c3dhub.cli.fake", module)
        monkeypatch.setattr(cli, "COMMAND_MODULES", ("fake",))
        return ["fail"]

    return install


def raising(error: BaseException) -> Callable[[], int]:
    """Return a command that raises."""

    def action() -> int:
        raise error

    return action


# The frame ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["lst"], "there is no command 'lst'. Did you mean list?"),
        (["info"], "the following arguments are required: NAME"),
        (["list", "--jsn"], "unrecognized arguments: --jsn"),
        (["list", "--js"], "unrecognized arguments: --js"),
        (["--nonsense"], "COMMAND"),
    ],
)
def test_wrong_usage_exits_with_2_and_a_hint(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("c3dhub: error: ")
    assert message in captured.err
    assert "--help`" in captured.err


@pytest.mark.parametrize("arguments", [["--help"], ["list", "--help"], ["info", "-h"]])
def test_help_goes_to_stdout(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    assert capsys.readouterr().out.startswith("usage: c3dhub")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"c3dhub {c3dhub.__version__}\n"


def test_every_command_module_registers_commands_with_a_function() -> None:
    parser = cli.build_parser()
    (action,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    assert {"list", "info"} <= action.choices.keys()
    assert all(callable(command.get_default("run")) for command in action.choices.values())


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (ManifestError("m.json: bad"), 1, "m.json: bad"),
        (UnknownModelError("no model 'x'"), 2, "no model 'x'"),
        (UnknownStageError("no stage 'x'"), 2, "no stage 'x'"),
        (ValueError("fps is -1; it must be above 0"), 2, "fps is -1; it must be above 0"),
        (TypeError("stages is 5"), 2, "stages is 5"),
        (KeyboardInterrupt(), 1, "interrupted"),
        (OSError(errno.ENOSPC, "No space left on device", "a.out"), 1,
         "a.out: No space left on device; free some space, or write to another place"),
        (PermissionError(errno.EACCES, "Permission denied", b"a.out"), 1,
         "a.out: Permission denied; check the permissions, or choose another place"),
        (OSError(errno.EROFS, "Read-only file system", "a", None, "b"), 1,
         "a -> b: Read-only file system; choose another place"),
        (OSError("socket trouble"), 1, "socket trouble"),
        (TimeoutError(), 1, "TimeoutError"),
        (ModuleNotFoundError("No module named 'torch'", name="torch"), 1,
         "this needs the package torch, which is not installed: pip install torch"),
        (RuntimeError("out of memory"), 1, "RuntimeError: out of memory (C3DHUB_DEBUG=1 shows"),
    ],
)  # fmt: skip
def test_errors_become_one_message_and_an_exit_code(
    failing: Callable[[Callable[[], int]], list[str]],
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    message: str,
) -> None:
    assert main(failing(raising(error))) == code
    captured = capsys.readouterr()
    assert captured.err.startswith(f"c3dhub: error: {message}")
    assert "Traceback" not in captured.err
    assert captured.err.count("\n") == 1


def test_debug_variable_lets_the_error_through(
    failing: Callable[[Callable[[], int]], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("C3DHUB_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        main(failing(raising(ZeroDivisionError("x"))))


def test_warnings_become_one_line_each(
    failing: Callable[[Callable[[], int]], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    def action() -> int:
        warnings.warn("rotation 33 is ignored", stacklevel=1)
        return 0

    shown = warnings.showwarning
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert main(failing(action)) == 0
    assert capsys.readouterr().err == "c3dhub: warning: rotation 33 is ignored\n"
    assert warnings.showwarning is shown


def test_arguments_default_to_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["c3dhub", "list", "mc3*", "--json"])
    assert main() == 0
    assert len(json.loads(capsys.readouterr().out)) == 1


def test_a_closed_pipe_is_silent(
    failing: Callable[[Callable[[], int]], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(failing(raising(BrokenPipeError()))) == 1
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_python_dash_m_exits_with_the_commands_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["c3dhub", "info", "zzz"])
    with pytest.raises(SystemExit) as stopped:
        runpy.run_module("c3dhub", run_name="__main__")
    assert stopped.value.code == 2
    assert "no model is called 'zzz'" in capsys.readouterr().err


# In a process of its own --------------------------------------------------------------------------


def test_python_dash_m_runs_the_command_without_torch() -> None:
    code = (
        "import sys; from c3dhub.cli import main; main(['list']); main(['--help']);"
        "main(['info', 'resnet18_kinetics']);"
        "slow = {'torch', 'numpy', 'av', 'huggingface_hub', 'c3dhub.weights', 'http.client'};"
        "sys.exit(str(sorted(slow & sys.modules.keys())))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == "[]\n"
    done = run("list", "mc3*")
    assert done.returncode == 0
    assert done.stdout.startswith("name ")
    assert done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_stdout_is_an_error_without_a_traceback() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "c3dhub", "list"],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("c3dhub: error: No space left on device")
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX pipes")
def test_a_reader_that_goes_away_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "c3dhub", "info", "resnet50_kinetics"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert done.stderr == ""
    assert done.returncode == 1


def test_names_that_the_terminal_cannot_show_are_escaped() -> None:
    done = run("info", "vidéo", PYTHONIOENCODING="ascii", PYTHONUTF8="0", LC_ALL="C.UTF-8")
    assert done.returncode == 2
    assert r"vid\xe9o" in done.stderr
