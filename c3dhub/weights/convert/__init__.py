"""Released checkpoints -> state dicts with our keys.

Knows no cache and no network: a file goes in, :class:`Converted` comes out.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ...base.errors import CheckpointError
from ...base.files import sha256_of
from ...registry.entries import ModelEntry, Source
from ...registry.manifest import load_manifest, model_info
from .checkpoint_file import Candidate, Checkpoint, read_checkpoint
from .matching import Match, expected_shapes, find_nearest, is_counter, shorten

_COUNTED = (torch.int64, torch.int32)
_WIDENED = (torch.float16, torch.bfloat16, torch.float64)
# What browsers, file managers and wget add to the name of a second copy.
_DECORATION = re.compile(r"^copy of |[\s_-]*(\(\d+\)|copy(\s*\d+)?)$", re.IGNORECASE)
_SUFFIXES = re.compile(r"(\.(pth|pt|tar|bin|ckpt|safetensors))+(\.\d+)?$", re.IGNORECASE)
Fits = list[tuple[ModelEntry, Match]]


@dataclass(frozen=True)
class Converted:
    """A released checkpoint under our keys.

    ``state`` loads strictly into the network of ``entry.config``: contiguous float32, int64 for
    BatchNorm's counters. ``source``, its sha256 and its size in bytes tell which file was read,
    ``prefix`` what stood before every key. ``notes`` are sentences that a person should read.
    """

    entry: ModelEntry
    state: dict[str, Tensor]
    source: Path
    source_sha256: str
    source_size: int
    prefix: str
    notes: tuple[str, ...]

    @property
    def metadata(self) -> dict[str, str]:
        """The header of the safetensors file: model, source's name and source's sha256."""
        return {
            "format": "pt",
            "model": self.entry.name,
            # A name that is not UTF-8 has no place in a JSON header.
            "source_file": self.source.name.encode(errors="replace").decode(),
            "source_sha256": self.source_sha256,
        }


def convert_checkpoint(
    path: str | Path, *, name: str | None = None, sha256: str | None = None
) -> Converted:
    """Read a released checkpoint and tell its model by its keys and shapes.

    Parameters
    ----------
    path: a file of ``torch.save`` (either format) or safetensors; a state dict, bare or up to two
        dicts deep, under any prefix.
    name: compare with this model alone; decides between models of the same keys and shapes.
    sha256: the file's hash, where it is known and was held against the release's; it is then
        neither computed nor part of the notes.

    Raises
    ------
    UnknownModelError
        If no model is called ``name``.
    CheckpointError
        If the file cannot be read safely, fits no model (the message names every key that does
        not fit the nearest one), fits several, or holds values that are no weights.
    """
    path = Path(path)
    entries = _pool(name)
    checkpoint = read_checkpoint(path)
    candidate, fits = _best_candidate(checkpoint, entries)
    if fits[0][1].problems:
        raise CheckpointError(_misfit(path, candidate, fits, len(entries)))
    entry, match, notes = _decide(path, fits, checkpoint.header.get("model"), name)
    notes += _notes_on_content(checkpoint, candidate, match)
    if sha256 is None:
        sha256 = sha256_of(path)
        notes += _notes_on_hashes(path, entry, sha256)
    size = path.stat().st_size
    del checkpoint, fits  # other candidates free their memory before copies are made
    state, more = _finish(path, entry, match, candidate.tensors)
    return Converted(entry, state, path, sha256, size, match.prefix, (*notes, *more))


def _pool(name: str | None) -> list[ModelEntry]:
    if name is None:
        # Nothing was released of the bundled ones that could be converted.
        return [entry for entry in load_manifest().values() if entry.bundled is None]
    entry = model_info(name)
    if entry.bundled is not None:
        raise CheckpointError(
            f"{name} comes with c3dhub and loads from there, a file converted for it would not be "
            f"used; c3dhub.load({name!r}) needs no conversion"
        )
    return [entry]


def _best_candidate(checkpoint: Checkpoint, entries: list[ModelEntry]) -> tuple[Candidate, Fits]:
    """Return the largest dict of tensors that fits an entry, else the one that nearly does."""
    best: tuple[Candidate, Fits] | None = None
    # The largest is most likely the network; a few numbers beside it are not worth a search.
    for candidate in sorted(checkpoint.candidates, key=lambda c: -len(c.tensors)):
        fits = find_nearest(candidate.tensors, entries)
        if not fits[0][1].problems:
            return candidate, fits
        if best is None or fits[0][1].score > best[1][0][1].score:
            best = candidate, fits
    assert best is not None  # a checkpoint has at least one candidate
    return best


def _misfit(path: Path, candidate: Candidate, fits: Fits, tried: int) -> str:
    # Of twins, the one that the file is named after.
    entry, match = max(fits, key=lambda fit: _names_file(fit[0], path))
    config = entry.config
    of = f"any of the {tried} models; the nearest is {entry.name}" if tried > 1 else entry.name
    inside = f" in its {candidate.where!r}" if candidate.where else ""
    text = (
        f"{path}: the weights{inside} do not fit {of} ({match.fitting} keys fit, "
        f"{match.problems} do not):\n{match.report()}\n"
    )
    if match.only_head_differs():
        return (
            f"{text}Only the number of classes differs, so this is not the released file but one "
            f"fine-tuned from such a network: load it by create_model({config.architecture!r}, "
            "num_classes=...).load_state_dict(...)"
        )
    return (
        f"{text}A released file fits key by key; download it again, or compare it with another "
        "model (--name NAME, name=NAME)"
    )


def _decide(
    path: Path, fits: Fits, claimed: str | None, name: str | None
) -> tuple[ModelEntry, Match, tuple[str, ...]]:
    """Choose between models of the same keys and shapes, which only names tell apart."""
    by_name = [(e, m) for e, m in fits if _names_file(e, path)]
    by_header = [(e, m) for e, m in fits if e.name == claimed]
    if len(fits) == 1:
        return *fits[0], _notes_on_name(path, fits[0][0], name)
    for chosen, how in ((by_header, "the file's header"), (by_name, "the file's name")):
        if len(chosen) == 1:
            twins = " and ".join(entry.name for entry, _ in fits)
            note = f"{twins} have the same keys and shapes; {how} says {chosen[0][0].name}"
            return *chosen[0], (note,)
    names = [entry.name for entry, _ in fits]
    raise CheckpointError(
        f"{path}: the weights fit {' and '.join(names)}, which have the same keys and shapes, and "
        f"the file's name is that of neither; say which it is: --name {names[0]} "
        f"(name={names[0]!r})"
    )


def _notes_on_name(path: Path, entry: ModelEntry, name: str | None) -> tuple[str, ...]:
    others = [e.name for e in load_manifest().values() if _names_file(e, path)]
    if not others or entry.name in others:
        return ()
    why = "as asked for" if name else "as its keys and shapes say"
    return (f"the file's name is that of {others[0]}; it was taken as {entry.name}, {why}",)


def _names_file(entry: ModelEntry, path: Path) -> bool:
    """Tell whether a file is called as a model or as one of its released files."""
    names = (entry.name, entry.filename, *(source.filename for source in entry.sources))
    return plain_name(path.name).lower() in {plain_name(name).lower() for name in names}


def plain_name(filename: str) -> str:
    """Return a file's name without suffixes and the marks of a copy.

    ``"resnext-101-kinetics (1).pth"`` becomes ``"resnext-101-kinetics"``.
    """
    stem, before = filename, ""
    while stem != before:
        before, stem = stem, _DECORATION.sub("", _SUFFIXES.sub("", stem))
    return stem


def _notes_on_content(
    checkpoint: Checkpoint, candidate: Candidate, match: Match
) -> tuple[str, ...]:
    notes = []
    if match.prefix:
        notes.append(f"prefix {match.prefix!r} removed from every key")
    if match.without_counters:
        notes.append("the file has no num_batches_tracked; zeros were added")
    others = [c.where or "the top level" for c in checkpoint.candidates if c is not candidate]
    if others:
        where = candidate.where or "the top level"
        notes.append(f"{where} was taken; tensors of {shorten(others)} were left out")
    return tuple(notes)


def _notes_on_hashes(path: Path, entry: ModelEntry, sha256: str) -> tuple[str, ...]:
    """Say whether the file is the released one, where a hash of that is known."""
    hashed = [s for s in entry.sources if s.sha256 or s.sha1 or s.sha256_prefix]
    if not hashed:
        return ()
    sha1 = sha256_of(path, algorithm="sha1") if any(s.sha1 for s in hashed) else ""
    if any(_same_file(source, sha256, sha1) for source in hashed):
        return ("the hash is that of the released file",)
    called = plain_name(path.name).lower()
    if all(called != plain_name(source.filename).lower() for source in hashed):
        return ()
    return (
        f"the hash is NOT that of the released {path.name}: the file was changed or saved again "
        f"(its sha256 is {sha256})",
    )


def _same_file(source: Source, sha256: str, sha1: str) -> bool:
    return (
        source.sha256 in (None, sha256)
        and source.sha1 in (None, sha1)
        and sha256.startswith(source.sha256_prefix or "")
    )


def _finish(
    path: Path, entry: ModelEntry, match: Match, tensors: dict[str, Tensor]
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Turn the file's tensors, which are taken out one by one, into a state dict."""
    state: dict[str, Tensor] = {}
    wrong: list[str] = []
    widened: Counter[str] = Counter()
    storages: set[int] = set()
    for key, shape in expected_shapes(entry.config).items():
        if key not in match.keys:
            state[key] = torch.zeros(shape, dtype=torch.int64)
            continue
        tensor = tensors.pop(match.keys[key])
        problem = _why_no_weights(tensor, counter=is_counter(key))
        if not problem:
            state[key] = _own(tensor, storages, counter=is_counter(key))
            problem = "" if _is_finite(state[key]) else "has NaN or infinite values"
        if problem:
            wrong.append(f"{match.keys[key]} {problem}")
        elif tensor.dtype in _WIDENED and not is_counter(key):
            widened[_short(tensor.dtype)] += 1
    if wrong:
        raise CheckpointError(
            f"{path}: {len(wrong)} of the tensors are no weights: {shorten(wrong)}; a released "
            "file has dense, finite float32: get an unchanged copy of it"
        )
    notes = (f"{count} tensors were turned from {d} to float32" for d, count in widened.items())
    return state, tuple(notes)


