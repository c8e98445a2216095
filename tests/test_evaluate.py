"""Accuracies of networks whose answers are known, and of real ones against plain computations."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from grey_network import LEVELS, NAMES, GreyNetwork, grey_frame, grey_logits, grey_video
from make_video import write_image, write_video

import c3dhub
from c3dhub.base.errors import C3DHubError, DatasetError
from c3dhub.extract import extract_features
from c3dhub.extraction.predictions import softmax
from c3dhub.learning.datasets import VideoItem, VideoList
from c3dhub.learning.evaluation import Evaluation
from c3dhub.networks import VideoNetwork


def listed(*videos: tuple[Path, int], classes: tuple[str, ...] = NAMES) -> VideoList:
    return VideoList(tuple(VideoItem(path, label) for path, label in videos), classes, "greys")


def evaluate(data: VideoList, model: VideoNetwork | None = None, **options: object) -> Evaluation:
    return c3dhub.evaluate(data, model=model or GreyNetwork(), **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def greys(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return one short video for each level."""
    folder = tmp_path_factory.mktemp("greys")
    return [
        grey_video(folder / f"{name}.mov", [level] * 3)
        for name, level in zip(NAMES, LEVELS, strict=True)
    ]


def test_known_answers_give_known_figures(greys: list[Path]) -> None:
    # Labels: right, right, next best, worst of six.
    data = listed((greys[0], 0), (greys[1], 1), (greys[2], 1), (greys[5], 0))
    found = evaluate(data)
    assert found.video == found.clip  # one clip each
    assert (found.video.n, found.video.top1, found.video.top5) == (4, 0.5, 0.75)
    assert found.video.average == 0.625
    assert [answer.rank for answer in found.answers] == [0, 0, 1, 5]
    assert [answer.label for answer in found.answers] == ["black", "coal", "coal", "black"]
    assert [p["label"] for p in found.answers[0].predictions] == list(NAMES[:5])
    expected = softmax(grey_logits(20).astype(np.float32))
    scores = [p["score"] for p in found.answers[0].predictions]
    assert scores == pytest.approx(expected[:5], rel=1e-4)
    classes = {each.name: each.accuracy for each in found.per_class}
    assert classes["black"] is not None
    assert (classes["black"].n, classes["black"].top1, classes["black"].top5) == (2, 0.5, 0.5)
    assert classes["ash"] is None
    assert found.mean_class_top1 == pytest.approx((0.5 + 0.5) / 2)
    low, high = found.top1_interval
    assert (low, high) == pytest.approx((0.15004, 0.84996), abs=1e-5)
    assert repr(found) == (
        "Evaluation(4 videos: top-1 50.0% (15.0% to 85.0%), top-5 75.0%; 4 clips: top-1 50.0%)"
    )


def test_a_video_is_the_mean_of_the_softmax_over_its_clips(tmp_path: Path) -> None:
    # Two sure clips of 60 against one of 180: clips and video disagree about the third.
    video = grey_video(tmp_path / "v.mov", [60] * 32 + [180] * 16)
    found = evaluate(listed((video, 1)))
    assert found.clip.n == 3
    assert found.clip.top1 == pytest.approx(2 / 3)
    assert (found.video.n, found.video.top1) == (1, 1.0)
    scores = softmax(np.stack([grey_logits(60), grey_logits(60), grey_logits(180)]).astype("f4"))
    best = found.answers[0].predictions[0]
    assert best["label"] == "coal"
    assert best["score"] == pytest.approx(scores.mean(0)[1], rel=1e-4)
    assert found.answers[0].n_clips == 3


def test_clips_are_cut_as_asked(tmp_path: Path) -> None:
    video = grey_video(tmp_path / "v.mov", [20] * 40)
    data = listed((video, 0))
    assert evaluate(data).clip.n == 3
    assert evaluate(data, clip_len=8, clip_stride=4).clip.n == 10  # 0, 4 .. 32, and 36 looped
    assert evaluate(data, frame_stride=2).clip.n == 2
    assert evaluate(data, fps=5).clip.n == 2
    words = evaluate(data, clip_len=8, clip_stride=4, fps=5).protocol
    assert "Clips of 8 consecutive frames at 5 frames per second, one every 4 frames (over" in words
    words = evaluate(data, clip_stride=20, frame_stride=2, clip_len=4).protocol
    assert (
        "4 frames, one out of 2 at the video's own rate, one every 20 frames (with gaps)" in words
    )


