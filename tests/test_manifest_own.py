"""A manifest of one's own in place of the shipped one, and what a broken one gets."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from manifest_schema import manifest_schema

import c3dhub
from c3dhub.base.errors import CheckpointError, ManifestError
from c3dhub.registry import manifest
from c3dhub.registry.config import ModelConfig
from c3dhub.registry.entries import HubFile
from c3dhub.registry.manifest import list_models, load_manifest, model_info

MANIFEST = Path(c3dhub.__file__).parent.parent / "weights_manifest.json"


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
    assert len(load_manifest()) == 41


def test_hub_file_is_read(use: Callable[[Any], Path]) -> None:
    mine = document()
    hub = {"repo_id": "lab/r", "filename": "m.safetensors", "revision": "a1", "sha256": "0" * 64}
    mine["models"]["resnet152_kinetics"] |= {"hub": {**hub, "size": 9}, "status": "download"}
    use(mine)
    assert model_info("resnet152_kinetics").hub == HubFile(**hub, size=9)
    jsonschema.validate(mine, manifest_schema())


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
    assert len(list_models()) == 41


def test_empty_variable_means_the_shipped_manifest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("C3DHUB_MANIFEST", "")
    assert len(list_models()) == 41


def test_manifest_inside_the_package_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "c3dhub" / "registry"
    package.mkdir(parents=True)
    monkeypatch.setattr(manifest, "_ROOM", package)
    with pytest.raises(ManifestError, match="install c3dhub again"):
        load_manifest()
    (tmp_path / "weights_manifest.json").write_text(MANIFEST.read_text(encoding="utf-8"))
    assert len(load_manifest()) == 41
    (package / "weights_manifest.json").write_text("{}")
    with pytest.raises(ManifestError, match="schema_version is missing"):
        load_manifest()


def test_null_and_empty_text_stand_for_what_may_be_missing(use: Callable[[Any], Path]) -> None:
    mine = document()
    mine["models"]["resnet18_kinetics"]["sources"][0] |= {"note": None, "sha256": "", "sha1": None}
    mine["models"]["resnet18_kinetics"] |= {"options": None, "note": "", "bundled": None}
    use(mine)
    entry = model_info("resnet18_kinetics")
    source = entry.sources[0]
    assert (source.note, source.sha256, source.sha1) == ("", None, None)
    assert (entry.config.options, entry.note, entry.bundled) == ({}, "", None)


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
    ((*MODEL, "hub"), {}, "hub.repo_id is missing; it must be text"),
    (("releases", "unused"), {}, "releases.unused.title is missing"),
    (("releases", "cvpr2018", "input", "resize_size"), [112.5], r"resize_size is \[112.5\]; it"),
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
    (("releases", "cvpr2018", "input", "mean"), [1, 2, 10**400], "mean is .*list of numbers"),
    (("releases", "cvpr2018", "input", "mean"), [1, 2, math.nan], "mean is .*list of numbers"),
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
    schema = manifest_schema()
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


# config.json, which is read by the same rules -----------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("name", 3, "name is 3; it must be text"),
        ("num_classes", True, "num_classes is True; it must be a whole number above 0"),
        ("clip_len", DROP, "clip_len is missing; it must be a whole number above 0"),
        ("clases", [], "clases is not a known field; remove it. Did you mean classes"),
        ("classes", ["walk"], "classes has 1 names but num_classes is 400"),
        ("classes", [1], r"classes is \[1\]; it must be a list of texts"),
        ("input", {"max_value": 0}, "input.max_value is 0; it must be a number above 0"),
    ],
)
def test_broken_config_is_refused_with_field_and_rule(
    tmp_path: Path, field: str, value: Any, message: str
) -> None:
    config = model_info("resnet18_kinetics").config.to_dict()
    assert ModelConfig.from_dict(config).to_dict() == config
    broken = {key: v for key, v in {**config, field: value}.items() if v is not DROP}
    file = tmp_path / "config.json"
    file.write_text(json.dumps(broken), encoding="utf-8")
    with pytest.raises(CheckpointError, match=f"not a c3dhub model config: {message}") as caught:
        ModelConfig.from_file(file)
    assert str(caught.value).startswith(f"{file}: ")


@pytest.mark.parametrize("value", [0, None, True, 3.0])
def test_config_made_in_python_is_checked_by_the_same_rules(value: Any) -> None:
    config = model_info("resnet18_kinetics").config
    with pytest.raises(ValueError, match=f"in_channels is .*{value or ''}.*a whole number above 0"):
        replace(config, in_channels=value)
