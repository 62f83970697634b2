"""The tasks, pictures and faults that the sample is made from, as package data.

A sample has more pictures than there are finished ones, so each finished picture is used again
under other paths. A note in the file, which no decoder draws, makes the bytes of each one unique.
"""

import functools
import random
import struct
import zlib
from importlib import resources
from typing import Any, Literal

import msgspec

from beam_mat.core.reject import Reason

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


@functools.cache
def body(name: str) -> bytes:
    """Returns the bytes of a data file, such as ``pictures/person.jpg``."""
    return resources.files("beam_mat.sample").joinpath(name).read_bytes()


class Working(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One step of Python between looking and answering."""

    thought: str
    code: str
    output: str


class Task(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A question, its answer, and the steps of Python that lead from one to the other.

    `seen` is the output of the tool that looks at the picture or searches the web, if needed.
    """

    question: str
    answer: str
    workings: tuple[Working, ...] = ()
    seen: str = ""


class Original(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A finished picture: a file in ``pictures`` that stands for a source in `PATHS`.

    `caption` is a noun phrase in lower case without a full stop. `seen` describes everything that
    the tasks ask about, in one or more sentences.
    """

    file: str
    source: str
    subject: str
    caption: str
    seen: str
    tasks: tuple[Task, ...]


class Shape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The shape of one of the records that each block of the sample has.

    `repeats` is the position of a record that is repeated here. `pictures` are counted within the
    block, and `keys` are their placeholders if there are several. `field` says how the record names
    its pictures, and `twist` what else is unusual.
    """

    repeats: int | None = None
    pictures: tuple[int, ...] = ()
    keys: tuple[str, ...] = ()
    field: Literal["text", "object", "null", "missing"] = "text"
    twist: Literal["", "literal <image>", "mentioned", "named twice", "system field"] = ""


class FaultyRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An invalid element of the JSON array, or (without a reason) a valid one of two with one id.

    In the element's JSON, the first text of `replace` is replaced by the Latin-1 bytes of the
    second one, `times` times. ``data/faulty.zip`` has the invalid images: a text, half a picture,
    81 megapixels, a bitmap of one colour, a link, and members that are encrypted, packed by an
    unknown method, changed in a byte, or with a wrong checksum.
    """

    value: Any
    reason: Reason | None = None
    replace: tuple[str, str] = ("", "")
    times: int = 1


SYSTEM_PROMPT = body("data/system_prompt.txt").decode()
TASKS = msgspec.json.decode(body("data/tasks.json"), type=tuple[Task, ...])
"""Tasks without a picture."""
ORIGINALS = msgspec.json.decode(body("pictures/pictures.json"), type=tuple[Original, ...])
BLOCK = msgspec.json.decode(body("data/block.json"), type=tuple[Shape, ...])
FAULTY_RECORDS = msgspec.json.decode(
    body("data/faulty_records.json"), type=tuple[FaultyRecord, ...]
)


class Picture(msgspec.Struct, frozen=True):
    """One picture of the sample: a copy of `original` with a note that no other picture has.

    `path` is the part that its paths in the image field (below ``data/open_llava_next/``), in the
    record's text and in the zip share, such as ``coco/train2017/000000000001.jpg``.
    """

    path: str
    original: Original
    note: str

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
    """Picture `index` of the sample; another seed begins elsewhere in `ORIGINALS`."""
    original = ORIGINALS[(seed + index) % len(ORIGINALS)]
    # 387,420,489 has no factor in common with a power of ten, so the numbers never repeat.
    number = (index * 387_420_489 + random.Random(f"numbers {seed}").randrange(_DIGITS)) % _DIGITS
    path = PATHS[original.source].format(
        number=number,
        folder=number // 10_000,
        mixed=number * 0x9E3779B97F4A7C15 % (1 << 64),
    )
    return Picture(path, original, f"sample {seed}, picture {index}")