def test_start_and_end_of_an_item_are_kept_to(tmp_path: Path) -> None:
    video = grey_video(tmp_path / "v.mov", [20] * 20 + [220] * 20, fps=10)
    items = (
        VideoItem(video, 0, end=2.0),
        VideoItem(video, 5, start=2.0),
        VideoItem(video, 5, start=2.5, end=2.6),
    )
    found = evaluate(VideoList(items, NAMES))
    assert found.video.top1 == found.clip.top1 == 1.0
    assert [answer.n_clips for answer in found.answers] == [2, 2, 1]
    beyond = VideoItem(video, 5, start=9.0)
    found = evaluate(VideoList((*items, beyond), NAMES))
    assert [(each.path, each.position) for each in found.broken] == [(str(video), 3)]
    assert "no frame lies between start=9.0" in found.broken[0].reason


@pytest.mark.parametrize("crops", ["center", "three", "ten"])
def test_batches_of_any_size_across_videos_change_nothing(tmp_path: Path, crops: str) -> None:
    lengths = (5, 40, 16, 33)
    levels = (20, 60, 100, 140)
    paths = [
        grey_video(tmp_path / f"{n}.mov", [level] * n)
        for n, level in zip(lengths, levels, strict=True)
    ]
    data = listed(*[(path, label) for label, path in enumerate(paths)])
    for size in (1, 3, 7, 64):
        found = evaluate(data, batch_size=size, crops=crops)
        assert [answer.rank for answer in found.answers] == [0, 0, 0, 0]
        assert [answer.n_clips for answer in found.answers] == [1, 3, 1, 3]


def test_a_real_network_agrees_with_plain_computation(tmp_path: Path, tiny: VideoNetwork) -> None:
    paths = [write_video(tmp_path / f"{n}.mp4", n, fps=10) for n in (4, 20, 40)]
    classes = ("a", "b", "c", "d", "e")
    data = listed(*[(path, label) for label, path in enumerate(paths)], classes=classes)
    found = evaluate(data, tiny, precision="float32")
    ranks, clips = [], []
    for answer, path in zip(found.answers, paths, strict=True):
        scores = softmax(extract_features(path, model=tiny, stages=("logits",))["logits"])
        mean, label = scores.mean(axis=0), answer.item.label
        assert [p["index"] for p in answer.predictions] == np.argsort(-mean).tolist()
        expected = np.sort(mean)[::-1]
        assert [p["score"] for p in answer.predictions] == pytest.approx(expected, rel=1e-5)
        ranks.append(int((mean > mean[label]).sum()))
        clips += [int((row > row[label]).sum()) for row in scores]
    assert [answer.rank for answer in found.answers] == ranks
    assert found.clip.top1 == pytest.approx(np.mean([rank == 0 for rank in clips]))
    assert found.clip.n == len(clips)
    assert found.video.top5 == 1.0  # of five classes
    assert "matched by index, the network has no class names" in found.protocol
    assert found.provenance["precision"] == "float32"
    assert found.provenance["clip_rule"]["clip_stride"] == 16


def test_classes_go_by_name_whatever_their_order(greys: list[Path]) -> None:
    data = listed((greys[5], 0), (greys[0], 1), classes=("Snow", "black"))
    found = evaluate(data)
    assert found.video.top1 == 1.0
    assert [each.output for each in found.per_class] == [5, 0]
    assert "matched by name" in found.protocol
    assert "all 6 outputs, 2 of which the data has" in found.protocol
    with pytest.raises(DatasetError, match=r"'cole' Did you mean coal\?"):
        evaluate(listed((greys[0], 0), classes=("black", "cole")))


def test_below_five_classes_there_is_no_top5(greys: list[Path]) -> None:
    network = GreyNetwork((20, 60, 100), classes=None)
    found = evaluate(listed((greys[0], 0), classes=("a", "b", "c")), network)
    assert found.video.top5 is None
    assert found.video.average is None
    assert "top-5" not in repr(found)
    assert found.to_dict()["video"]["top5"] is None
    assert [p["label"] for p in found.answers[0].predictions] == ["a", "b", "c"]


