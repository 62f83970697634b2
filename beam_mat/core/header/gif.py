"""Walks over the blocks of a GIF up to its first image."""

import re

from beam_mat.core.header.header import MAX_STRIPS, Header, too_much

MAX_COMMENTS = 1 << 20
"""Bytes of extensions before the first image. Pillow copies all comments for each new one."""

_BLOCK = re.compile(rb"[!,;]")
_CONTROL, _COMMENT = b"\xf9", b"\xfe"


def read(data: bytes) -> Header:
    """Returns the header of a GIF, whose size includes its first image. Raises HeaderFault.

    Of the extensions, the file for the decoder keeps only those that control how to draw.
    """
    width, height = _number(data, 6), _number(data, 8)
    at = 13
    if data[10:11] and data[10] & 0x80:
        at += 3 << (data[10] & 7) + 1
    kept = [data[:at]]
    pieces = 0
    begin = at
    while found := _BLOCK.search(data, at):
        at = found.start()
        if data[at] == 0x21:
            label = data[at + 1 : at + 2]
            end, blocks = _after(data, at + 2, pieces, label == _COMMENT)
            pieces += blocks
            if label == _CONTROL:
                kept.append(data[at:end])
            at = end
            continue
        if data[at] == 0x2C:
            width = max(width, _number(data, at + 1) + _number(data, at + 5))
            height = max(height, _number(data, at + 3) + _number(data, at + 7))
        break
    else:
        at = len(data)
    extensions = at - begin
    kept.append(data[at:])
    excess = f"{extensions} bytes before its first image" if extensions > MAX_COMMENTS else ""
    return Header("GIF", (width, height), b"".join(kept), excess)


def _after(data: bytes, at: int, pieces: int, comment: bool) -> tuple[int, int]:
    """Where an extension ends whose blocks begin at `at`, and their number.

    Like Pillow, this skips an end at the very beginning, except that of a comment.
    """
    blocks = 0
    while True:
        size = data[at] if at < len(data) else 0
        at += 1 + size
        blocks += 1
        if pieces + blocks > MAX_STRIPS:
            raise too_much(f"{MAX_STRIPS} blocks before its first image")
        if not size and (blocks > 1 or comment or at > len(data)):
            return at, blocks


def _number(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "little")
