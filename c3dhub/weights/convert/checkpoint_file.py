"""Checkpoint files: their format and the dicts of tensors inside, read without running code.

PyTorch's zip format, its older plain format and safetensors are read; anything else is named and
refused. Pickles are opened with ``weights_only=True`` and nothing else.
"""

from __future__ import annotations

import contextlib
import pickletools
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ...base.errors import CheckpointError

Format = Literal["zip", "legacy", "safetensors"]

_LEGACY_MAGIC = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
_LFS_MAGIC = b"version https://git-lfs.github.com/spec/"
_PACKED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"7z\xbc\xaf": "7-Zip",
    b"Rar!": "RAR",
    b"\x28\xb5\x2f\xfd": "Zstandard",
}
# Modules that a checkpoint of tensors alone imports from.
_TENSOR_MODULES = {"torch", "torch._utils", "torch.cuda", "torch.storage", "collections"}
_DEEPEST = 2
_AGAIN = "download it again, or copy it again from where it is whole"
_RESAVE = (
    "if you trust where the file comes from, open it there and save the tensors alone with "
    "torch.save(model.state_dict(), PATH)"
)


@dataclass(frozen=True)
class Candidate:
    """One dict of tensors in a checkpoint that may be a network's weights.

    ``where`` is its place in the file, e.g. ``"state_dict"``, or ``""`` for the whole file.
    ``tensors`` may be emptied by the reader of it, so that memory is freed along the way.
    """

    where: str
    tensors: dict[str, Tensor]


@dataclass(frozen=True)
class Checkpoint:
    """All candidates of a file, in its order, and what a safetensors header says about itself."""

    candidates: tuple[Candidate, ...]
    header: Mapping[str, str]


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read every dict of tensors of a checkpoint, at most two levels deep, onto the CPU.

    Zip and safetensors files are mapped into memory where that works, so the file must stay as it
    is while the tensors are in use.

    Raises
    ------
    CheckpointError
        If the file is missing, empty, cut short, no checkpoint, holds no tensors, or needs more
        than ``torch.load(weights_only=True)``.
    """
    path = Path(path)
    try:
        kind = detect_format(path)
        if kind == "safetensors":
            tensors, header = _read_safetensors(path)
            return Checkpoint((Candidate("", tensors),), header)
        content = _read_torch(path, kind)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}") from error
    candidates = tuple(_candidates(content, "", 0))
    if not candidates:
        raise CheckpointError(
            f"{path}: holds a {type(content).__name__} without any dict of tensors; a checkpoint "
            "is a state dict, bare or inside another dict; save one with "
            "torch.save(model.state_dict(), PATH)"
        )
    return Checkpoint(candidates, {})


def _candidates(content: object, where: str, depth: int) -> Iterator[Candidate]:
    if not isinstance(content, Mapping):
        return
    tensors = {k: v for k, v in content.items() if isinstance(k, str) and isinstance(v, Tensor)}
    if tensors:
        yield Candidate(where, tensors)
    for key, value in content.items():
        if depth < _DEEPEST and isinstance(key, str):
            yield from _candidates(value, f"{where}.{key}" if where else key, depth + 1)


def detect_format(path: Path) -> Format:
    """Tell the format of a checkpoint from its first bytes. Raises CheckpointError for others."""
    if path.is_dir():
        raise CheckpointError(f"{path}: is a folder; give the checkpoint file inside it")
    if not path.exists():
        raise CheckpointError(f"{path}: there is no such file; check the path")
    if not path.is_file():
        raise CheckpointError(f"{path}: is not a regular file; copy its content to one")
    with path.open("rb") as stream:
        head = stream.read(4096)
    if head.startswith(b"PK"):
        return "zip"
    if head.startswith(_LEGACY_MAGIC):
        return "legacy"
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 1 << 32:
        return "safetensors"
    raise CheckpointError(f"{path}: {_what_else(head)}")


def _what_else(head: bytes) -> str:
    """Say what a file that is no checkpoint is, by its first bytes, and what to do about it."""
    if not head:
        return f"is empty (0 bytes); {_AGAIN}"
    if head.startswith(_LFS_MAGIC):
        return "is a git-lfs pointer, not the file itself; run `git lfs pull` where it comes from"
    if head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<":
        return _what_page(head)
    for magic, name in _PACKED.items():
        if head.startswith(magic):
            return f"is packed with {name}; unpack it and give the checkpoint inside"
    if head[257:262] == b"ustar":
        return (
            "is a tar archive; unpack it and give the checkpoint inside (PyTorch's own tar format "
            f"of 2016 cannot be read safely: {_RESAVE})"
        )
    if _LEGACY_MAGIC.startswith(head):
        return f"is cut short after {len(head)} bytes; {_AGAIN}"
    if head.startswith(b"\x80"):
        return f"is a Python pickle that torch.save did not write, and is not opened; {_RESAVE}"
    if all(byte >= 32 or byte in b"\t\r\n\f" for byte in head):
        return "is a text file, not a checkpoint; give a .pth, .pt or .safetensors file"
    return (
        f"is no checkpoint (it starts with the bytes {head[:8].hex(' ')}); give a file that "
        "torch.save or safetensors wrote"
    )


def _what_page(head: bytes) -> str:
    title = re.search(rb"<title[^>]*>\s*([^<]{1,100})", head, re.IGNORECASE)
    named = f" titled {title[1].decode(errors='replace').strip()!r}" if title else ""
    drive = (
        "Google Drive gives such a warning page for large files: confirm the download there"
        if b"google drive" in head.lower()
        else "the server gave a page in place of the file: open the address in a browser"
    )
    return f"is a web page{named}, not a checkpoint; {drive} and save the file itself"


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt", device="cpu") as opened:
            return {k: opened.get_tensor(k) for k in opened.keys()}, opened.metadata() or {}  # noqa: SIM118 - safe_open is no dict
    except SafetensorError as error:
        raise CheckpointError(
            f"{path}: cannot be read as safetensors ({error}); it is damaged or cut short: {_AGAIN}"
        ) from error


def _read_torch(path: Path, kind: Format) -> object:
    mapped = kind == "zip" and _check_zip(path)
    try:
        if mapped:
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        with path.open("rb") as stream:
            return torch.load(stream, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can raise anything: KeyError, struct.error ...
        raise CheckpointError(f"{path}: {_why_refused(path, kind, error)}") from error


def _check_zip(path: Path) -> bool:
    """Return whether the tensors of a zip checkpoint can be mapped; refuse other zip files."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise CheckpointError(
            f"{path}: is a damaged or cut short zip file ({error}); {_AGAIN}"
        ) from error
    names = {member.filename.rpartition("/")[2] for member in members}
    if "constants.pkl" in names:
        raise CheckpointError(
            f"{path}: is a TorchScript archive, which holds code beside the weights and is not "
            f"opened; {_RESAVE}"
        )
    if "data.pkl" not in names:
        inside = ", ".join(sorted(names - {""})[:5])
        raise CheckpointError(
            f"{path}: is a zip file that torch.save did not write; unpack it and give the "
            f"checkpoint inside (it holds {inside or 'nothing'})"
        )
    # torch maps the bytes as they stand, so packed members would give wrong numbers; and by a name
    # in .safetensors it would take the file for one.
    stored = all(member.compress_type == zipfile.ZIP_STORED for member in members)
    return stored and path.suffix != ".safetensors"


