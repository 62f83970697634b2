"""Every picture of the sample as a function of (seed, index): path, size, subject, bytes."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image, ImageDraw

from beam_mat.sample import subjects
from beam_mat.sample.subjects import Subject
from beam_mat.sample.subjects.paint import Size, grain

MAX_PICTURES = 900_000
"""Beyond it the six digits that tell pictures of one source apart run out."""

_DIGITS = 1_000_000
_DRAW_TWICE_BELOW = 1 << 20
"""Pixels up to which a picture is drawn at twice its size and halved, for smooth edges."""


@dataclass(frozen=True)
class Source:
    """One of the collections that the published set takes its pictures from.

    Attributes:
        path: Pattern of its paths; ``number`` is unique within the sample.
        makers: What its pictures show.
    """

    path: Callable[[int], str]
    makers: tuple[Callable[[random.Random], Subject], ...]


_PHOTOS = (subjects.landscape, subjects.portrait, subjects.skyline, subjects.still_life)

COCO = Source(lambda number: f"coco/train2017/{number:012}.jpg", _PHOTOS)
COCO_GREY = Source(COCO.path, (subjects.skyline,))
"""No task about a skyline asks for a colour."""
LLAVA = Source(
    lambda number: f"llava/llava_pretrain/images/{number // 10_000:05}/{number:09}.jpg",
    (subjects.still_life, subjects.portrait, subjects.landmark, subjects.landscape),
)
SAM = Source(lambda number: f"sam/images/sa_{number}.jpg", (subjects.skyline, subjects.landscape))
CHARTQA = Source(lambda number: f"chartqa/train/png/two_col_{number}.png", (subjects.chart,))
TEXTVQA = Source(
    lambda number: f"share_textvqa/images/{number * 0x9E3779B97F4A7C15 % (1 << 64):016x}.jpg",
    (subjects.menu, subjects.road_sign),
)
LANDMARK = Source(lambda number: f"web-landmark/images/Landmark_{number}.jpg", (subjects.landmark,))

_CYCLE: tuple[tuple[Source, Size, str], ...] = (
    (COCO, (640, 480), "RGB"),
    (LLAVA, (336, 336), "RGB"),
    (CHARTQA, (850, 600), "RGB"),
    (TEXTVQA, (512, 384), "RGB"),
    (LLAVA, (448, 336), "RGB"),
    (COCO, (480, 640), "RGB"),
    (LANDMARK, (512, 384), "RGB"),
    (SAM, (1500, 2250), "RGB"),
    (LLAVA, (336, 504), "RGB"),
    (COCO_GREY, (640, 427), "L"),
    (CHARTQA, (850, 600), "P"),
    (TEXTVQA, (1024, 768), "RGB"),
    (LLAVA, (336, 336), "RGB"),
    (LANDMARK, (500, 375), "RGB"),
    (COCO, (500, 375), "RGB"),
    (CHARTQA, (600, 420), "RGBA"),
    (LLAVA, (336, 336), "RGB"),
    (LLAVA, (596, 336), "RGB"),
    (COCO, (640, 480), "RGB"),
    (CHARTQA, (800, 557), "RGB"),
    (LLAVA, (336, 448), "RGB"),
    (TEXTVQA, (512, 512), "RGB"),
    (COCO, (427, 640), "RGB"),
    (LLAVA, (336, 336), "RGB"),
    (LANDMARK, (640, 480), "RGB"),
    (COCO, (640, 426), "RGB"),
    (LLAVA, (504, 336), "RGB"),
    (CHARTQA, (850, 600), "L"),
    (LLAVA, (336, 336), "RGB"),
    (COCO, (640, 480), "RGB"),
)
"""Thirty pictures with everything that a set has; about a tenth is grey, palette or RGBA."""


@dataclass(frozen=True)
class Picture:
    """A picture that is not drawn yet.

    Attributes:
        path: What is the same in the JSON and in the zip, such as ``coco/train2017/….jpg``.
        size: Width and height in pixels.
        mode: Pillow's mode: RGB, L (grey), P (palette) or RGBA.
        subject: What it shows.
        detail: Seed of its grain.
    """

    path: str
    size: Size
    mode: str
    subject: Subject
    detail: int

    @property
    def json_path(self) -> str:
        """The path in a record's image field."""
        return f"data/open_llava_next/{self.path}"

    @property
    def attachment(self) -> str:
        """The path in a record's text."""
        return f"data/tongagent/{self.path}"

    @property
    def member(self) -> str:
        """The name in the zip."""
        return f"tongagent/{self.path}"

    def encoded(self) -> bytes:
        """The picture drawn, as JPEG or PNG by the path's ending."""
        out = io.BytesIO()
        if self.path.endswith(".png"):
            _in_mode(self._drawn(), self.mode).save(out, "PNG", compress_level=6)
        else:
            photo = grain(self._drawn(), random.Random(self.detail))
            _in_mode(photo, self.mode).save(out, "JPEG", quality=88)
        return out.getvalue()

    def _drawn(self) -> Image.Image:
        width, height = self.size
        if width * height > _DRAW_TWICE_BELOW:
            return self.subject.draw(self.size)
        return self.subject.draw((width * 2, height * 2)).reduce(2)


def picture(seed: int, index: int, source: Source | None = None) -> Picture:
    """Picture `index` of the sample; the same for the same arguments.

    Args:
        seed: The sample's seed.
        index: From 0 to below `MAX_PICTURES` and a few more.
        source: Take this source, at 336 x 336 pixels, and not the one whose turn it is.
    """
    rng = random.Random(f"picture {seed} {index}")
    turn, size, mode = _CYCLE[index % len(_CYCLE)]
    if turn is SAM and index // len(_CYCLE) % 2:
        # Ten times the pixels of the others: every second one would be half of all the time.
        turn, size = COCO, (640, 480)
    if source is not None:
        turn, size, mode = source, (336, 336), "RGB"
    # 387,420,489 has no factor in common with a power of ten, so that numbers never repeat.
    number = (index * 387_420_489 + random.Random(f"numbers {seed}").randrange(_DIGITS)) % _DIGITS
    return Picture(
        path=turn.path(number),
        size=size,
        mode=mode,
        subject=rng.choice(turn.makers)(rng),
        detail=rng.getrandbits(32),
    )


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    if mode == "P":
        return image.quantize(64, Image.Quantize.FASTOCTREE)
    if mode == "RGBA":
        corners = Image.new("L", image.size)
        box = (0, 0, image.width - 1, image.height - 1)
        ImageDraw.Draw(corners).rounded_rectangle(box, image.height // 16, fill=255)
        image.putalpha(corners)
    return image.convert(mode)
