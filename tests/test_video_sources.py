"""Where videos come from: paths, memory, file objects, pipes, URLs."""

from __future__ import annotations

import hashlib
import io
import os
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from make_video import frame_number, numbered_image, write_image, write_video

from c3dhub.base.errors import VideoError
from c3dhub.video import Video, open_video

N = 12


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_video(tmp_path / "video.mp4", N, audio_seconds=0.2)


@pytest.fixture
def data(path: Path) -> bytes:
    return path.read_bytes()


def check(video: Video, data: bytes, name: str) -> None:
    """Read it to the end, hashing it in another thread meanwhile."""
    digests: list[str | None] = []
    hashing = threading.Thread(target=lambda: digests.append(video.sha256()))
    with video:
        rows = iter(video)
        first = next(rows)
        hashing.start()
        assert [frame_number(f.to_rgb()) for f in (first, *rows)] == list(range(N))
        hashing.join(30)
    assert digests == [hashlib.sha256(data).hexdigest()]
    assert (video.name, video.size_bytes, video.warnings) == (name, len(data), [])


def test_paths_as_text_and_as_path(path: Path, data: bytes) -> None:
    check(open_video(path), data, str(path))
    check(open_video(str(path)), data, str(path))


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes(data: bytes, kind: type[Any]) -> None:
    check(open_video(kind(data)), data, "<bytes>")


def test_file_objects_are_read_from_their_start_and_stay_open(path: Path, data: bytes) -> None:
    with path.open("rb") as file:
        file.seek(100)
        check(open_video(file), data, str(path))
        assert not file.closed
    check(open_video(io.BytesIO(data)), data, "<file>")


class Pipe(io.RawIOBase):
    """Reads in small pieces and cannot seek."""

    def __init__(self, data: bytes) -> None:
        self.source = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        return self.source.readinto(memoryview(buffer)[:777])


def test_a_file_object_that_cannot_seek_is_spooled(data: bytes) -> None:
    video = open_video(io.BufferedReader(Pipe(data)))
    check_before_close = video.sha256()
    check(video, data, "<file>")
    assert check_before_close == hashlib.sha256(data).hexdigest()
    assert video.sha256() is None  # the copy has gone


def test_an_object_with_nothing_but_read_will_do(data: bytes) -> None:
    class Minimal:
        read = io.BytesIO(data).read

    check(open_video(Minimal()), data, "<file>")  # type: ignore[arg-type]


def test_reads_that_give_too_much_or_seeks_that_give_nothing_do_no_harm(data: bytes) -> None:
    class Sloppy:
        def __init__(self) -> None:
            self.file = io.BytesIO(data)

        def read(self, size: int = -1) -> bytes:
            return self.file.read(size + 5 if size > 0 else size)

        def seek(self, *where: int) -> None:
            self.file.seek(*where)

        def tell(self) -> int:
            return self.file.tell()

    check(open_video(Sloppy()), data, "<file>")  # type: ignore[arg-type]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_named_pipe_is_spooled(tmp_path: Path, data: bytes) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(data,))
    writer.start()
    video = open_video(pipe)
    writer.join(10)
    check(video, data, str(pipe))


def test_text_files_are_a_type_error(path: Path) -> None:
    with (
        path.open(encoding="latin-1") as file,
        pytest.raises(TypeError, match='open\\(path, "rb"\\)'),
    ):
        open_video(file)  # type: ignore[arg-type]


class Broken(io.BytesIO):
    """Fails at byte ``limit``, with an error of no particular family."""

    limit = 0

    def read(self, size: int | None = -1, /) -> bytes:
        if size and self.tell() >= self.limit:
            raise LookupError("the line went dead")
        return super().read(size)


@pytest.mark.parametrize("seekable", [True, False])
def test_a_file_object_that_fails_is_a_video_error(
    data: bytes, seekable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = Broken(data)
    if not seekable:
        monkeypatch.setattr(file, "seekable", lambda: False, raising=False)
        with pytest.raises(LookupError):  # copying is plain reading: the caller's error is clearest
            open_video(file)
        return
    with pytest.raises(VideoError, match="the line went dead"):
        open_video(file)


def test_a_file_object_that_fails_later_keeps_what_came_before(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (60, 96, 128, 3), dtype=np.uint8)
    how = {"options": {"crf": "5"}, "container_options": {"movflags": "faststart"}}
    path = write_video(tmp_path / "big.mp4", noise, **how)  # type: ignore[arg-type]
    file = Broken(path.read_bytes())
    file.limit = 300_000
    with open_video(file, threads=2) as video:
        count = len(list(video))
        assert 5 < count < 60
        (warning,) = video.warnings
        assert warning.startswith(f"decoding stopped at frame {count}: reading failed: the line")
    with open_video(file, errors="strict") as video, pytest.raises(VideoError, match="stopped at"):
        list(video)


def test_a_closed_file_object_is_a_video_error(data: bytes) -> None:
    file = io.BytesIO(data)
    file.close()
    with pytest.raises(VideoError, match="cannot be read"):
        open_video(file)


def test_a_full_disk_while_spooling_is_a_video_error(
    data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("c3dhub.video.source.shutil.copyfileobj", full)
    with pytest.raises(VideoError, match=f"copying it to {tempfile.gettempdir()} failed"):
        open_video(io.BufferedReader(Pipe(data)))


def test_fsspec_urls(data: bytes) -> None:
    fsspec = pytest.importorskip("fsspec")
    fsspec.filesystem("memory").pipe("/clips/video.mp4", data)
    check(open_video("memory://clips/video.mp4"), data, "memory://clips/video.mp4")
    with pytest.raises(VideoError, match="the URL cannot be opened"):
        open_video("memory://clips/none.mp4")
    with pytest.raises(VideoError, match="the URL cannot be opened"):
        open_video("nosuchprotocol://clips/none.mp4")


def test_a_url_that_goes_away_is_a_video_error(data: bytes) -> None:
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    memory.pipe("/clips/gone.mp4", data)
    video = open_video("memory://clips/gone.mp4")
    memory.rm("/clips/gone.mp4")
    assert video.sha256() is None
    video.close()


def test_urls_without_fsspec_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(VideoError, match=r"s3:// needs fsspec; .*pip install 'c3dhub\[remote\]'"):
        open_video("s3://bucket/video.mp4")


def test_a_path_is_taken_literally(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        write_image(tmp_path / f"frame{number}.png", numbered_image(number), codec="png")
    pattern = write_image(tmp_path / "frame%d.png", numbered_image(77), codec="png")
    colon = tmp_path / "concat:a|b.mp4"
    write_video(tmp_path / "v.mp4", 3).rename(colon)
    monkeypatch.chdir(tmp_path)
    for source, expected in (
        (pattern, [77]),
        (Path("frame%d.png"), [77]),
        (Path(colon.name), [0, 1, 2]),
    ):
        with open_video(source) as video:
            assert [frame_number(frame.to_rgb()) for frame in video] == expected
