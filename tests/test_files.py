"""Files appear whole or not at all, and hashes are those of hashlib."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from c3dhub.base.files import atomic_path, sha256_of


def write(target: Path, content: bytes) -> None:
    with atomic_path(target) as temporary:
        temporary.write_bytes(content)


def test_hash_is_that_of_hashlib_over_several_pieces(tmp_path: Path) -> None:
    content = os.urandom((1 << 20) + 7)
    path = tmp_path / "x"
    path.write_bytes(content)
    assert sha256_of(path) == hashlib.sha256(content).hexdigest()
    assert sha256_of(str(path), algorithm="sha1") == hashlib.sha1(content).hexdigest()


def test_content_appears_under_the_target_alone(tmp_path: Path) -> None:
    target = tmp_path / "out.json"
    write(target, b"new")
    assert target.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [target]


def test_temporary_file_is_beside_the_target_with_its_suffix(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "out.json") as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".json"
        assert not (tmp_path / "out.json").exists()


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_error_leaves_the_old_content_and_nothing_else(
    tmp_path: Path, error: BaseException
) -> None:
    target = tmp_path / "out.json"
    write(target, b"old")

    def fail() -> None:
        with atomic_path(target) as temporary:
            temporary.write_bytes(b"half")
            raise error

    with pytest.raises(type(error)):
        fail()
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_folder_as_target_is_an_error_that_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    target.mkdir()
    with pytest.raises(OSError, match="folder"):
        write(target, b"x")
    assert list(tmp_path.iterdir()) == [target]


def test_temporary_file_that_the_block_removed_is_an_error(tmp_path: Path) -> None:
    def remove() -> None:
        with atomic_path(tmp_path / "x") as temporary:
            temporary.unlink()

    with pytest.raises(FileNotFoundError):
        remove()
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="permissions as on POSIX")
def test_permissions_are_those_of_the_umask(tmp_path: Path) -> None:
    write(tmp_path / "ours", b"x")
    (tmp_path / "plain").write_bytes(b"x")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_long_names_leave_room_for_the_temporary_name(tmp_path: Path) -> None:
    target = tmp_path / ("ä" * 110 + ".safetensors")
    write(target, b"x")
    assert target.read_bytes() == b"x"


def test_a_pipe_is_refused_and_stays(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="a device, a pipe or a socket"), atomic_path(pipe):
        pytest.fail("nothing must be written")
    assert pipe.is_fifo()
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_a_link_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    real, link = tmp_path / "there" / "real.txt", tmp_path / "link.txt"
    real.write_text("old")
    link.symlink_to(real)
    with atomic_path(link) as temporary:
        temporary.write_text("new")
    assert link.is_symlink()
    assert real.read_text() == "new"
