"""Files written whole or not at all, and their hashes."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

_CHUNK = 1 << 20


def sha256_of(path: str | Path, *, algorithm: str = "sha256") -> str:
    """Return the lower-case hexadecimal digest of a file, read in pieces of 1 MiB.

    Parameters
    ----------
    path : str or Path
        The file to read.
    algorithm : str, default "sha256"
        Any name that `hashlib.new` knows ("sha1", ...).

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with Path(path).open("rb") as stream:
        while piece := stream.read(_CHUNK):
            digest.update(piece)
    return digest.hexdigest()


@contextlib.contextmanager
def atomic_path(target: str | Path) -> Iterator[Path]:
    """Give a temporary file beside ``target`` that becomes ``target`` when the block succeeds.

    The temporary file exists and is empty on entry, with the permissions that the umask gives. When
    the block ends it is flushed to the disk and moved over ``target`` in one step; after any error
    it is removed and ``target`` is as it was. The folder must exist. A link is followed: what it
    points to is replaced, not the link.

    Raises
    ------
    OSError
        If the folder cannot be written, the disk is full, or ``target`` is a folder, a device, a
        pipe or a socket.
    """
    refuse_special(target)
    target = Path(os.path.realpath(target))
    temporary = _create_beside(target)
    permissions = stat.S_IMODE(temporary.stat().st_mode)
    try:
        yield temporary
        # safetensors puts a file of its own there, which nobody else may read.
        temporary.chmod(permissions)
        _flush(temporary)
        temporary.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    _flush_folder(target.parent)


@contextlib.contextmanager
def atomic_folder(target: str | Path) -> Iterator[Path]:
    """Give an empty folder beside ``target`` that becomes ``target`` when the block succeeds.

    Its files must be on the disk when the block ends, as :func:`atomic_path` leaves them. After an
    error it is removed.

    Raises
    ------
    OSError
        If the folder around it cannot be written, the disk is full, or ``target`` is there and not
        an empty folder.
    """
    target = Path(os.path.realpath(target))
    temporary = target.with_name(f".{target.name[:100]}.{secrets.token_hex(8)}.part")
    temporary.mkdir()
    try:
        yield temporary
        _flush_folder(temporary)
        temporary.replace(target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    _flush_folder(target.parent)


def refuse_special(target: str | Path) -> None:
    """Raise OSError for a device, pipe or socket: moving a file over one would remove it."""
    try:
        mode = Path(target).stat().st_mode
    except OSError:
        return  # nothing is there yet; what else is wrong shows when it is written
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError(
            errno.EINVAL,
            "this is a device, a pipe or a socket, which cannot be replaced; name a regular file",
            str(target),
        )


def _create_beside(target: Path) -> Path:
    # A hidden name with the target's suffix: writers that look at the suffix see the right one.
    # The stem is cut so that a long target name stays under the 255 bytes of a file name.
    stem = target.stem.encode()[:100].decode(errors="ignore")
    temporary = target.with_name(f".{stem}.{secrets.token_hex(8)}.part{target.suffix[:32]}")
    # O_EXCL with mode 0666 keeps the umask, where tempfile.mkstemp would force 0600.
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    return temporary


def _flush(path: Path) -> None:
    # Windows flushes only handles opened for writing, so not a read-only one.
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())


def _flush_folder(folder: Path) -> None:
    # Best effort: the new name survives a power cut where folders can be opened (not on Windows).
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
