"""Files of every wrapping give the same weights; values and hashes are checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_entries import (
    State,
    assert_same_weights,
    fresh_state,
    refusal,
    saved,
    tiny_entries,
    without_counters,
)
from torch import Tensor, nn

from c3dhub.base.files import sha256_of
from c3dhub.networks import build
from c3dhub.networks.saving import write_pretrained
from c3dhub.registry.config import ModelConfig
from c3dhub.registry.entries import Source
from c3dhub.weights import convert
from c3dhub.weights.convert import Converted, convert_checkpoint


@pytest.fixture(autouse=True)
def tiny_manifest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let conversion see the tiny entries alone."""
    monkeypatch.setattr(convert, "load_manifest", tiny_entries)
    monkeypatch.setattr("c3dhub.registry.manifest.load_manifest", tiny_entries)


@pytest.fixture
def state() -> State:
    return fresh_state(tiny_entries()["a5"])


def test_weights_and_provenance_of_a_plain_file(state: State, tmp_path: Path) -> None:
    path = saved(tmp_path / "a5.pth", {"epoch": 3, "state_dict": state})
    converted = convert_checkpoint(str(path))
    assert_same_weights(converted, state)
    assert converted.entry.name == "a5"
    assert converted.notes == ()
    assert converted.source == path
    assert converted.source_size == path.stat().st_size
    assert converted.metadata == {
        "format": "pt",
        "model": "a5",
        "source_file": "a5.pth",
        "source_sha256": sha256_of(path),
    }


@pytest.mark.parametrize(
    "prefix", ["module.", "model.", "module.module.", "backbone.", "_orig_mod.", "my net.", "fc."]
)
def test_any_prefix_is_found_removed_and_noted(state: State, tmp_path: Path, prefix: str) -> None:
    path = saved(tmp_path / "x.pth", {prefix + key: value for key, value in state.items()})
    converted = convert_checkpoint(path)
    assert converted.prefix == prefix
    assert_same_weights(converted, state)
    assert any(repr(prefix) in note for note in converted.notes)


def test_both_spellings_of_densenet_and_the_file_spelling_in_reports(tmp_path: Path) -> None:
    state = fresh_state(tiny_entries()["dense"])
    names = {
        key: key.replace(".norm1.", ".norm.1.").replace(".conv2.", ".conv.2.") for key in state
    }
    assert_same_weights(convert_checkpoint(saved(tmp_path / "x.pth", state)), state)
    dotted = {f"module.{names[key]}": value for key, value in state.items()}
    assert_same_weights(convert_checkpoint(saved(tmp_path / "x.pth", dotted)), state)
    gone = "module.features.denseblock2.denselayer1.norm.1.bias"
    dotted.pop(gone)
    assert f"missing (1): {gone}" in refusal(saved(tmp_path / "x.pth", dotted))


def test_same_layer_in_both_spellings_is_unexpected(tmp_path: Path) -> None:
    state = fresh_state(tiny_entries()["dense"])
    key = "features.denseblock2.denselayer1.norm.1.bias"
    state[key] = state[key.replace("norm.1", "norm1")]
    assert f"unexpected (1): {key}" in refusal(saved(tmp_path / "x.pth", state))


def test_fitting_dict_is_taken_and_the_others_are_noted(state: State, tmp_path: Path) -> None:
    ema = {key: value * 2 for key, value in state.items() if value.is_floating_point()}
    ema["extra"] = torch.ones(1)
    content = {"mean": torch.ones(3), "state_dict_ema": ema, "state": {"model": state}}
    converted = convert_checkpoint(saved(tmp_path / "x.pth", content))
    assert_same_weights(converted, state)
    (note,) = converted.notes
    assert note == "state.model was taken; tensors of the top level, state_dict_ema were left out"


def test_safetensors_as_input(state: State, tmp_path: Path) -> None:
    save_file(state, tmp_path / "x.safetensors")
    assert_same_weights(convert_checkpoint(tmp_path / "x.safetensors"), state)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats_become_float32(state: State, tmp_path: Path, dtype: torch.dtype) -> None:
    file = {key: v.to(dtype) if v.is_floating_point() else v for key, v in state.items()}
    converted = convert_checkpoint(saved(tmp_path / "x.pth", file))
    expected = {key: v.float() if v.is_floating_point() else v for key, v in file.items()}
    assert_same_weights(converted, expected)
    weights = without_counters(converted.state).values()
    assert {value.dtype for value in weights} == {torch.float32}
    name = str(dtype).removeprefix("torch.")
    assert converted.notes == (f"{len(weights)} tensors were turned from {name} to float32",)


def quantized(value: Tensor) -> Tensor:
    return torch.quantize_per_tensor(value, 0.1, 0, torch.qint8)