def _why_no_weights(tensor: Tensor, *, counter: bool) -> str:
    """Return what keeps a tensor from being a float32 weight (or a counter), ``""`` if nothing."""
    if tensor.is_quantized or tensor.layout != torch.strided or tensor.is_nested:
        return "is quantised, sparse or nested"
    if tensor.is_meta:
        return "has a shape but no values (device meta)"
    if counter and tensor.dtype in _COUNTED:
        return ""
    if tensor.dtype not in (torch.float32, *_WIDENED):
        return f"is {_short(tensor.dtype)}"
    return ""


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _is_finite(tensor: Tensor) -> bool:
    # The extremes pass NaN on, and need no mask of the tensor's size as isfinite does.
    return all(math.isfinite(float(value)) for value in tensor.aminmax())


def _own(tensor: Tensor, storages: set[int], *, counter: bool) -> Tensor:
    """Return the tensor in its final dtype, contiguous, in a storage of its own."""
    dtype = torch.int64 if counter else torch.float32
    tensor = tensor.detach().to(dtype).contiguous()
    storage = tensor.untyped_storage()
    if storage.nbytes() != tensor.nbytes or storage.data_ptr() in storages:
        tensor = tensor.clone()
    storages.add(tensor.untyped_storage().data_ptr())
    return tensor
