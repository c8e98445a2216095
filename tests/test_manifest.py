"""The registry: 40 models, checked against the released files' keys and against our networks."""

from __future__ import annotations

import copy
import gzip
import json
import math
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch

import c3dhub
from c3dhub import entries, manifest
from c3dhub.architectures import ARCHITECTURES, build, count_flops, stage_shapes
from c3dhub.errors import ManifestError, UnknownModelError
from c3dhub.manifest import HubFile, ModelEntry, Source, list_models, load_manifest, model_info

HERE = Path(__file__).parent
MANIFEST = HERE.parent / "weights_manifest.json"
SCHEMA = Path(c3dhub.__file__).parent / "manifest_schema.json"
NOT_PARAMETERS = ("running_mean", "running_var", "num_batches_tracked")


def released_files() -> dict[str, Any]:
    """Return released file name -> its era, frames, keys and shapes."""
    with gzip.open(HERE / "golden" / "checkpoints.json.gz", "rt", encoding="utf-8") as stream:
        files: dict[str, Any] = json.load(stream)
    return files


RELEASED = released_files()
NAMES = list_models()


def document() -> dict[str, Any]:
    """Return a copy of the manifest that a test may change."""
    found: dict[str, Any] = json.loads(MANIFEST.read_text(encoding="utf-8"))
    return found


@pytest.fixture
def use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], Path]:
    """Return a function that makes a document, or a text, the manifest in use."""

    def write(content: Any) -> Path:
        path = tmp_path / "mine.json"
        text = content if isinstance(content, str) else json.dumps(content)
        path.write_text(text, encoding="utf-8")
        monkeypatch.setenv("C3DHUB_MANIFEST", str(path))
        return path

    return write


# What the manifest says ---------------------------------------------------------------------------


def test_every_released_file_has_exactly_one_entry() -> None:
    files = [entry.filename for entry in load_manifest().values()]
    assert sorted(files) == sorted(RELEASED)
    assert len(files) == 40


def test_manifest_follows_its_schema() -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(document(), schema)


@pytest.mark.parametrize("name", NAMES)
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
    with torch.device("meta"):
        network = build(entry.config)
    assert stage_shapes(network, entry.clip_len) == entry.stages
    assert tuple(entry.stages) == network.stage_names
    assert sum(p.numel() for p in network.parameters()) == entry.parameters
    assert round(count_flops(network, entry.clip_len) / 1e9, 3) == entry.gflops


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
    for entry in load_manifest().values():
        kinds = {source.kind for source in entry.sources}
        assert entry.hub is None
        assert entry.status == ("manual" if kinds == {"gdrive_folder"} else "download")
        assert ("gdrive_folder" in kinds) == (entry.release != "torchvision")
        assert {source.filename for source in entry.sources} == {entry.filename}
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
        assert "not stated" in entry.license.weights


