"""The registry, checked against the released files' keys and against our networks."""

from __future__ import annotations

import gzip
import json
import math
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch
from manifest_schema import manifest_schema
from torch.utils.flop_counter import FlopCounterMode

from c3dhub.base.errors import UnknownModelError
from c3dhub.networks import ARCHITECTURES, build
from c3dhub.registry import entries, manifest
from c3dhub.registry.entries import HubFile, Source
from c3dhub.registry.manifest import ModelEntry, list_models, load_manifest, model_info

HERE = Path(__file__).parent
MANIFEST = HERE.parent / "weights_manifest.json"
DOCS = HERE.parent / "docs"
NOT_PARAMETERS = ("running_mean", "running_var", "num_batches_tracked")


def released_files() -> dict[str, Any]:
    """Return released file name -> its era, frames, keys and shapes."""
    with gzip.open(HERE / "golden" / "checkpoints.json.gz", "rt", encoding="utf-8") as stream:
        files: dict[str, Any] = json.load(stream)
    return files


RELEASED = released_files()
NAMES = list_models()
BUNDLED = ["resnet18_figures"]


def released() -> list[ModelEntry]:
    """Return the entries of the released files: all but what comes with c3dhub."""
    return [entry for entry in load_manifest().values() if entry.name not in BUNDLED]


# What the manifest says ---------------------------------------------------------------------------


def test_every_released_file_has_exactly_one_entry() -> None:
    files = [entry.filename for entry in released()]
    assert sorted(files) == sorted(RELEASED)
    assert len(files) == 40


def test_manifest_follows_its_schema() -> None:
    schema = manifest_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(MANIFEST.read_text(encoding="utf-8")), schema)


@pytest.mark.skipif(not DOCS.is_dir(), reason="an sdist has no docs")
def test_schema_of_the_docs_is_the_one_that_the_reader_follows() -> None:
    written = json.loads((DOCS / "manifest_schema.json").read_text(encoding="utf-8"))
    assert written == manifest_schema(), "tests/manifest_schema.py says how to write it again"


@pytest.mark.parametrize("name", [entry.name for entry in released()])
def test_entry_agrees_with_the_released_file(name: str) -> None:
    entry = model_info(name)
    released = RELEASED[entry.filename]
    keys = released["keys"]
    learned = [shape for key, shape in keys.items() if not key.endswith(NOT_PARAMETERS)]
    assert entry.parameters == sum(math.prod(shape) for shape in learned)
    assert entry.release == released["era"]
    assert entry.clip_len == entry.config.clip_len == released["frames"]
    head = keys.get("fc.weight") or keys["classifier.weight"]
    assert [entry.config.num_classes, entry.num_features] == head


@pytest.mark.parametrize("name", NAMES)
def test_entry_agrees_with_the_network_that_it_describes(name: str) -> None:
    entry = model_info(name)
    assert entry.config.architecture in ARCHITECTURES
    with torch.device("meta"), torch.no_grad():
        network = build(entry.config).eval()
        clips = torch.empty(1, 3, entry.clip_len, 112, 112)
        with FlopCounterMode(display=False) as counter:
            maps = network.forward_stages(clips, network.stage_names)
    assert {stage: tuple(value.shape[1:]) for stage, value in maps.items()} == entry.stages
    assert list(maps) == list(entry.stages)
    assert sum(p.numel() for p in network.parameters()) == entry.parameters
    assert round(counter.get_total_flops() / 1e9, 3) == entry.gflops


@pytest.mark.parametrize(
    ("name", "macs"),
    [
        ("r3d_18_kinetics400_v1", 40.697),
        ("mc3_18_kinetics400_v1", 43.343),
        ("r2plus1d_18_kinetics400_v1", 40.519),
    ],
)
def test_gflops_are_twice_the_multiply_accumulates_that_torchvision_publishes(
    name: str, macs: float
) -> None:
    assert model_info(name).gflops == pytest.approx(2 * macs, abs=2e-3)


def test_classes_are_named_where_the_order_is_known() -> None:
    for entry in load_manifest().values():
        if entry.release == "2020":
            assert entry.config.classes is None
            assert "no complete list" in entry.classes_note
        else:
            assert entry.config.classes is not None
            assert len(set(entry.config.classes)) == entry.config.num_classes
            assert entry.classes_note == ""
    ucf101 = model_info("resnext101_kinetics_ucf101").config.classes
    assert ucf101 is not None
    assert ucf101.index("Hammering") < ucf101.index("HammerThrow")


def test_sources_and_status_follow_what_can_be_fetched() -> None:
    for entry in released():
        kinds = {source.kind for source in entry.sources}
        assert entry.hub is None
        assert entry.status == ("manual" if kinds == {"gdrive_folder"} else "download")
        assert ("gdrive_folder" in kinds) == (entry.release != "torchvision")
        # One mirror spells the name in lower case.
        assert {s.filename.lower() for s in entry.sources} == {entry.filename.lower()}
    assert sum(entry.status == "download" for entry in load_manifest().values()) == 12


def test_known_hashes_are_recorded() -> None:
    assert model_info("r3d50_kms").sources[0].sha1 == "39ea626355308d8f75307cab047a8d75862c3261"
    for entry in load_manifest().values():
        if entry.release == "torchvision":
            assert f"-{entry.sources[0].sha256_prefix}." in entry.filename


