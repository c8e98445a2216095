"""The command ``c3dhub``: parses arguments, runs one command, turns errors into messages.

The modules of ``COMMAND_MODULES`` are named by the commands in them. Each offers
``add_parsers(subparsers)``, which registers them with ``set_defaults(run=function)``; a function
takes the parsed arguments and returns the exit code. What commands share is in ``arguments``,
``outputs``, ``messages`` and ``loading``. Nothing here and no parser imports torch, or even the
downloads of ``c3dhub.weights``: ``c3dhub list`` and ``--help`` answer at once.
"""

from __future__ import annotations

import argparse
import errno
import importlib
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from typing import Any, NoReturn

from ..base.errors import C3DHubError, UnknownModelError, near_matches
from ..base.version import __version__

COMMAND_MODULES = (
    "demo",
    "list_info",
    "download_convert_verify",
    "cache",
    "extract_classify",
    "probe",
    "finetune",
    "evaluate",
    "bench",
)

DONE, FAILED, USAGE = 0, 1, 2

_EPILOG = """\
exit codes: 0 all done, 1 some work failed, 2 wrong usage

environment:
  C3DHUB_HOME       folder for weights
  C3DHUB_MANIFEST   another weights_manifest.json
  C3DHUB_OFFLINE=1  never touch the network, as HF_HUB_OFFLINE=1 does
  C3DHUB_DEBUG=1    show the traceback of an error
"""

_OS_REMEDIES = {
    errno.ENOSPC: "free some space, or write to another place",
    errno.EDQUOT: "free some space, or write to another place",
    errno.EROFS: "choose another place",
    errno.EACCES: "check the permissions, or choose another place",
    errno.EPERM: "check the permissions, or choose another place",
    errno.ENOENT: "check the path",
    errno.ENOTDIR: "check the path",
    errno.EISDIR: "give a file, not a folder",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; ``argv`` defaults to ``sys.argv[1:]``.

    Errors become one message on stderr. With ``C3DHUB_DEBUG=1`` they are raised instead.
    """
    _accept_any_text()
    try:
        with _warnings_as_lines():
            code = _run(sys.argv[1:] if argv is None else list(argv))
            # A full disk or a closed pipe shows here, while it can still be reported.
            sys.stdout.flush()
            return code
    except SystemExit as stop:  # argparse: --help, --version, wrong usage
        return stop.code if isinstance(stop.code, int) else DONE
    except BrokenPipeError:  # `c3dhub list | head -1`: the reader has what it wanted
        _drop_stdout()
        return FAILED
    except (Exception, KeyboardInterrupt) as error:  # users get no tracebacks
        if os.environ.get("C3DHUB_DEBUG") == "1":
            raise
        return _report(error)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser with every command."""
    return _parser_and_commands()[0]


def _parser_and_commands() -> tuple[_Parser, list[str]]:
    parser = _Parser(
        prog="c3dhub",
        description="Pretrained 3D ResNets: verified weights, and features of any video.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"c3dhub {__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in COMMAND_MODULES:
        importlib.import_module(f"{__name__}.{name}").add_parsers(subparsers)
    return parser, list(subparsers.choices)


def _run(arguments: list[str]) -> int:
    parser, commands = _parser_and_commands()
    if arguments and not arguments[0].startswith("-") and arguments[0] not in commands:
        hint = near_matches(arguments[0], commands)
        parser.error(f"there is no command {arguments[0]!r}.{hint}")
    parsed = parser.parse_args(arguments)
    code: int = parsed.run(parsed)
    return code


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints look like all other messages; option names are never guessed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"allow_abbrev": False, **kwargs})

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"c3dhub: error: {message}\nTry `{self.prog} --help`.\n")


def _report(error: BaseException) -> int:
    """Write one message for an error to stderr and return the exit code."""
    message, code = _describe(error)
    with suppress(OSError):
        print(f"c3dhub: error: {message}", file=sys.stderr)
    try:
        sys.stdout.flush()
    except OSError:
        _drop_stdout()
    return code


def _describe(error: BaseException) -> tuple[str, int]:
    if isinstance(error, UnknownModelError):
        return str(error), USAGE
    if isinstance(error, C3DHubError):
        return str(error), FAILED
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", FAILED
    if isinstance(error, ModuleNotFoundError):
        name = error.name or "?"
        return f"this needs the package {name}, which is not installed: pip install {name}", FAILED
    if isinstance(error, ImportError):  # of an extra; the message names it
        return str(error), FAILED
    if isinstance(error, OSError):
        return _describe_os_error(error), FAILED
    if isinstance(error, ValueError | TypeError):
        return str(error), USAGE
    return f"{type(error).__name__}: {error} (C3DHUB_DEBUG=1 shows where)", FAILED


def _describe_os_error(error: OSError) -> str:
    files = [os.fsdecode(name) for name in (error.filename, error.filename2) if name]
    reason = error.strerror or str(error) or type(error).__name__
    message = ": ".join([" -> ".join(files), reason] if files else [reason])
    remedy = _OS_REMEDIES.get(error.errno or 0)
    return f"{message}; {remedy}" if remedy else message


@contextmanager
def _warnings_as_lines() -> Iterator[None]:
    """Show warnings as one line each, without the place in the code that raised them."""

    def show(message: Warning | str, *_: object, **__: object) -> None:
        print(f"c3dhub: warning: {message}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def _accept_any_text() -> None:
    """Let a name that the terminal's encoding lacks be shown escaped instead of raising."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _drop_stdout() -> None:
    """Send what is still buffered nowhere; writing it again at exit would fail again."""
    with suppress(OSError, ValueError):  # a stream in memory has no file descriptor
        stdout = sys.stdout.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stdout)
        os.close(nowhere)
