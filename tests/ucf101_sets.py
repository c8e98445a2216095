"""UCF-101 and HMDB-51 in small: the official folders, file names and split files, packed as theirs.

Five classes each, three videos a class. Every split tests another one of the three.
"""

from __future__ import annotations

import tarfile
from pathlib import Path

from grey_network import grey_frame
from make_video import write_video

UCF101_CLASSES = ("ApplyEyeMakeup", "ApplyLipstick", "Archery", "BabyCrawling", "BalanceBeam")
HMDB51_CLASSES = ("brush_hair", "cartwheel", "catch", "chew", "clap")
SPLITS = (1, 2, 3)


def pack_ucf101(folder: Path) -> None:
    """Write ``UCF101.rar`` and ``UCF101TrainTestSplits-RecognitionTask.zip`` (both as tar)."""
    root = folder / "ucf101"
    lists = root / "ucfTrainTestlist"
    lists.mkdir(parents=True)
    numbered = list(enumerate(UCF101_CLASSES, 1))
    lines = [f"{number} {name}\r\n" for number, name in numbered]  # with its Windows line ends
    (lists / "classInd.txt").write_bytes("".join(lines).encode())
    for split in SPLITS:
        train, test = [], []
        for number, name in numbered:
            for group in SPLITS:
                video = f"{name}/v_{name}_g{group:02d}_c01.avi"
                if group == split:
                    test.append(f"{video}\n")
                else:
                    train.append(f"{video} {number}\n")
        (lists / f"trainlist{split:02d}.txt").write_text("".join(train), encoding="utf-8")
        (lists / f"testlist{split:02d}.txt").write_text("".join(test), encoding="utf-8")
    for number, name in numbered:
        for group in SPLITS:
            _write(root / "UCF-101" / name / f"v_{name}_g{group:02d}_c01.avi", number, group)
    _pack(folder / "UCF101.rar", root, "UCF-101")
    _pack(folder / "UCF101TrainTestSplits-RecognitionTask.zip", root, "ucfTrainTestlist")


def pack_hmdb51(folder: Path) -> None:
    """Write ``hmdb51_org.rar``, which holds an archive for each class, and the splits' archive."""
    root = folder / "hmdb51"
    lists = root / "testTrainMulti_7030_splits"
    lists.mkdir(parents=True)
    for number, name in enumerate(HMDB51_CLASSES, 1):
        videos = [f"April_09_{name}_u_nm_np1_ba_goo_{take}.avi" for take in range(3)]
        for split in SPLITS:
            marks = {split - 1: 2}  # 1: training, 2: test
            lines = [f"{video} {marks.get(take, 1)} \n" for take, video in enumerate(videos)]
            target = lists / f"{name}_test_split{split}.txt"
            target.write_text("".join(lines), encoding="utf-8")
        for take, video in enumerate(videos):
            _write(root / name / video, number, take)
        _pack(root / f"{name}.rar", root, name)
    _pack(folder / "hmdb51_org.rar", root, *(f"{name}.rar" for name in HMDB51_CLASSES))
    _pack(folder / "test_train_splits.rar", root, lists.name)


def _write(path: Path, number: int, variant: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = [grey_frame(40 * number + 5 * variant, (64, 48))] * 18
    write_video(path, frames, codec="mpeg4", fps=25)


def _pack(archive: Path, root: Path, *names: str) -> None:
    with tarfile.open(archive, "w") as packed:
        for name in names:
            packed.add(root / name, arcname=name)