def test_sources_lead_a_person_to_a_page() -> None:
    by_id, folder = model_info("r3d18_km").sources
    assert by_id.page_url == (
        "https://drive.google.com/file/d/12FxrQY2hX-bINbmSrN9q2Z5zJguJhy6C/view"
    )
    assert folder.page_url == (
        "https://drive.google.com/drive/folders/1xbYbZ7rpyjftI_KCk6YuL-XrfQDz7Yd4"
    )
    url = model_info("r3d_18_kinetics400_v1").sources[0]
    assert url.page_url == url.location


def test_every_figure_has_its_protocol_and_every_gap_its_reason() -> None:
    for entry in load_manifest().values():
        assert all(0 < m["value"] < 100 and m["protocol"] for m in entry.metrics)
        assert bool(entry.metrics) != bool(entry.metrics_note)
        assert ("not stated" in entry.license.weights) == (entry.name not in BUNDLED)


@pytest.mark.parametrize(
    ("release", "max_value", "size", "antialias"),
    [
        ("cvpr2018", 255.0, (112,), True),
        ("2020", 1.0, (112,), True),
        ("torchvision", 1.0, (128, 171), False),
        ("figures", 255.0, (112,), True),
    ],
)
def test_input_contract_is_the_releases(
    release: str, max_value: float, size: tuple[int, ...], antialias: bool
) -> None:
    contracts = [e.config.input for e in load_manifest().values() if e.release == release]
    assert len(set(contracts)) == 1
    assert contracts[0].max_value == max_value
    assert contracts[0].resize_size == size
    assert contracts[0].antialias is antialias


# Listing and asking -------------------------------------------------------------------------------


def test_names_come_in_natural_order() -> None:
    resnets = ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnet200"]
    assert list_models("resnet*") == [*BUNDLED, *(f"{name}_kinetics" for name in resnets)]
    assert NAMES.index("resnet200_kinetics") < NAMES.index("resnext101_kinetics")
    assert list_models() == list(load_manifest())


def test_patterns_ignore_case_and_may_match_nothing() -> None:
    assert list_models("R3D50_KM*") == ["r3d50_km", "r3d50_kms"]
    assert list_models("r2p1d[15]*_k") == ["r2p1d18_k", "r2p1d50_k"]
    assert list_models("resnet50") == []


def test_unknown_names_list_the_near_ones() -> None:
    with pytest.raises(UnknownModelError, match=r"'resnet50_kinetic'.*resnet50_kinetics.*list"):
        model_info("resnet50_kinetic")
    with pytest.raises(KeyError):
        model_info("zzz")


@pytest.mark.parametrize("value", [None, 5, b"resnet50_kinetics"])
def test_names_and_patterns_are_text(value: Any) -> None:
    with pytest.raises(TypeError, match="it must be text"):
        model_info(value)
    with pytest.raises(TypeError, match="it must be text"):
        list_models(value)


def test_entry_shows_itself_in_one_line() -> None:
    assert repr(model_info("resnext101_64f_kinetics")) == (
        "<ModelEntry resnext101_64f_kinetics: 3D ResNeXt-101 (cardinality 32), Kinetics-400, "
        "400 classes, clips of 64 frames, 2048 features, 48.3 M parameters, status manual>"
    )


def test_entry_becomes_json_and_travels_between_processes() -> None:
    entry = model_info("resnet50_kinetics")
    plain = json.loads(json.dumps(entry.to_dict()))
    assert plain["config"]["classes"][0] == "abseiling"
    assert plain["stages"]["layer4"] == [2048, 1, 4, 4]
    assert plain["license"]["code"].startswith("MIT")
    assert pickle.loads(pickle.dumps(entry)) == entry


def test_listing_imports_neither_torch_nor_numpy() -> None:
    code = (
        "import sys, c3dhub; c3dhub.list_models(); c3dhub.model_info('resnet50_kinetics');"
        "print(sorted({'torch', 'numpy', 'av', 'huggingface_hub'} & sys.modules.keys()))"
    )
    path = os.pathsep.join([str(MANIFEST.parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"


# The values themselves ----------------------------------------------------------------------------


def test_source_checks_what_becomes_a_path_or_a_request() -> None:
    good = {"kind": "url", "location": "https://example.org/a.pth", "filename": "a.pth"}
    assert Source(**good).sha256 is None
    for bad in ({"filename": ".."}, {"filename": "a/b"}, {"filename": "/etc/passwd"},
                {"location": "file:///x"}, {"kind": "gdrive", "location": "a b"},
                {"sha256": "F" * 64}, {"sha1": "12"}, {"sha256_prefix": "12"}):  # fmt: skip
        with pytest.raises(ValueError, match="it must be"):
            Source(**{**good, **bad})


def test_hub_file_needs_a_whole_hash() -> None:
    with pytest.raises(ValueError, match="sha256 is 'abc'"):
        HubFile("lab/r", "m.safetensors", "main", "abc", 1)


def test_public_types_come_from_the_manifest_module() -> None:
    assert ModelEntry is entries.ModelEntry
    assert set(manifest.__all__) >= {"ModelEntry", "list_models", "load_manifest", "model_info"}