def _why_refused(path: Path, kind: Format, error: Exception) -> str:
    imports = _imports(path, kind)
    named = re.findall(r"GLOBAL (\S+)", str(error))
    if named and imports is not None:
        extra = sorted(name for name in imports if name.rpartition(".")[0] not in _TENSOR_MODULES)
        every = ", ".join(dict.fromkeys([named[0], *extra]))
        return (
            f"needs {every} to be opened, which may run code that its author put there; only "
            f"tensors and plain Python values are read (weights_only); {_RESAVE}"
        )
    reason = str(error).split("WeightsUnpickler error:")[-1].split("Check the documentation")[0]
    reason = " ".join(reason.split())[:200] or type(error).__name__
    return f"is damaged or cut short, torch cannot read it ({reason}); {_AGAIN}"


def _imports(path: Path, kind: Format) -> set[str] | None:
    """Return the names that a checkpoint's pickle would import, or None where it is cut short."""
    found: set[str] = set()
    try:
        with _open_pickle(path, kind) as stream:
            # The old format has three small pickles before that of the content.
            for _ in range(4 if kind == "legacy" else 1):
                strings: list[str] = []
                for operation, value, _ in pickletools.genops(stream):
                    if operation.name == "GLOBAL":
                        found.add(str(value).replace(" ", "."))
                    elif operation.name == "STACK_GLOBAL":
                        found.add(".".join(strings[-2:]))
                    elif isinstance(value, str):
                        strings.append(value)
    except Exception:  # noqa: BLE001 - this only words an error; a damaged file can raise anything
        return None
    return found


@contextlib.contextmanager
def _open_pickle(path: Path, kind: Format) -> Iterator[IO[bytes]]:
    if kind == "legacy":
        with path.open("rb") as stream:
            yield stream
        return
    with zipfile.ZipFile(path) as archive:
        name = next(n for n in archive.namelist() if n.rpartition("/")[2] == "data.pkl")
        with archive.open(name) as stream:
            yield stream