@pytest.mark.parametrize(
    ("release", "max_value", "size", "antialias"),
    [
        ("cvpr2018", 255.0, (112,), True),
        ("2020", 1.0, (112,), True),
        ("torchvision", 1.0, (128, 171), False),
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
    assert list_models("resnet*") == [f"{name}_kinetics" for name in resnets]
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


# A manifest of one's own --------------------------------------------------------------------------


def test_own_manifest_replaces_the_shipped_one_and_is_read_again_after_an_edit(
    use: Callable[[Any], Path],
) -> None:
    mine = document()
    mine["models"] = {"mine": mine["models"]["resnet18_kinetics"]}
    use(mine)
    assert list_models() == ["mine"]
    assert load_manifest()["mine"] is load_manifest()["mine"]
    mine["models"]["another_one"] = mine["models"]["mine"]
    use(mine)
    assert list_models() == ["another_one", "mine"]


def test_changing_the_returned_dict_changes_nothing_else() -> None:
    load_manifest().clear()
    assert len(load_manifest()) == 40


def test_hub_file_is_read(use: Callable[[Any], Path]) -> None:
    mine = document()
    hub = {"repo_id": "lab/r", "filename": "m.safetensors", "revision": "a1", "sha256": "0" * 64}
    mine["models"]["resnet152_kinetics"] |= {"hub": {**hub, "size": 9}, "status": "download"}
    use(mine)
    assert model_info("resnet152_kinetics").hub == HubFile(**hub, size=9)
    jsonschema.validate(mine, json.loads(SCHEMA.read_text(encoding="utf-8")))


@pytest.mark.parametrize("absolute", [True, False])
def test_class_names_are_found_beside_the_manifest_and_by_absolute_path(
    use: Callable[[Any], Path], tmp_path: Path, absolute: bool
) -> None:
    file = tmp_path / "names.txt"
    file.write_text("\n".join(f"class {i}" for i in range(400)) + "\n\n", encoding="utf-8")
    mine = document()
    mine["data"]["kinetics400"]["class_names_file"] = str(file) if absolute else "names.txt"
    use(mine)
    classes = model_info("resnet18_kinetics").config.classes
    assert classes is not None
    assert classes[399] == "class 399"


def test_home_folder_and_byte_order_mark_are_understood(
    use: Callable[[Any], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use("\ufeff" + json.dumps(document()))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("C3DHUB_MANIFEST", "~/mine.json")
    assert list_models() == NAMES


def test_empty_variable_means_the_shipped_manifest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("C3DHUB_MANIFEST", "")
    assert list_models() == NAMES


def test_manifest_inside_the_package_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "c3dhub"
    package.mkdir()
    monkeypatch.setattr(manifest, "_PACKAGE", package)
    with pytest.raises(ManifestError, match="install c3dhub again"):
        load_manifest()
    (tmp_path / "weights_manifest.json").write_text(MANIFEST.read_text(encoding="utf-8"))
    assert len(load_manifest()) == 40
    (package / "weights_manifest.json").write_text("{}")
    with pytest.raises(ManifestError, match="schema_version is missing"):
        load_manifest()


# Broken manifests ---------------------------------------------------------------------------------

MODEL = ("models", "resnet18_kinetics")
DROP = object()


def changed(path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    """Return the manifest with one field replaced, or removed for ``DROP``."""
    whole = document()
    inner: Any = whole
    for key in path[:-1]:
        inner = inner[key]
    if value is DROP:
        del inner[path[-1]]
    else:
        inner[path[-1]] = copy.deepcopy(value)
    return whole


# (field, value, what the message says); the schema refuses all of them, too
BROKEN: list[tuple[tuple[str | int, ...], Any, str]] = [
    (("schema_version",), 2, "schema_version is 2; this c3dhub reads 1"),
    (("schema_version",), "1", "schema_version is '1'; it must be a whole number"),
    (("models",), DROP, "models is missing; it must be an object"),
    (("modles",), {}, "modles is not a known field.*models"),
    ((*MODEL, "architecture"), DROP, "models.resnet18_kinetics: architecture is missing"),
    ((*MODEL, "paramters"), 5, "paramters is not a known field.*Did you mean parameters"),
    ((*MODEL, "parameters"), "many", "parameters is 'many'; it must be a whole number above 0"),
    ((*MODEL, "parameters"), True, "parameters is True; it must be a whole number"),
    ((*MODEL, "parameters"), 0, "parameters is 0; it must be a whole number above 0"),
    ((*MODEL, "gflops"), -1.5, "gflops is -1.5; it must be a number above 0"),
    ((*MODEL, "status"), "lost", "status is 'lost'; it must be one of"),
    ((*MODEL, "stages", "layer1"), [1, 2], r"stages.layer1 is \[1, 2\]; it must be"),
    ((*MODEL, "stages", "layer1"), [64, 8, 28, 0], "stages.layer1 is"),
    ((*MODEL, "stages", "avgpool"), DROP, "stages.avgpool is missing"),
    ((*MODEL, "stages", "logits"), DROP, r"stages.logits must be \[400\]"),
    ((*MODEL, "metrics"), [], "metrics is empty; give figures, or say in metrics_note"),
    ((*MODEL, "metrics"), [5], r"metrics\[0\] is 5; it must be an object"),
    ((*MODEL, "metrics", 0, "protocol"), DROP, r"metrics\[0\].protocol is missing"),
    ((*MODEL, "metrics", 0, "rank"), 1, r"metrics\[0\].rank is not a known field"),
    ((*MODEL, "filename"), "../x.pth", "filename is '../x.pth'; it must be a file name without"),
    ((*MODEL, "sources", 0, "kind"), "ftp", "kind is 'ftp'; it must be one of"),
    ((*MODEL, "sources", 0, "sha256"), "abc", "sha256 is 'abc'; it must be 64"),
    ((*MODEL, "sources", 0, "filename"), "a/b", "filename is 'a/b'"),
    ((*MODEL, "hub"), {"repo_id": "a/b"}, "hub.filename is missing"),
    (("models", "../x"), {}, "models.../x: release is missing"),
    (("models", "resnet18_kinetics"), 5, "the entry is 5; it must be an object"),
    (("releases", "cvpr2018", "input", "mean"), ["a"], "input.mean is .*a list of numbers"),
    (("releases", "cvpr2018", "input", "std"), [1, 1, 0], "each std must be above 0"),
    (("releases", "cvpr2018", "input", "antialias"), 1, "antialias is 1; it must be true or false"),
    (("releases", "cvpr2018", "input", "resize_mode"), "fit", "resize_mode is 'fit'"),
    (("releases", "cvpr2018", "license", "weights"), DROP, "license.weights is missing"),
    (("data", "kinetics400", "class_names_file"), DROP, "give either class_names_file or"),
]
# What only the reader can see, because it takes more than one field or a look at the disk
BROKEN_BETWEEN_FIELDS: list[tuple[tuple[str | int, ...], Any, str]] = [
    ((*MODEL, "release"), "2017", "'2017' is not in releases, which has cvpr2018"),
    ((*MODEL, "data"), "imagenet", "'imagenet' is not in data, which has kinetics400"),
    ((*MODEL, "num_classes"), 401, "classes has 400 names but num_classes is 401"),
    ((*MODEL, "stages", "logits"), [5], r"stages.logits must be \[400\]"),
    ((*MODEL, "sources"), [], "status is 'download' without a url, gdrive or hub source"),
    ((*MODEL, "sources", 0, "location"), "file:///etc/passwd", "location is 'file:///etc/passwd'"),
    (("data", "kinetics400", "class_names_file"), "gone.txt", "class_names_file is .*gone.txt"),
    (("releases", "cvpr2018", "input", "crop_size"), 500, "crop_size is 500"),
]


@pytest.mark.parametrize(("path", "value", "message"), BROKEN + BROKEN_BETWEEN_FIELDS)
def test_broken_manifest_is_refused_with_entry_field_and_rule(
    use: Callable[[Any], Path], path: tuple[str | int, ...], value: Any, message: str
) -> None:
    file = use(changed(path, value))
    with pytest.raises(ManifestError, match=message) as caught:
        load_manifest()
    assert str(caught.value).startswith(f"{file}: ")
    assert "unset C3DHUB_MANIFEST" in str(caught.value)


@pytest.mark.parametrize(("path", "value", "_message"), BROKEN)
def test_schema_refuses_what_the_reader_refuses(
    path: tuple[str | int, ...], value: Any, _message: str
) -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(changed(path, value), schema)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Expecting value"),
        ("{", "line 1"),
        ("[]", r"the manifest is \[\]; it must be an object"),
        ('{"models": {}, "models": {}}', "models is given twice"),
        ('{"a":' * 100_000, "recursion"),
    ],
)
def test_text_that_is_no_manifest_is_refused(
    use: Callable[[Any], Path], text: str, message: str
) -> None:
    use(text)
    with pytest.raises(ManifestError, match=message):
        load_manifest()


def test_unreadable_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("C3DHUB_MANIFEST", str(tmp_path / "gone.json"))
    with pytest.raises(ManifestError, match=r"gone.json: cannot be read: No such file"):
        load_manifest()
    monkeypatch.setenv("C3DHUB_MANIFEST", str(tmp_path))
    with pytest.raises(ManifestError, match="cannot be read: Is a directory"):
        load_manifest()
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    monkeypatch.setenv("C3DHUB_MANIFEST", str(tmp_path / "binary.json"))
    with pytest.raises(ManifestError, match="can't decode"):
        load_manifest()


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
