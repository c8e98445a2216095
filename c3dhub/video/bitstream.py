"""What a compressed packet says about itself, without decoding it: H.264, HEVC and VP9.

Just enough of each bitstream to leave packets out and still get the same pixels: where decoding can
start afresh, and which pictures no other one refers to. Whatever is unusual gives None, "not sure".

Why not the decoder's own ``skip_frame``: it leaves out the same pictures by the same bits, but does
not tell which, so that a lost frame could no longer be told from one that was not wanted.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

Buffer: TypeAlias = "bytes | memoryview"


@dataclass(frozen=True)
class Role:
    """The part that one packet, which holds exactly one shown picture, plays in its stream.

    Parameters
    ----------
    starts: this picture refers to nothing before it, and neither does any after it.
    droppable: no picture of the same or a lower ``layer`` refers to it.
    layer: the temporal layer, 0 where the codec has none.
    headers: the parameter sets that the packet carries.
    """

    starts: bool
    droppable: bool = False
    layer: int = 0
    headers: tuple[bytes, ...] = ()


RoleReader: TypeAlias = Callable[[Buffer], "Role | None"]


def role_reader(codec: str, extradata: bytes | None) -> RoleReader | None:
    """Return the function that reads a packet's role; None for codecs and streams not understood.

    ``extradata`` is the codec's header in the container: ``avcC`` for H.264, ``hvcC`` for HEVC.
    """
    data = extradata or b""
    if codec == "vp9":
        return _vp9_role
    if codec == "h264" and len(data) > 8 and data[0] == 1:
        one_header = data[5] % 32 == 1  # sequence parameter set, which starts at byte 8
        if one_header and _has_whole_frames(data[8:]):
            return functools.partial(_role, _h264_role, data[4] % 4 + 1)
    if codec == "hevc" and len(data) > 21 and data[0] == 1:
        return functools.partial(_role, _hevc_role, data[21] % 4 + 1)
    return None


def _role(
    read: Callable[[list[memoryview]], Role | None], length_size: int, packet: Buffer
) -> Role | None:
    try:
        return read(list(_units(memoryview(packet), length_size)))
    except IndexError:
        return None


def _units(packet: memoryview, length_size: int) -> Iterator[memoryview]:
    """Yield the NAL units of a packet. Raises IndexError where they do not fill it exactly."""
    at = 0
    while at < len(packet):
        start = at + length_size
        at = start + int.from_bytes(packet[at:start], "big")
        if at > len(packet) or at == start:
            raise IndexError("a NAL unit is empty or cut off")
        yield packet[start:at]


def _h264_role(units: list[memoryview]) -> Role | None:
    headers = tuple(bytes(unit) for unit in units if unit[0] & 31 in (7, 8))
    pictures = [unit for unit in units if 1 <= unit[0] & 31 <= 5]
    kinds = {unit[0] & 31 for unit in pictures}
    whole = all(_has_whole_frames(unit) for unit in headers if unit[0] & 31 == 7)
    if not whole or kinds not in ({1}, {5}):  # no picture, or one in partitions
        return None
    return Role(kinds == {5}, not any(unit[0] & 0x60 for unit in pictures), 0, headers)


# An H.264 sequence parameter set as a pattern of bits. A number of n + 1 bits comes after n zeros.
_NUMBER = "(?:" + "|".join("0" * n + "1" + "." * n for n in range(17)) + ")"
# All profiles but these (baseline, main, extended) tell their chroma format (3, for 4:4:4, with one
# bit more), both bit depths, and that they have no scaling lists; those that have some are rare.
_OLD_PROFILES = (b"\x42", b"\x4d", b"\x58")
_HIGH = f"(?:00100.|(?!00100){_NUMBER}){_NUMBER}{_NUMBER}.0"
# The size of frame numbers, the order of pictures (type 0 with a number, or 2; 1 is rare), how many
# pictures may be referred to, width and height, and a 1 where there are whole frames alone.
_FRAMES = f"{_NUMBER}(?:1{_NUMBER}|011){_NUMBER}.{_NUMBER}{_NUMBER}1"


def _has_whole_frames(header: Buffer) -> bool:
    """Return whether a sequence parameter set rules out fields: they may come two packets a frame.

    Also False for one that is cut off or rare.
    """
    # 00 00 03 stands for 00 00, so that no payload looks like a start code.
    payload = bytes(header).replace(b"\0\0\3", b"\0\0")
    high = "" if payload[1:2] in _OLD_PROFILES else _HIGH
    return re.match(f".{{32}}{_NUMBER}{high}{_FRAMES}", _bits(payload)) is not None


def _bits(data: Buffer) -> str:
    return "".join(f"{byte:08b}" for byte in data)


_HEVC_IDR = {19, 20}
# Broken links and ends of sequences: pictures may follow that are never shown. (Any picture may be
# marked so, which no encoder does; where one is decoded, a frame less than expected comes out.)
_HEVC_DOUBTFUL = {16, 17, 18, 36, 37}


def _hevc_role(units: list[memoryview]) -> Role | None:
    headers = tuple(bytes(unit) for unit in units if unit[0] >> 1 in (32, 33, 34))
    # Of layer 0; others are for another eye or a larger picture.
    pictures = [unit for unit in units if unit[0] < 64 and unit[0] % 2 == 0 and unit[1] < 8]
    if not pictures or _HEVC_DOUBTFUL & {unit[0] >> 1 for unit in units}:
        return None
    picture = pictures[0]
    kind = picture[0] >> 1
    if kind in _HEVC_IDR and picture[2] & 0x40:
        return None  # no_output_of_prior_pics_flag: frames before it are never shown
    # Even numbers below 16 are the pictures that none of their own temporal layer refers to.
    return Role(kind in _HEVC_IDR, kind < 16 and kind % 2 == 0, picture[1] & 7, headers)


# The profile (3 with one bit more, or another), and then a 1 for an old picture that is shown now,
# or three bits: 0, 0 for a key frame, 1 where it is shown.
_VP9_FRAME = re.compile("10(?:110|(?!11)..)(1|0..)")


def _vp9_role(packet: Buffer) -> Role | None:
    """Nothing is droppable: a picture that none refers to still adapts the probabilities."""
    data = bytes(packet)
    frame = _VP9_FRAME.match(_bits(data[:2]))
    # One that is not shown comes in a superframe with one that is; the index is at its end.
    if frame is None or (frame[1] in ("000", "010") and data[-1] >> 5 != 0b110):
        return None
    return Role(starts=frame[1] == "001")
