"""Every picture of the sample as a function of (seed, index): its path and its bytes.

A sample has more pictures than there are finished ones, so each finished picture is used again
under other paths. A note in the file, which no decoder draws, makes the bytes of each one unique.
"""

from __future__ import annotations

import random
import struct
import zlib
from dataclasses import dataclass

from beam_mat.sample.data import ORIGINALS, Original, body

MAX_PICTURES = 900_000
"""The six digits that tell the pictures of one source apart are enough for this many."""
_DIGITS = 1_000_000

PATHS = {
    "chartqa": "chartqa/train/png/two_col_{number}.png",
    "coco": "coco/train2017/{number:012}.jpg",
    "landmark": "web-landmark/images/Landmark_{number}.jpg",
    "llava": "llava/llava_pretrain/images/{folder:05}/{number:09}.jpg",
    "sam": "sam/images/sa_{number}.jpg",
    "textvqa": "share_textvqa/images/{mixed:016x}.jpg",
}
"""Source -> its pattern of paths. The sources are the collections of the published set."""


@dataclass(frozen=True)
class Picture:
    """One picture of the sample.

    Attributes:
        path: The part that its paths in the image field (below ``data/open_llava_next/``), in the
            record's text and in the zip share, such as ``coco/train2017/000000000001.jpg``.
        original: The finished picture that it is a copy of.
        note: A text in the file that no other picture of the sample has.
    """

    path: str
    original: Original
    note: str

    @property
    def attachment(self) -> str:
        """The path in a record's text."""
        return f"data/tongagent/{self.path}"

    @property
    def member(self) -> str:
        """The name in the zip."""
        return f"tongagent/{self.path}"

    def encoded(self) -> bytes:
        """The file: JPEG or PNG, as the name of the finished picture says."""
        whole, note = body(f"pictures/{self.original.file}"), self.note.encode("ascii")
        if self.original.file.endswith(".png"):
            # A tEXt chunk before the last chunk, the twelve bytes of IEND.
            chunk = b"tEXtComment\x00" + note
            chunk = struct.pack(">L", len(chunk) - 4) + chunk + struct.pack(">L", zlib.crc32(chunk))
            return whole[:-12] + chunk + whole[-12:]
        # A comment segment after the first segment, the JFIF header (ITU T.81, B.2).
        at = 4 + int.from_bytes(whole[4:6], "big")
        return whole[:at] + b"\xff\xfe" + struct.pack(">H", len(note) + 2) + note + whole[at:]


def picture(seed: int, index: int) -> Picture:
    """Picture `index` of the sample; the same for the same arguments.

    The order of the finished pictures begins elsewhere with another seed.
    """
    original = ORIGINALS[(seed + index) % len(ORIGINALS)]
    # 387,420,489 has no factor in common with a power of ten, so the numbers never repeat.
    number = (index * 387_420_489 + random.Random(f"numbers {seed}").randrange(_DIGITS)) % _DIGITS
    path = PATHS[original.source].format(
        number=number,
        folder=number // 10_000,
        mixed=number * 0x9E3779B97F4A7C15 % (1 << 64),
    )
    return Picture(path, original, f"sample {seed}, picture {index}")
