"""Arrays and tensors as videos."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from make_video import frame_number, numbered_image

from c3dhub.video import VideoSource, open_video

ARRAY = np.stack([numbered_image(number) for number in range(5)])


def arrays() -> Iterator[VideoSource]:
    yield ARRAY
    yield ARRAY.transpose(1, 2, 3, 0).copy().transpose(3, 0, 1, 2)  # not contiguous
    yield torch.from_numpy(ARRAY)
    read_only = ARRAY.view()
    read_only.flags.writeable = False
    yield read_only


def test_arrays_and_tensors_are_videos() -> None:
    digests = set()
    for array in arrays():
        with open_video(array, assumed_fps=50) as video:
            frames = list(video)
            digests.add(video.sha256())
        assert [frame_number(frame.to_rgb()) for frame in frames] == list(range(5))
        assert [frame.seconds for frame in frames] == [0.0, 0.02, 0.04, 0.06, 0.08]
        assert frames[-1].end_seconds == pytest.approx(0.1)
        assert (video.warnings, video.size_bytes) == ([], ARRAY.nbytes)
        image = frames[0].to_rgb()
        assert image.flags.c_contiguous
        image[:] = 0  # the caller's array stays as it is
        np.testing.assert_array_equal(frames[0].to_rgb(), ARRAY[0])
    assert len(digests) == 1
    assert open_video(ARRAY[:, :24]).sha256() not in digests
    assert open_video(ARRAY).name == "<array>"
    assert open_video(torch.from_numpy(ARRAY)).name == "<tensor>"


@pytest.mark.parametrize(
    ("array", "error", "said"),
    [
        (ARRAY[0], ValueError, r"shape \(48, 64, 3\); frames must be \(T, H, W, 3\)"),
        (ARRAY.transpose(0, 3, 1, 2), ValueError, r"use .transpose\(0, 2, 3, 1\)"),
        (torch.from_numpy(ARRAY).permute(0, 3, 1, 2), ValueError, r"use .permute\(0, 2, 3, 1\)"),
        (ARRAY[:0], ValueError, "at least one frame"),
        (ARRAY.astype(np.float32), TypeError, "dtype float32; frames must be uint8"),
        (torch.zeros(2, 4, 4, 3), TypeError, "dtype float32; frames must be uint8"),
    ],
)
def test_arrays_of_another_shape_or_type_are_refused(
    array: Any, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        open_video(array)