def test_broken_videos_are_listed_and_in_no_figure(greys: list[Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video at all")
    data = listed((broken, 0), (greys[0], 0), (tmp_path / "gone.mp4", 1), (greys[1], 1))
    found = evaluate(data)
    assert [each.path for each in found.broken] == [str(broken), str(tmp_path / "gone.mp4")]
    assert "damaged" in found.broken[0].reason
    assert (found.video.n, found.video.top1) == (2, 1.0)
    assert "2 broken" in repr(found)
    assert [entry["path"] for entry in found.to_dict()["broken"]] == [
        str(broken), str(tmp_path / "gone.mp4"),
    ]  # fmt: skip
    with pytest.raises(DatasetError, match="greys: none of its 1 videos can be read; the first"):
        evaluate(listed((broken, 0)))


def test_a_video_that_breaks_off_counts_with_a_warning_or_not_at_all(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(20):
        write_image(folder / f"{number:05d}.png", grey_frame(20), codec="png")
    (folder / "00018.png").write_bytes(b"\x89PNG\r\n\x1a\n and nothing more")
    found = evaluate(listed((folder, 0)))
    assert (found.video.n, found.clip.n) == (1, 2)
    assert [each.path for each in found.warnings] == [str(folder)]
    assert found.warnings[0].reason.startswith("decoding stopped at frame 18")
    assert found.to_dict()["warnings"][0]["path"] == str(folder)
    with pytest.raises(DatasetError, match="stopped at frame 18"):
        evaluate(listed((folder, 0)), errors="strict")


def test_values_that_are_no_numbers_are_an_error(greys: list[Path]) -> None:
    network = GreyNetwork((20, float("nan"), 100), classes=None)
    with pytest.raises(C3DHubError, match=r"black\.mov: the network gives values that are no num"):
        evaluate(listed((greys[0], 0), classes=("a", "b", "c")), network)


def test_wrong_options_are_refused(greys: list[Path]) -> None:
    data = listed((greys[0], 0))
    with pytest.raises(
        ValueError, match=r"crops is 'tree'; it must be one of center, three, ten\. Did you"
    ):
        evaluate(data, crops="tree")
    with pytest.raises(ValueError, match="subset is 'test', but data is a VideoList"):
        evaluate(data, subset="test")
    with pytest.raises(ValueError, match="batch_size is 0"):
        evaluate(data, batch_size=0)
    with pytest.raises(DatasetError, match="greys has no videos to evaluate"):
        evaluate(listed())
    with pytest.raises(DatasetError, match="the list of videos has no videos"):
        evaluate(VideoList((), NAMES))
    with pytest.raises(DatasetError, match="6 classes and the network, whose classes have no"):
        evaluate(data, GreyNetwork((20, 60), classes=None))
    four = c3dhub.create_model("resnet10", in_channels=4, width=8, device="cpu")
    with pytest.raises(ValueError, match="takes 4 channels"):
        evaluate(data, four)


def test_a_folder_with_a_model_in_a_folder(
    greys: list[Path], tmp_path: Path, tiny: VideoNetwork
) -> None:
    data = tmp_path / "data"
    for name in "abcde":
        (data / name).mkdir(parents=True)
        (data / name / "v.mov").write_bytes(greys[0].read_bytes())
    model = tiny.save_pretrained(tmp_path / "model")
    found = c3dhub.evaluate(data, model=model, device="cpu")
    assert (found.video.n, found.video.top1, found.video.top5) == (5, 0.2, 1.0)


def test_predictions_are_written_as_a_table(greys: list[Path], tmp_path: Path) -> None:
    items = (VideoItem(greys[0], 0), VideoItem(greys[3], 1, start=0.0, end=0.2))
    found = evaluate(VideoList(items, NAMES))
    target = found.save_predictions(tmp_path / "p.csv")
    with target.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert rows[0]["path"] == str(greys[0])
    assert (rows[0]["start"], rows[0]["end"], rows[1]["end"]) == ("", "", "0.2")
    assert [row["label"] for row in rows] == ["black", "coal"]
    assert [row["rank"] for row in rows] == ["1", "4"]
    assert [row["top1"] for row in rows] == ["black", "stone"]
    assert float(rows[0]["score1"]) == pytest.approx(found.answers[0].predictions[0]["score"], 1e-5)
    assert list(rows[0])[-2:] == ["top5", "score5"]
    assert [path.name for path in tmp_path.iterdir()] == ["p.csv"]
    with pytest.raises(OSError, match="gone"):
        found.save_predictions(tmp_path / "gone" / "p.csv")
    json.dumps(found.to_dict())
