"""Every key of a file is accounted for; twins are told apart by names alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_entries import (
    State,
    assert_same_weights,
    fresh_state,
    refusal,
    saved,
    tiny_entries,
    without_counters,
)

from c3dhub.base.errors import UnknownModelError
from c3dhub.networks.saving import write_pretrained
from c3dhub.weights import convert
from c3dhub.weights.convert import convert_checkpoint, plain_name


@pytest.fixture(autouse=True)
def tiny_manifest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let conversion see the tiny entries alone."""
    monkeypatch.setattr(convert, "load_manifest", tiny_entries)
    monkeypatch.setattr("c3dhub.registry.manifest.load_manifest", tiny_entries)


@pytest.fixture
def state() -> State:
    return fresh_state(tiny_entries()["a5"])


@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data(), prefix=st.sampled_from(["", "module."]))
def test_every_changed_key_is_named(
    state: State, tmp_path: Path, data: st.DataObject, prefix: str
) -> None:
    file = {prefix + key: value for key, value in state.items()}
    weights = sorted(without_counters(file))
    changed = data.draw(st.lists(st.sampled_from(weights), min_size=1, max_size=3, unique=True))
    for key in changed:
        kind = data.draw(st.sampled_from(["removed", "added", "reshaped"]))
        if kind == "removed":
            del file[key]
        elif kind == "added":
            file[f"{key}.more"] = torch.ones(1)
        else:
            file[key] = file[key][None]
    message = refusal(saved(tmp_path / "x.pth", file), name="a5")
    assert all(key in message for key in changed)


@pytest.mark.parametrize("outside", ["conv1.weight", "epoch", "other.fc.bias"])
def test_key_outside_the_prefix_is_unexpected(state: State, tmp_path: Path, outside: str) -> None:
    file = {f"module.{key}": value for key, value in state.items()}
    file[outside] = torch.ones(1)
    assert f"unexpected (1): {outside}\n" in refusal(saved(tmp_path / "x.pth", file))


def test_nearest_model_is_found_for_one_changed_key(state: State, tmp_path: Path) -> None:
    shape = tuple(state["conv1.weight"].shape)
    state["conv1.weight"] = state["conv1.weight"][:, :1]
    message = refusal(saved(tmp_path / "x.pth", state))
    assert "the nearest is a5" in message
    assert f"conv1.weight is {(8, 1, 7, 7, 7)}, must be {shape}" in message


def test_other_number_of_classes_says_how_to_load_it(state: State, tmp_path: Path) -> None:
    state |= {"fc.weight": torch.ones(6, 64), "fc.bias": torch.ones(6)}
    message = refusal(saved(tmp_path / "x.pth", state))
    assert "of another shape (2)" in message
    assert "create_model('resnet10', num_classes=...)" in message


def test_name_limits_the_comparison_to_one_model(state: State, tmp_path: Path) -> None:
    message = refusal(saved(tmp_path / "x.pth", state), name="a7")
    assert "do not fit a7 " in message
    assert "fc.bias is (5,), must be (7,)" in message


def test_unknown_name_lists_near_matches(state: State, tmp_path: Path) -> None:
    with pytest.raises(UnknownModelError, match="Did you mean twin-64f"):
        convert_checkpoint(saved(tmp_path / "x.pth", state), name="twin64f")


def test_counters_may_be_absent_altogether(state: State, tmp_path: Path) -> None:
    converted = convert_checkpoint(saved(tmp_path / "x.pth", without_counters(state)))
    assert_same_weights(converted, {**state, "bn1.num_batches_tracked": torch.tensor(0)})
    assert any("num_batches_tracked" in note for note in converted.notes)


def test_counters_absent_in_part_are_named(state: State, tmp_path: Path) -> None:
    del state["layer1.0.bn1.num_batches_tracked"]
    message = refusal(saved(tmp_path / "x.pth", state))
    assert "missing (1): layer1.0.bn1.num_batches_tracked" in message
    assert "for every BatchNorm or for none" in message


@pytest.fixture
def twin_state() -> State:
    return fresh_state(tiny_entries()["twin-16f"])


def test_twins_are_told_apart_by_the_name_asked_for(twin_state: State, tmp_path: Path) -> None:
    path = saved(tmp_path / "twin-16f.pth", twin_state)
    converted = convert_checkpoint(path, name="twin-64f")
    assert converted.entry.name == "twin-64f"
    assert "name is that of twin-16f; it was taken as twin-64f, as asked" in converted.notes[0]


@pytest.mark.parametrize(
    "filename",
    [
        "twin-64f.pth",
        "TWIN-64F.PT",
        "twin-64f (1).pth",
        "twin-64f(2).pth.tar",
        "Copy of twin-64f.pth",
        "twin-64f - Copy (2).pth",
        "twin-64f_copy.pth",
        "twin-64f.pth.1",
        "twin-64f.pth (1)",
    ],
)
def test_twins_are_told_apart_by_the_file_name(
    twin_state: State, tmp_path: Path, filename: str
) -> None:
    converted = convert_checkpoint(saved(tmp_path / filename, twin_state))
    assert converted.entry.name == "twin-64f"
    assert "the file's name says twin-64f" in converted.notes[0]


def test_twins_are_told_apart_by_the_header_of_an_earlier_conversion(
    twin_state: State, tmp_path: Path
) -> None:
    first = convert_checkpoint(saved(tmp_path / "twin-64f.pth", twin_state))
    config = first.entry.config
    weights, _ = write_pretrained(first.state, config, tmp_path, metadata=first.metadata)
    again = convert_checkpoint(weights)
    assert again.entry.name == "twin-64f"
    assert "the file's header says twin-64f" in again.notes[0]


def test_twins_without_a_name_are_listed(twin_state: State, tmp_path: Path) -> None:
    message = refusal(saved(tmp_path / "model_best.pth", twin_state))
    assert "twin-16f and twin-64f" in message
    assert "--name twin-" in message


def test_file_named_after_another_model_is_noted(state: State, tmp_path: Path) -> None:
    converted = convert_checkpoint(saved(tmp_path / "b5.pth", state))
    assert converted.entry.name == "a5"
    assert converted.notes == (
        "the file's name is that of b5; it was taken as a5, as its keys and shapes say",
    )


def test_plain_names_keep_what_is_part_of_the_name() -> None:
    assert plain_name("r3d_18-b3b3357e.pth") == "r3d_18-b3b3357e"
    assert plain_name("resnet-34-kinetics-cpu.pth") == "resnet-34-kinetics-cpu"
