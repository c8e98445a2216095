"""VideoFeatures: the rows that extraction gives, each computed once, in scikit-learn's ways."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from labelled_videos import computed, six_videos, stored
from make_video import write_video
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

import c3dhub
from c3dhub.base.errors import DatasetError, VideoError
from c3dhub.extract import extract_features
from c3dhub.learning.probing.transformer import VideoFeatures
from c3dhub.networks import VideoNetwork


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return six_videos(tmp_path_factory.mktemp("videos"))


@pytest.fixture
def model(tiny: VideoNetwork, tmp_path: Path) -> str:
    return str(tiny.save_pretrained(tmp_path / "model"))


# What a row is


@pytest.mark.parametrize("pooling", ["mean", "max", "mean+max"])
def test_a_row_is_the_clips_features_pooled(
    pooling: Any, paths: list[Path], tiny: VideoNetwork
) -> None:
    stages = ("layer3", "avgpool")
    rows = VideoFeatures(tiny, stages=stages, pooling=pooling, clip_stride=4).fit_transform(paths)
    assert rows.dtype == np.float32
    for path, row in zip(paths, rows, strict=True):
        features = extract_features(path, model=tiny, stages=stages, clip_stride=4)
        parts = [features[stage] for stage in stages]
        mean, most = ([getattr(part, how)(axis=0) for part in parts] for how in ("mean", "max"))
        both = [value for pair in zip(mean, most, strict=True) for value in pair]
        expected = {"mean": mean, "max": most, "mean+max": both}[pooling]
        np.testing.assert_allclose(row, np.concatenate(expected), rtol=1e-5, atol=1e-5)


def test_names_of_the_columns(paths: list[Path], tiny: VideoNetwork) -> None:
    names = VideoFeatures(tiny, stages=("layer1", "avgpool")).get_feature_names_out()
    assert list(names[[0, 7, 8, -1]]) == ["layer1_0", "layer1_7", "avgpool_0", "avgpool_63"]
    both = VideoFeatures(tiny, pooling="mean+max").get_feature_names_out()
    assert list(both[[0, 64]]) == ["avgpool_mean_0", "avgpool_max_0"]


def test_all_settings_reach_the_extraction(paths: list[Path], tiny: VideoNetwork) -> None:
    options: dict[str, Any] = {"clip_len": 8, "clip_stride": 5, "frame_stride": 2, "fps": 15.0}
    more: dict[str, Any] = {"tail": "repeat_last", "precision": "float32", "device": "cpu"}
    [row] = VideoFeatures(tiny, **options, **more, batch_size=2).transform(paths[:1])
    expected = extract_features(paths[0], model=tiny, **options, **more)
    np.testing.assert_allclose(row, expected.pooled.mean(axis=0), rtol=1e-5, atol=1e-5)


# What goes in


def test_every_form_of_a_column_of_paths(paths: list[Path], tiny: VideoNetwork) -> None:
    texts = [str(path) for path in paths]
    features = VideoFeatures(tiny)
    rows = features.transform(texts)
    forms: list[Any] = [
        paths,
        tuple(texts),
        np.array(texts),
        np.array(paths, dtype=object),
        np.array(texts)[:, None],
        [[text] for text in texts],
        pd.Series(texts, index=range(10, 16)),
        pd.DataFrame({"path": texts}),
        [path.read_bytes() for path in paths],
    ]
    for form in forms:
        np.testing.assert_array_equal(features.transform(form), rows)


def test_frames_in_memory_are_videos_too(tiny: VideoNetwork) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 8, 24, 32, 3)).astype(np.uint8)
    rows = VideoFeatures(tiny).transform(frames)
    np.testing.assert_array_equal(rows, VideoFeatures(tiny).transform(list(frames)))


@pytest.mark.parametrize(
    ("given", "kind", "text"),
    [
        ("video.mp4", TypeError, "one video; give a sequence"),
        (Path("video.mp4"), TypeError, "one video"),
        (3, TypeError, "a sequence of videos"),
        ([], ValueError, "0 sample"),
        (np.zeros((0, 1)), ValueError, "0 sample"),
        (np.zeros((2, 1)), TypeError, r"X\[0\] is .*0\.0"),
        (["a.mp4", None], TypeError, r"X\[1\] is None"),
        (pd.DataFrame({"a": ["x"], "b": ["y"]}), ValueError, r"\(1, 2\).*one column"),
    ],
)
def test_what_is_no_column_of_videos(
    given: Any, kind: type[Exception], text: str, tiny: VideoNetwork
) -> None:
    for method in ("fit", "transform"):
        with pytest.raises(kind, match=text):
            getattr(VideoFeatures(tiny), method)(given)


@pytest.mark.parametrize(
    ("setting", "kind", "text"),
    [
        ({"pooling": "meen"}, ValueError, "pooling is 'meen'.*Did you mean mean"),
        ({"errors": "ignore"}, ValueError, "errors is 'ignore'"),
        ({"stages": ("layer9",)}, ValueError, "layer9"),
        ({"stages": "avgpool"}, TypeError, "sequence of names"),
        ({"clip_stride": 0}, ValueError, "clip_stride"),
        ({"batch_size": 0}, ValueError, "batch_size"),
        ({"precision": "float8"}, ValueError, "float8"),
        ({"cache": 7}, TypeError, "cache is 7"),
        ({"model": "resnet50_kinetic"}, c3dhub.UnknownModelError, "Did you mean"),
    ],
)
def test_wrong_settings_are_said_by_fit(
    setting: dict[str, Any], kind: type[Exception], text: str, tiny: VideoNetwork
) -> None:
    features = VideoFeatures(tiny).set_params(**setting)  # says nothing yet, as scikit-learn wants
    with pytest.raises(kind, match=text):
        features.fit(["a.mp4"])


# Broken videos


def test_a_broken_video_is_an_error_after_the_others_are_kept(
    paths: list[Path], tiny: VideoNetwork, home: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    with pytest.raises(VideoError, match=r"broken\.mp4"):
        VideoFeatures(tiny).transform([paths[0], broken, paths[1]])
    assert len(stored(home)) == 2
    missing = [tmp_path / f"{i}.mp4" for i in range(6)]
    with pytest.raises(DatasetError, match=r"(?s)7 of 8 videos.*broken\.mp4.*and 2 more"):
        VideoFeatures(tiny).transform([paths[0], broken, *missing])


def test_or_a_row_of_nan_and_a_warning(
    paths: list[Path], tiny: VideoNetwork, tmp_path: Path
) -> None:
    features = VideoFeatures(tiny, errors="nan")
    with pytest.warns(UserWarning, match=r"gone\.mp4"):
        rows = features.transform([tmp_path / "gone.mp4", paths[0]])
    assert np.isnan(rows[0]).all()
    assert not np.isnan(rows[1]).any()


def test_a_video_that_breaks_off_is_a_warning(tiny: VideoNetwork, tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.avi", 40, codec="mpeg4", options={"g": "1"}).read_bytes()
    half = tmp_path / "half.avi"
    half.write_bytes(whole[: len(whole) // 2] + bytes(len(whole) // 4))
    features = extract_features(half, model=tiny)
    if not features.warnings:
        pytest.skip("this decoder reads the damaged video without a complaint")
    with pytest.warns(UserWarning, match=r"X\[0\]: "):
        VideoFeatures(tiny).transform([half])


# scikit-learn's ways


def test_clones_share_the_network_and_pickles_of_names_hold_none(
    tiny: VideoNetwork, model: str, paths: list[Path]
) -> None:
    features = VideoFeatures(tiny, stages=["layer1"]).set_output(transform="pandas")
    twin = clone(features)
    assert twin.model is tiny
    assert twin.stages == ["layer1"]
    assert twin.stages is not features.stages
    assert list(twin.transform(paths[:1]).columns)[:2] == ["layer1_0", "layer1_1"]

    named = VideoFeatures(model, device="cpu").fit(paths)
    rows = named.transform(paths)
    data = pickle.dumps(named)
    assert len(data) < 2000
    np.testing.assert_array_equal(pickle.loads(data).transform(paths), rows)
    whole = pickle.loads(pickle.dumps(VideoFeatures(tiny)))  # the network goes along
    np.testing.assert_allclose(whole.transform(paths), rows, rtol=1e-5, atol=1e-5)


def test_set_output_gives_a_frame_with_the_index_of_the_input(
    tiny: VideoNetwork, paths: list[Path]
) -> None:
    series = pd.Series([str(path) for path in paths], index=list("abcdef"))
    frame = VideoFeatures(tiny).set_output(transform="pandas").fit_transform(series)
    assert list(frame.index) == list("abcdef")
    assert frame.columns[0] == "avgpool_0"
    assert (frame.dtypes == np.float32).all()


def test_pipeline_grid_search_and_column_transformer(
    model: str, paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = computed(monkeypatch)
    labels = [i % 3 for i in range(6)]
    steps = make_pipeline(VideoFeatures(model, device="cpu"), LogisticRegression(max_iter=2000))
    grid = {"videofeatures__pooling": ["mean", "max"], "logisticregression__C": [0.01, 1.0]}
    search = GridSearchCV(steps, grid, cv=2, error_score="raise").fit(paths, labels)
    assert search.predict(paths).tolist() == labels
    assert len(seen) == 6  # of 6 videos, whatever was fitted
    table = pd.DataFrame({"path": [str(path) for path in paths], "length": range(6)})
    columns = ColumnTransformer([("video", VideoFeatures(model), "path")], remainder="passthrough")
    assert columns.fit_transform(table).shape == (6, 65)


def test_several_jobs(model: str, paths: list[Path]) -> None:
    steps = make_pipeline(VideoFeatures(model, device="cpu"), LogisticRegression(max_iter=2000))
    with parallel_config("threading", n_jobs=2):  # processes: pickling, which is tested above
        scores = cross_val_score(steps, paths, [i % 3 for i in range(6)], cv=2)
    np.testing.assert_array_equal(scores, 1.0)


def test_new_weights_in_the_same_folder_are_seen(
    tiny: VideoNetwork, model: str, paths: list[Path]
) -> None:
    before = VideoFeatures(model, device="cpu").transform(paths[:1])
    time.sleep(0.01)
    changed = copy.deepcopy(tiny)
    changed.get_parameter("conv1.weight").data.mul_(2)
    changed.save_pretrained(model)
    after = VideoFeatures(model, device="cpu").transform(paths[:1])
    assert not np.array_equal(before, after)


def test_without_scikit_learn_the_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['sklearn'] = None\n"
        "import c3dhub\n"
        "for name in ('VideoFeatures', 'probe'):\n"
        "    try: getattr(c3dhub, name)('x', model='resnet50_kinetics')\n"
        "    except ImportError as error: print(name, error)\n"
        "from c3dhub.cli import main\n"
        "sys.exit(main(['probe', 'x', '--model', 'resnet50_kinetics']))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.count("pip install 'c3dhub[probe]'") == 2, done.stderr
    assert done.stderr.startswith("c3dhub: error: ")
    assert "pip install 'c3dhub[probe]'" in done.stderr
    assert done.returncode == 1


def test_scikit_learn_is_not_imported_before_it_is_needed() -> None:
    code = (
        "import sys, c3dhub; from c3dhub.cli import build_parser; build_parser()\n"
        "print('sklearn' in sys.modules, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
