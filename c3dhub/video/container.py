"""Opening a video file with FFmpeg, through PyAV, without ever opening another one.

Everything is read through a Python file object, so that no path is ever taken for a URL, a pattern
or a list of files, and formats that point to other files are not accepted at all.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import Any

import av
from av.stream import Disposition

from ..base.errors import VideoError
from .pictures import DECODER_ERRORS, Limits, reason
from .source import ByteSource

# Formats that name other files or addresses to read, or that turn any text into pictures.
_LISTS = {"concat", "dash", "hls", "image2", "imf", "webm_dash_manifest"}
_ADDRESSES = {"rtp", "rtsp", "sap", "sdp"}
_PROGRAMS = {"lavfi", "tty", "vapoursynth"}
_REFUSED_FORMATS = _LISTS | _ADDRESSES | _PROGRAMS
_PLAYLISTS = (b"#EXTM3U", b"ffconcat", b"<?xml", b"<MPD", b"v=0", b"[playlist]")
_BUFFER_BYTES = 1 << 18


def open_reader(source: ByteSource) -> Any:
    """Return a reader at the first byte. Raises VideoError where the source has gone."""
    try:
        return source.open()
    except OSError as error:
        raise VideoError(source.name, f"it cannot be opened again: {reason(error)}") from error


def open_container(reader: Any, name: str, limits: Limits) -> Any:
    """Return FFmpeg's view of the bytes. Raises VideoError where they are no video file."""
    allowed = ",".join(sorted(av.formats_available - _REFUSED_FORMATS))
    try:
        return av.open(
            reader,
            mode="r",
            options=limits.codec_options(),
            container_options={"format_whitelist": allowed, "protocol_whitelist": "none"},
            metadata_errors="replace",
            buffer_size=_BUFFER_BYTES,
        )
    except DECODER_ERRORS as error:
        raise VideoError(name, _why_not(reader, error)) from error


def _why_not(reader: Any, error: Exception) -> str:
    """Say what a file that cannot be opened seems to be."""
    head = b""
    with contextlib.suppress(OSError):
        reader.seek(0)
        head = reader.read(64).lstrip(b"\xef\xbb\xbf \r\n\t")
    if head.startswith(_PLAYLISTS):
        return "this is a list that points to other files; give the video file itself"
    if head[4:8] == b"ftyp":
        return (
            f"FFmpeg cannot read this mp4 file ({reason(error)}): it is incomplete, so copy or "
            "download it again"
        )
    return f"FFmpeg cannot read it as a video ({reason(error)}): it is damaged, cut off or no video"


def video_stream(container: Any, name: str) -> Any:
    """Return the stream to decode. Raises VideoError where there is none."""
    stream = container.streams.best("video")
    if stream is None or stream.disposition & Disposition.attached_pic:
        found = Counter(
            "cover picture" if s.disposition & Disposition.attached_pic else f"{s.type} stream"
            for s in container.streams
        )
        parts = " and ".join(f"{count} {kind}{'s' * (count > 1)}" for kind, count in found.items())
        raise VideoError(name, f"it has no video stream{', only ' * bool(parts)}{parts}")
    if stream.codec_context is None:
        raise VideoError(
            name, "FFmpeg has no decoder for its video stream; convert it, for example to H.264"
        )
    return stream
