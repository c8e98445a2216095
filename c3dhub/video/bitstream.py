"""What a compressed packet says about itself, without decoding it: H.264, HEVC and VP9.

Just enough of each bitstream to leave packets out and still get the same pixels: where decoding can
start afresh, and which pictures no other one refers to. Whatever is unusual gives None, "not sure".
"""

from __future__ import annotations

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
    try:
        if codec == "vp9":
            return _vp9_role
        if codec == "h264" and data[0] == 1 and _all_h264_frames(_avcc_units(data)):
            return _H264(data[4] % 4 + 1)
        if codec == "hevc" and data[0] == 1 and _all_hevc_shown(_hvcc_units(data)):
            return _Hevc(data[21] % 4 + 1)
    except IndexError:  # cut off
        pass
    return None


class _Bits:
    """Reads a NAL unit's bits. Raises IndexError behind its end."""

    def __init__(self, unit: Buffer) -> None:
        # 00 00 03 stands for 00 00, so that no payload looks like a start code.
        self._data = bytes(unit).replace(b"\0\0\3", b"\0\0")
        self._at = 0

    def take(self, count: int) -> int:
        value = 0
        for _ in range(count):
            value = value * 2 + (self._data[self._at // 8] >> 7 - self._at % 8 & 1)
            self._at += 1
        return value

    def exp_golomb(self) -> int:
        zeros = 0
        while not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)

    def signed_exp_golomb(self) -> int:
        code = self.exp_golomb()
        return (code + 1) // 2 if code % 2 else -(code // 2)


def _units(packet: Buffer, length_size: int) -> Iterator[Buffer]:
    """Yield the NAL units of a packet. Raises IndexError where they do not fill it exactly."""
    view, at = memoryview(packet), 0
    while at < len(view):
        start = at + length_size
        at = start + int.from_bytes(view[at:start], "big")
        if at > len(view) or at == start:
            raise IndexError("a NAL unit is empty or cut off")
        yield view[start:at]


def _counted_units(data: bytes, at: int, count: int) -> tuple[list[bytes], int]:
    units = []
    for _ in range(count):
        size = data[at] * 256 + data[at + 1]
        units.append(data[at + 2 : at + 2 + size])
        at += 2 + size
    return units, at


def _avcc_units(data: bytes) -> list[bytes]:
    """Return the sequence parameter sets of an ``avcC`` header."""
    return _counted_units(data, 6, data[5] % 32)[0]


def _hvcc_units(data: bytes) -> list[bytes]:
    """Return the parameter sets of an ``hvcC`` header."""
    units, at = [], 23
    for _ in range(data[22]):
        found, at = _counted_units(data, at + 3, data[at + 1] * 256 + data[at + 2])
        units += found
    return units


_H264_IDR, _H264_SPS, _H264_PPS = 5, 7, 8
# These carry chroma_format_idc and scaling lists.
_HIGH_PROFILES = {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135}


@dataclass(frozen=True)
class _H264:
    length_size: int

    def __call__(self, packet: Buffer) -> Role | None:
        headers = []
        try:
            for unit in _units(packet, self.length_size):
                kind = unit[0] & 31
                if kind in (_H264_SPS, _H264_PPS):
                    headers.append(bytes(unit))
                elif kind in (1, _H264_IDR):
                    if not _all_h264_frames(u for u in headers if u[0] & 31 == _H264_SPS):
                        return None
                    return Role(kind == _H264_IDR, unit[0] & 0x60 == 0, 0, tuple(headers))
                elif kind in (2, 3, 4):  # a picture in partitions
                    return None
        except IndexError:
            pass
        return None


def _all_h264_frames(parameter_sets: Iterator[bytes] | list[bytes]) -> bool:
    """Return whether all pictures are whole frames; fields may come two packets to a frame."""
    return all(_frame_mbs_only(_Bits(unit)) for unit in parameter_sets)


def _frame_mbs_only(bits: _Bits) -> bool:
    bits.take(8)
    profile = bits.take(8)
    bits.take(16)
    bits.exp_golomb()  # seq_parameter_set_id
    if profile in _HIGH_PROFILES:
        _skip_high_profile(bits)
    bits.exp_golomb()  # log2_max_frame_num_minus4
    order = bits.exp_golomb()  # pic_order_cnt_type
    if order == 0:
        bits.exp_golomb()
    elif order == 1:
        bits.take(1)
        bits.signed_exp_golomb()
        bits.signed_exp_golomb()
        for _ in range(bits.exp_golomb()):
            bits.signed_exp_golomb()
    bits.exp_golomb()  # max_num_ref_frames
    bits.take(1)
    bits.exp_golomb()  # width and height in macroblocks
    bits.exp_golomb()
    return bits.take(1) == 1


def _skip_high_profile(bits: _Bits) -> None:
    chroma = bits.exp_golomb()
    if chroma == 3:
        bits.take(1)
    bits.exp_golomb()  # bit depths
    bits.exp_golomb()
    bits.take(1)
    if bits.take(1):  # scaling lists
        for index in range(12 if chroma == 3 else 8):
            if bits.take(1):
                _skip_scaling_list(bits, 16 if index < 6 else 64)


def _skip_scaling_list(bits: _Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.signed_exp_golomb()) % 256
        last = following or last


_HEVC_IDR, _HEVC_BROKEN_LINKS, _HEVC_ENDS = (19, 20), (16, 17, 18), (36, 37)
_HEVC_PARAMETERS, _HEVC_PPS = (32, 33, 34), 34


@dataclass(frozen=True)
class _Hevc:
    length_size: int

    def __call__(self, packet: Buffer) -> Role | None:
        headers: list[bytes] = []
        picture: Buffer | None = None
        try:
            for unit in _units(packet, self.length_size):
                kind, layer_id = unit[0] >> 1, (unit[0] & 1) << 5 | unit[1] >> 3
                if kind in _HEVC_BROKEN_LINKS or kind in _HEVC_ENDS:
                    return None  # pictures may follow that are never shown
                if kind in _HEVC_PARAMETERS:
                    headers.append(bytes(unit))
                elif kind < 32 and layer_id == 0 and picture is None:
                    picture = unit
            if picture is not None and _all_hevc_shown(headers):
                return _hevc_role(picture, tuple(headers))
        except IndexError:
            pass
        return None


def _hevc_role(picture: Buffer, headers: tuple[bytes, ...]) -> Role | None:
    kind = picture[0] >> 1
    if kind in _HEVC_IDR and picture[2] & 0x40:
        return None  # no_output_of_prior_pics_flag: frames before it are never shown
    # Even numbers below 16 are the pictures that none of their own temporal layer refers to.
    return Role(kind in _HEVC_IDR, kind < 16 and kind % 2 == 0, (picture[1] & 7) - 1, headers)


def _all_hevc_shown(parameter_sets: list[bytes]) -> bool:
    """Return whether no picture parameter set allows pictures that are never shown."""
    for unit in parameter_sets:
        if unit[0] >> 1 == _HEVC_PPS:
            bits = _Bits(unit[2:])
            bits.exp_golomb()
            bits.exp_golomb()
            if bits.take(2) & 1:  # dependent_slice_segments_enabled, output_flag_present
                return False
    return True


def _vp9_role(packet: Buffer) -> Role | None:
    """Nothing is droppable: a picture that none refers to still adapts the probabilities."""
    try:
        frames = [_vp9_frame(data) for data in _vp9_frames(memoryview(packet))]
    except IndexError:
        return None
    if sum(shown for shown, _ in frames) != 1:
        return None
    # A key frame that is shown stands alone.
    return Role(starts=frames == [(True, True)])


def _vp9_frames(packet: memoryview) -> list[memoryview]:
    """Split a superframe by the index at its end."""
    marker = packet[-1]
    if marker & 0xE0 != 0xC0:
        return [packet]
    count, size_bytes = (marker & 7) + 1, (marker >> 3 & 3) + 1
    start = len(packet) - 2 - count * size_bytes
    if start < 0 or packet[start] != marker:
        return [packet]
    frames, at = [], 0
    for index in range(count):
        place = start + 1 + index * size_bytes
        size = int.from_bytes(packet[place : place + size_bytes], "little")
        frames.append(packet[at : at + size])
        at += size
    return frames


def _vp9_frame(data: memoryview) -> tuple[bool, bool]:
    """Return (shown, is a key frame) of one frame. Raises IndexError where it is none."""
    bits = _Bits(data[:2])
    marker, profile_low, profile_high = bits.take(2), bits.take(1), bits.take(1)
    if marker != 2:
        raise IndexError("no VP9 frame")
    if profile_low and profile_high:
        bits.take(1)
    if bits.take(1):  # show_existing_frame
        return True, False
    is_key = not bits.take(1)
    return bool(bits.take(1)), is_key
