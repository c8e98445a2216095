"""Where the bytes of a video come from: a path, memory, an open file or a URL.

Every source can be opened several times, so that one thread hashes it while another decodes.
"""

from __future__ import annotations

import functools
import hashlib
import io
import os
import shutil
import stat
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ..base.errors import VideoError

CHUNK = 1 << 20


@dataclass(frozen=True)
class ByteSource:
    """A video file, wherever it is.

    Parameters
    ----------
    name: the video as the caller named it, for messages and provenance.
    size_bytes: None where the source does not tell.
    open: gives a reader at the first byte, independent of all other readers.
    close: gives back what the source itself holds, such as a temporary file.
    """

    name: str
    size_bytes: int | None
    open: Callable[[], Any]
    close: Callable[[], None] = lambda: None

    def sha256(self) -> str | None:
        """Return the hash of all bytes; None where they can no longer be read."""
        digest = hashlib.sha256()
        try:
            with self.open() as reader:
                while piece := reader.read(CHUNK):
                    digest.update(piece)
        except (OSError, ValueError):  # removed, unreachable, or a file that was closed
            return None
        return digest.hexdigest()


def from_bytes(data: bytes | bytearray | memoryview) -> ByteSource:
    """Return a source for a whole video file in memory."""
    whole = bytes(data)
    if not whole:
        raise VideoError("<bytes>", "the data is empty; give the bytes of a whole video file")
    return ByteSource("<bytes>", len(whole), lambda: io.BytesIO(whole))


def is_folder(path: Path) -> bool:
    """Tell whether this is a folder; False for a path that cannot even be looked up."""
    with suppress(OSError, ValueError):
        return path.is_dir()
    return False


def from_path(path: Path, *, name: str) -> ByteSource:
    """Return a source for a local file. Raises VideoError where it cannot be read."""
    try:
        status = path.stat()
        if stat.S_ISFIFO(status.st_mode):
            with path.open("rb") as pipe:
                return _spooled(pipe, name=name)
        if not stat.S_ISREG(status.st_mode):
            raise VideoError(name, "this is neither a file nor a folder; give a video file")
        if status.st_size == 0:
            raise VideoError(name, "the file is empty; copy or download it again")
        path.open("rb").close()
    except FileNotFoundError as error:
        raise VideoError(name, "there is no such file; check the path") from error
    except PermissionError as error:
        raise VideoError(name, "permission denied; give this user the right to read it") from error
    except (OSError, ValueError) as error:
        raise VideoError(name, f"the file cannot be read: {error}") from error
    return ByteSource(name, status.st_size, functools.partial(_open_path, path))


def _open_path(path: Path) -> _SharedReader:
    # Not the bare file: FFmpeg would be told its name, and take "frame%d.png" for a pattern.
    return _SharedReader(path.open("rb", buffering=0), threading.Lock(), owns=True)


def from_file(file: BinaryIO) -> ByteSource:
    """Return a source for an open binary file, read from its first byte if it can seek.

    A file that cannot seek (a pipe, a socket) is copied to a temporary file first.
    """
    label = getattr(file, "name", None)
    name = label if isinstance(label, str) else "<file>"
    _check_binary(file, name)
    if not _seekable(file):
        return _spooled(file, name=name)
    return _shared(file, name=name)


def from_url(url: str) -> ByteSource:
    """Return a source for an fsspec URL such as ``s3://bucket/video.mp4``."""
    try:
        import fsspec  # optional package
    except ImportError as error:
        scheme = url.partition("://")[0]
        raise VideoError(
            without_secrets(url),
            f"{scheme}:// needs fsspec; install it with: pip install 'c3dhub[remote]'",
        ) from error
    name = without_secrets(url)
    try:
        handle = fsspec.open(url, "rb")
        first = handle.open()
        size = _size(first)
    except Exception as error:  # each backend raises its own library's errors
        raise VideoError(name, f"the URL cannot be opened: {_text(error)}") from error
    first.close()
    return ByteSource(name, size, functools.partial(_open_remote, handle))


def without_secrets(url: str) -> str:
    """Return a URL without user, password and query, which may hold keys: it goes into files."""
    scheme, mark, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{mark}{host.rpartition('@')[2]}{slash}{path.partition('?')[0]}"


def _open_remote(handle: Any) -> _SharedReader:
    try:
        return _SharedReader(handle.open(), threading.Lock(), owns=True)
    except Exception as error:  # each backend raises its own library's errors
        raise OSError(_text(error)) from error


def _check_binary(file: Any, name: str) -> None:
    try:
        piece = file.read(0)
    except Exception as error:  # a file object may fail in any way
        raise VideoError(name, f"the file cannot be read: {_text(error)}") from error
    if isinstance(piece, str):
        raise TypeError(f'{name} is open as text; a video must be open in binary: open(path, "rb")')


def _seekable(file: Any) -> bool:
    can_seek = hasattr(file, "seek") and hasattr(file, "tell")
    return can_seek and bool(getattr(file, "seekable", lambda: True)())


def _spooled(file: BinaryIO, *, name: str) -> ByteSource:
    # The source owns the file until it is closed.
    copy = tempfile.TemporaryFile(prefix="c3dhub-")  # noqa: SIM115
    try:
        shutil.copyfileobj(file, copy, CHUNK)
        return _shared(copy, name=name, close=copy.close)
    except BaseException as error:
        copy.close()
        if isinstance(error, OSError):
            raise VideoError(
                name, f"copying it to {tempfile.gettempdir()} failed: {error}"
            ) from error
        raise


def _shared(file: Any, *, name: str, close: Callable[[], None] = lambda: None) -> ByteSource:
    lock = threading.Lock()
    try:
        size = _size(file)
    except Exception as error:  # a file object may fail in any way
        raise VideoError(name, f"the file cannot be read: {_text(error)}") from error
    if size == 0:
        raise VideoError(name, "the file is empty; give a whole video file")
    return ByteSource(name, size, lambda: _SharedReader(file, lock), close)


def _size(file: Any) -> int:
    return int(file.seek(0, os.SEEK_END) or file.tell())


def _text(error: BaseException) -> str:
    return str(error) or type(error).__name__


class _SharedReader(io.RawIOBase):
    """One of several readers of one file object, each with a position of its own.

    Errors of any class become OSError, and a read never gives more than was asked for: the decoder
    copies what it gets into a buffer of that size.
    """

    def __init__(self, file: Any, lock: threading.Lock, *, owns: bool = False) -> None:
        self._file, self._lock, self._owns, self._at = file, lock, owns, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        with self._lock:
            try:
                self._file.seek(self._at)
                data = bytes(self._file.read(size))
            except Exception as error:  # a file object may fail in any way
                raise OSError(f"reading failed: {_text(error)}") from error
        data = data[:size] if size >= 0 else data
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        if whence == os.SEEK_END:
            with self._lock:
                self._file.seek(0, os.SEEK_END)
                offset += self._file.tell()
        elif whence == os.SEEK_CUR:
            offset += self._at
        if offset < 0:
            raise OSError(f"cannot seek to byte {offset}")
        self._at = offset
        return offset

    def close(self) -> None:
        if self._owns and not self.closed:
            with suppress(Exception):  # closing a remote file must not spoil a finished reading
                self._file.close()
        super().close()
