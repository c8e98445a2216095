"""The Features value: what it shows, what it refuses, and that a file holds all of it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from c3dhub.base.errors import FeaturesError, UnknownStageError
from c3dhub.extraction.features import Features, load_features


def make(n_clips: int = 3) -> Features:
    rng = np.random.default_rng(0)
    starts = np.arange(n_clips) * 16
    return Features(
        arrays={
            "avgpool": rng.normal(size=(n_clips, 4)).astype(np.float32),
            "logits": rng.normal(size=(n_clips, 2)).astype(np.float32),
        },
        start_seconds=starts / 30,
        end_seconds=(starts + 16) / 30,
        start_frame=starts,
        end_frame=starts + 16,
        n_valid_frames=np.full(n_clips, 16),
        provenance={"model": {"name": "resnet10"}, "source": {"name": "a<b>.mp4"}, "pool": True},
        warnings=("decoding stopped at frame 28: invalid data",),
    )


@pytest.mark.parametrize("n_clips", [3, 0])
def test_a_saved_file_gives_the_same_features(tmp_path: Path, n_clips: int) -> None:
    features = make(n_clips)
    again = load_features(features.save(tmp_path / "f.safetensors"))
    assert again.stages == ("avgpool", "logits")
    for name, array in features.to_numpy().items():
        np.testing.assert_array_equal(again.to_numpy()[name], array)
        assert again.to_numpy()[name].dtype == array.dtype
    assert again.provenance == features.provenance
    assert again.warnings == features.warnings
    assert [p.name for p in tmp_path.iterdir()] == ["f.safetensors"]


def test_the_file_is_ordinary_safetensors(tmp_path: Path) -> None:
    make().save(tmp_path / "f.safetensors")
    assert load_file(tmp_path / "f.safetensors")["avgpool"].shape == (3, 4)


@pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
def test_the_file_can_be_read_by_whom_the_umask_allows(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        path = make().save(tmp_path / "f.safetensors")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o640


def test_arrays_that_are_not_contiguous_are_saved_right(tmp_path: Path) -> None:
    features = make()
    turned = Features(**{**vars(features), "arrays": {"avgpool": np.ones((4, 3), np.float32).T}})
    again = load_features(turned.save(tmp_path / "f.safetensors"))
    np.testing.assert_array_equal(again.pooled, np.ones((3, 4)))


def test_a_failed_save_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = make().save(tmp_path / "f.safetensors")
    before = target.read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("c3dhub.extraction.features.save_file", full)
    with pytest.raises(FeaturesError, match="No space left on device"):
        make(2).save(target)
    assert target.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["f.safetensors"]


def test_a_missing_folder_is_an_error_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(FeaturesError, match="give a path in a folder that exists"):
        make().save(tmp_path / "no" / "f.safetensors")


@pytest.mark.parametrize("content", [b"", b"not safetensors at all", b"\x02\0\0\0\0\0\0\0{}"])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(FeaturesError, match=r"x\.safetensors"):
        load_features(path)


def test_a_weight_file_is_not_taken_for_features(tmp_path: Path) -> None:
    save_file({"fc.weight": np.zeros(3)}, tmp_path / "w.safetensors", metadata={"format": "pt"})
    with pytest.raises(FeaturesError, match="header says format 'pt'"):
        load_features(tmp_path / "w.safetensors")


def test_a_missing_file_is_a_features_error(tmp_path: Path) -> None:
    with pytest.raises(FeaturesError, match="cannot read it"):
        load_features(tmp_path / "no.safetensors")


def test_an_absent_stage_names_those_that_are_there() -> None:
    with pytest.raises(UnknownStageError, match=r"no stage 'logit', only avgpool, logits.*Did you"):
        make()["logit"]


def test_rows_must_agree() -> None:
    with pytest.raises(ValueError, match="each needs one row per clip"):
        Features(**{**vars(make()), "start_frame": np.arange(2)})


def test_repr_and_html_tell_shapes_and_are_safe() -> None:
    features = make(12)
    assert "avgpool (12, 4), logits (12, 2)" in repr(features)
    assert "1 warning(s)" in repr(features)
    page = features._repr_html_()
    assert "<table>" in page
    assert "and 2 more clips" in page
    assert "a&lt;b&gt;.mp4" in page
    assert "no clips" in repr(make(0))
    assert len(features) == 12


def test_pandas_gives_a_row_per_clip() -> None:
    pytest.importorskip("pandas")
    table = make().to_pandas()
    assert list(table.columns[:5]) == [
        "start_seconds", "end_seconds", "start_frame", "end_frame", "n_valid_frames",
    ]  # fmt: skip
    assert table["avgpool_3"].to_numpy() == pytest.approx(make().pooled[:, 3])
    maps = Features(**{**vars(make()), "arrays": {"layer4": np.zeros((3, 2, 1, 4, 4), np.float32)}})
    with pytest.raises(ValueError, match="pool=True"):
        maps.to_pandas()


def test_without_pandas_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"pip install 'c3dhub\[pandas\]'"):
        make().to_pandas()


def test_features_need_no_torch() -> None:
    import subprocess

    code = "import c3dhub.extraction.features, sys, json; print(json.dumps('torch' in sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(out.stdout) is False