def with_one(number: float) -> Callable[[Tensor], Tensor]:
    return lambda value: value.index_fill(0, torch.tensor(1), number)


BAD_VALUES: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "int": (lambda v: v.to(torch.int64), "is int64"),
    "complex": (lambda v: v.to(torch.complex64), "is complex64"),
    "sparse": (lambda v: v.to_sparse(), "is quantised, sparse or nested"),
    "quantised": (quantized, "is quantised, sparse or nested"),
    "meta": (lambda v: v.to("meta"), "has a shape but no values"),
    "nan": (with_one(float("nan")), "has NaN or infinite values"),
    "inf": (with_one(float("-inf")), "has NaN or infinite values"),
    "large": (lambda v: v.double() * 1e300, "has NaN or infinite values"),
}


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
@pytest.mark.parametrize("bad", BAD_VALUES.values(), ids=BAD_VALUES)
def test_values_that_are_no_weights_are_refused_by_name(
    state: State, tmp_path: Path, bad: tuple[Callable[[Tensor], Tensor], str]
) -> None:
    spoil, reason = bad
    state["layer2.0.bn1.weight"] = spoil(state["layer2.0.bn1.weight"])
    message = refusal(saved(tmp_path / "x.pth", state))
    assert f"layer2.0.bn1.weight {reason}" in message


def test_counters_of_other_dtypes_become_int64(state: State, tmp_path: Path) -> None:
    file: dict[str, Any] = dict(state)
    file["bn1.num_batches_tracked"] = torch.tensor(7.0)
    file["layer1.0.bn1.num_batches_tracked"] = torch.tensor(8, dtype=torch.int32)
    converted = convert_checkpoint(saved(tmp_path / "x.pth", file))
    counters = [v for key, v in converted.state.items() if key.endswith("num_batches_tracked")]
    assert {value.dtype for value in counters} == {torch.int64}
    assert converted.state["bn1.num_batches_tracked"] == 7
    assert converted.notes == ()


def test_shared_and_turned_tensors_get_storages_of_their_own(state: State, tmp_path: Path) -> None:
    state["layer1.0.bn2.weight"] = state["layer1.0.bn1.weight"]
    state["layer1.0.bn2.bias"], state["layer1.0.bn1.bias"] = torch.arange(16.0).view(8, 2).t()
    state["fc.weight"] = nn.Parameter(state["fc.weight"].t().contiguous().t())
    converted = convert_checkpoint(saved(tmp_path / "x.pth", state))
    assert_same_weights(converted, state)
    values = converted.state.values()
    assert all(value.is_contiguous() and not value.requires_grad for value in values)
    assert all(value.untyped_storage().nbytes() == value.nbytes for value in values)
    assert len({value.data_ptr() for value in values}) == len(values)


def known(path: Path, **hashes: str) -> Source:
    return Source(
        kind="url", location="https://example.org/x.pth", filename=path.name, note="", **hashes
    )


def test_hash_of_the_release_is_compared_where_it_is_known(state: State, tmp_path: Path) -> None:
    path = saved(tmp_path / "a5.pth", state)
    sha256, sha1 = sha256_of(path), sha256_of(path, algorithm="sha1")
    cases: list[tuple[Source, str]] = [
        (known(path, sha256=sha256), "is that of"),
        (known(path, sha1=sha1), "is that of"),
        (known(path, sha256_prefix=sha256[:8]), "is that of"),
        (known(path, sha256=sha256, sha1="0" * 40), "is NOT that of"),
        (known(path, sha256_prefix="0" * 8), "is NOT that of"),
    ]
    for source, words in cases:
        entries = {"a5": replace(tiny_entries()["a5"], sources=(source,))}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(convert, "load_manifest", lambda found=entries: found)
            (note,) = convert_checkpoint(path).notes
            assert f"the hash {words} the released" in note
            path = path.rename(tmp_path / "renamed.pth")
            notes = convert_checkpoint(path).notes
            assert bool(notes) == (words == "is that of")
            path = path.rename(tmp_path / "a5.pth")


def test_written_pair_loads_strictly(state: State, tmp_path: Path) -> None:
    converted = convert_checkpoint(saved(tmp_path / "x.pth", without_counters(state)))
    config = converted.entry.config
    weights, text = write_pretrained(
        converted.state, config, tmp_path / "out", metadata=converted.metadata
    )
    network = build(ModelConfig.from_file(text))
    network.load_state_dict(load_file(weights), strict=True)


def test_name_that_is_not_unicode_fits_into_the_header() -> None:
    source = Path("a\udcff.pth")
    converted = Converted(tiny_entries()["a5"], {}, source, "0" * 64, 1, "", ())
    assert converted.metadata["source_file"] == "a?.pth"
