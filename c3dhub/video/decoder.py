"""FFmpeg, through PyAV: the pictures of one video file, in order, one at a time."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from typing import Any

import av
from av.stream import Discard

from ..base.errors import VideoError
from .bitstream import role_reader
from .container import open_container, open_reader, video_stream
from .orientation import UPRIGHT, Image, Orientation
from .pictures import (
    DECODER_ERRORS,
    Limits,
    Picture,
    Pictures,
    end_of_pictures,
    orientation_of,
    reason,
    to_rgb,
)
from .skipping import DoubtError, Needed, frames, stretches
from .source import ByteSource
from .timestamps import Stamp, StreamTime

# Here every sample is one picture with its own time, which packets in other formats need not be.
_FORMATS_TO_SKIP_IN = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"}


def open_file(source: ByteSource, *, limits: Limits) -> Pictures:
    """Open a video file and read its header. Raises VideoError where it has no video to decode."""
    decoder = _Decoder(source, limits)
    stream = decoder.stream
    rates = [stream.average_rate, stream.guessed_rate]
    if stream.start_time is None:
        rates.reverse()  # raw streams have no average; FFmpeg says 25, the codec may know better
    rate = rates[0] or rates[1]
    time = StreamTime(
        time_base=stream.time_base,
        start_time=stream.start_time,
        rate=rate,
        dts_first=decoder.format_name == "avi",
    )
    return Pictures(
        time,
        lambda needed: decoder.pictures(time, needed),
        frame_rate=float(rate) if rate else None,
        expected_frames=decoder.expected,
        warnings=decoder.warnings,
        close=decoder.close,
    )


class _Decoder:
    """Decodes one file, and again by one thread where several may have met damage.

    Threads decode ahead, so where an error shows up depends on their number, and so do the pixels
    that a decoder makes up for lost ones. The second pass repeats what one thread would have done
    and leaves out what has been given already: results depend on the file alone.
    """

    def __init__(self, source: ByteSource, limits: Limits) -> None:
        self._source, self._limits = source, limits
        self.warnings: list[str] = []
        self._open()
        self.format_name: str = self._container.format.name
        self.expected: int | None = self.stream.frames or None
        self._fresh, self._suspicious, self._corrupt = True, False, 0
        self._turns: dict[int, Orientation | None] = {}  # by angle

    def _open(self) -> None:
        name = self._source.name
        self._reader = open_reader(self._source)
        try:
            self._container = open_container(self._reader, name, self._limits)
            self.stream = video_stream(self._container, name)
            context = self.stream.codec_context
            self._limits.check(name, context.width, context.height)
        except BaseException:
            self._reader.close()
            raise
        self._sent = -1
        self._packet: Any = b""
        self._unreadable: Exception | None = None

    def close(self) -> None:
        self._container.close()
        self._reader.close()

    def pictures(self, time: StreamTime, needed: Needed | None) -> Iterator[Picture]:
        """Yield the pictures in presentation order, then say in ``warnings`` what went wrong.

        Those for which ``needed`` is False may be left out; None is for a reader who needs all.
        """
        done = 0
        if needed is not None:
            try:
                for picture in self._needed_pictures(time, needed):
                    done += 1
                    yield picture
                self._conclude(done, None)
                return
            except (DoubtError, *DECODER_ERRORS):
                pass  # what was given so far is right; the rest comes from decoding everything
        yield from self._all_pictures(done)

    def _all_pictures(self, done: int) -> Iterator[Picture]:
        failure: Exception | None = None
        for threads in dict.fromkeys((self._limits.threads, 1)):
            failure, self._suspicious = None, False
            try:
                for frame in itertools.islice(self._frames(threads), done, None):
                    picture = self._picture(frame, done)
                    done += 1
                    yield picture
            except DECODER_ERRORS as error:
                failure = error
            if failure is None and not self._suspicious:
                break
        self._conclude(done, failure)

    def _needed_pictures(self, time: StreamTime, needed: Needed) -> Iterator[Picture]:
        """Yield the pictures, without pixels where they were not needed to decode.

        Raises DoubtError where all are to be decoded.
        """
        context = self.stream.codec_context
        read_role = role_reader(context.name, context.extradata)
        # Strict: damage anywhere is an error, so every picture must be looked at.
        can_skip = self._limits.errors != "strict" and self.format_name in _FORMATS_TO_SKIP_IN
        if not can_skip or time.time_base is None or read_role is None:
            raise DoubtError("this format or codec is not understood")
        self._prepare(self._limits.threads)
        plans = stretches(
            (packet for packet in self._container.demux(self.stream) if packet.size),
            read_role=read_role,
            time=time,
            reorder_depth=context.reorder_depth,
            needed=needed,
        )
        for index, (stamp, frame) in enumerate(frames(plans, decode=self._decode)):
            if frame is None:
                yield stamp, functools.partial(self._late, index)
            else:
                yield self._picture(frame, index)

    def _late(self, index: int) -> Image:
        """Return a picture that was left out and is looked at after all, by decoding up to it."""
        again = _Decoder(self._source, self._limits)
        try:
            for _, read in itertools.islice(again._all_pictures(0), index, None):
                return read()
        finally:
            again.close()
        raise VideoError(self._source.name, f"frame {index} cannot be decoded")

    def _decode(self, packet: Any) -> list[av.VideoFrame]:
        self._packet = packet or self._packet
        decoded: list[av.VideoFrame] = self.stream.codec_context.decode(packet)
        return decoded

    def _prepare(self, threads: int) -> None:
        """Make the decoder ready for the first packet, however far it has come."""
        if not self._fresh:
            self.close()
            self._open()
        self._fresh = False
        for other in self._container.streams:
            if other is not self.stream:
                other.discard = Discard.all  # not even read
        context = self.stream.codec_context
        context.thread_type, context.thread_count = "AUTO", threads
        context.options = self._limits.codec_options()
        if self._limits.decode == "fast" and context.name == "h264":
            context.options = {**context.options, "skip_loop_filter": "all"}
        context.copy_opaque = True

    def _frames(self, threads: int) -> Iterator[av.VideoFrame]:
        self._prepare(threads)
        frames = itertools.chain.from_iterable(self._steps())
        return frames if threads == 1 else self._together(frames)

    def _together(self, frames: Iterator[av.VideoFrame]) -> Iterator[av.VideoFrame]:
        """Decode by several threads up to the first sign of damage."""
        newest, fields = -1, 1
        for frame in frames:
            if frame.is_corrupt:
                self._suspicious = True
                return
            number: Any = frame.opaque
            newest = newest if number is None else max(newest, number)
            fields = 2 if frame.interlaced_frame else 1
            yield frame
        # PyAV drops an error among the last frames, those that come when the decoder is emptied.
        # Then the last packet has given no picture. (A field of an interlaced one never does.)
        self._suspicious = 0 <= newest <= self._sent - fields

    def _steps(self) -> Iterator[list[av.VideoFrame]]:
        """Yield the frames that each packet gives, and last those that the decoder held back.

        A packet that cannot be decoded ends it at once: what the decoder holds by then is mixed
        with guesses at the lost frame. Where the file cannot be read on, the frames before are
        sound.
        """
        for number, packet in enumerate(self._packets()):
            if packet.size == 0:
                continue  # a dropped frame; the decoder would take it for the end
            packet.opaque, self._packet = number, packet
            self._sent = self._sent if packet.is_discard else number
            yield packet.decode()
        yield self.stream.codec_context.decode(None)
        if self._unreadable is not None:
            raise self._unreadable

    def _packets(self) -> Iterator[Any]:
        try:
            yield from self._container.demux(self.stream)
        except DECODER_ERRORS as error:
            self._unreadable = error

    def _picture(self, frame: av.VideoFrame, index: int) -> Picture:
        name = self._source.name
        self._limits.check(name, frame.width, frame.height)
        if frame.is_corrupt:
            self._corrupt += 1
            if self._limits.errors == "strict":
                raise VideoError(name, f"frame {index} is damaged; errors='raise' would keep it")
        stamp = Stamp(frame.pts, frame.dts, frame.duration or None)
        reduction = self._limits.reduction(frame.width, frame.height)
        smaller = {"reduction": reduction} if reduction > 1 else {}
        return stamp, functools.partial(to_rgb, name, frame, self._turn(frame), **smaller)

    def _turn(self, frame: av.VideoFrame) -> Orientation:
        """Return the orientation of a frame, looked up again only where its angle is a new one."""
        if frame.rotation not in self._turns:
            turn = orientation_of(frame, self._packet)
            if turn is None and None not in self._turns.values():
                self.warnings.append(
                    "the rotation in the metadata is no multiple of 90 degrees: it was ignored"
                )
            self._turns[frame.rotation] = turn
        return self._turns[frame.rotation] or UPRIGHT

    def _conclude(self, done: int, failure: Exception | None) -> None:
        name = self._source.name
        if self._corrupt:
            self.warnings.append(
                f"{self._corrupt} frame(s) are damaged: the decoder filled the gaps as it could"
            )
        if done == 0:
            raise VideoError(name, self._no_frame(failure)) from failure
        if failure is not None:
            self.warnings.append(end_of_pictures(name, done, failure, limits=self._limits))
        elif self.expected is not None and done < self.expected:
            self.warnings.append(f"the header says {self.expected} frames, {done} were decoded")

    def _no_frame(self, failure: Exception | None) -> str:
        promised = f" of the {self.expected} that the header promises" if self.expected else ""
        text = f"no frame{promised} can be decoded" + (f": {reason(failure)}" if failure else "")
        if self.stream.codec_context.width == 0:
            text += (
                "; either the data is damaged, or a frame has more than "
                f"max_pixels={self._limits.max_pixels} pixels, then pass a larger max_pixels="
            )
        return text
