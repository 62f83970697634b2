"""What the drawings share: colours, gradients, glow, grain and the built-in font."""

from __future__ import annotations

import functools
import math
import random
from collections.abc import Sequence

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

Colour = tuple[int, int, int]
Size = tuple[int, int]
Point = tuple[float, float]

WHITE: Colour = (255, 255, 255)
INK: Colour = (38, 40, 48)

COLOURS: dict[str, Colour] = {
    "red": (200, 52, 48),
    "blue": (48, 92, 178),
    "green": (58, 140, 76),
    "yellow": (240, 200, 60),
    "purple": (128, 72, 160),
    "orange": (232, 128, 44),
    "white": (240, 240, 236),
}
"""Colours that a question can name."""


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """`first` with a share (0 to 1) of `second`."""
    a, b, c = (round(x + (y - x) * share) for x, y in zip(first, second, strict=True))
    return (a, b, c)


def gradient(size: Size, *stops: Colour) -> Image.Image:
    """An RGB picture that runs through the stops from top to bottom."""
    column = Image.frombytes("RGB", (1, len(stops)), bytes(v for stop in stops for v in stop))
    column = column.resize((1, max(1, size[1])), Image.Resampling.BILINEAR)
    return column.resize(size, Image.Resampling.NEAREST)


def backdrop(size: Size) -> Size:
    """The size at which soft things are painted: a quarter of the side, a sixteenth of the time."""
    return max(2, size[0] // 4), max(2, size[1] // 4)


def enlarged(image: Image.Image, size: Size) -> Image.Image:
    """A backdrop at the picture's full size."""
    # A picture is halved once it is drawn, so that a smooth half is as good and takes a third.
    half = image.resize(((size[0] + 1) // 2, (size[1] + 1) // 2), Image.Resampling.BILINEAR)
    return half.resize(size, Image.Resampling.NEAREST)


@functools.lru_cache(maxsize=16)
def _disc(strength: float) -> Image.Image:
    # Pillow's gradient reaches 181 at the middle of an edge and 255 only in the corners.
    levels = [max(0.0, 1 - v / 180) ** 2 * 255 * strength for v in range(256)]
    return Image.radial_gradient("L").point([round(level) for level in levels])


def glow(image: Image.Image, centre: Point, radius: float, colour: Colour, strength: float) -> None:
    """Lay a soft disc of light over `image`.

    The centre is given in shares of width and height, the radius as a share of the width, the
    strength in the middle as 0 to 1.
    """
    disc, reach = _disc(strength), radius * image.width
    side = max(2, round(2 * reach))
    corner = (round(centre[0] * image.width - reach), round(centre[1] * image.height - reach))
    image.paste(colour, corner, disc.resize((side, side), Image.Resampling.BILINEAR))


def clouds(image: Image.Image, rng: random.Random, colour: Colour, lowest: float) -> None:
    """Soft clouds in the upper share `lowest` of the picture."""
    small = Image.new("L", (128, 96))
    brush = ImageDraw.Draw(small)
    for _ in range(rng.randint(2, 4)):
        x, y = rng.uniform(0, 128), rng.uniform(8, 96 * lowest)
        for _ in range(8):
            dx, rx, ry = rng.uniform(-15, 15), rng.uniform(4, 11), rng.uniform(1.5, 4)
            dy = rng.uniform(-2.5, 1)
            brush.ellipse((x + dx - rx, y + dy - ry, x + dx + rx, y + dy + ry), fill=215)
    small = small.filter(ImageFilter.GaussianBlur(1.6))
    image.paste(colour, (0, 0), small.resize(image.size, Image.Resampling.BILINEAR))


def ridge(size: Size, base: float, height: float, rng: random.Random) -> list[Point]:
    """The outline of a range of hills down to the lower edge; base and height are shares."""
    width, tall = size
    waves = [(rng.uniform(0, 6.3), rng.uniform(0.7, 1.3) * f, 1 / f) for f in (1.0, 2.3, 5.1)]
    points: list[Point] = [(0, tall)]
    for step in range(61):
        x = step / 60
        wave = sum(math.sin(phase + x * freq * 6.3) * share for phase, freq, share in waves)
        points.append((x * width, (base - height * (wave / 3.3 + 0.5)) * tall))
    return [*points, (width, tall)]


def dot(draw: ImageDraw.ImageDraw, centre: Point, radius: float, fill: Colour) -> None:
    """A filled circle."""
    x, y = centre
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)


def grain(image: Image.Image, rng: random.Random, strength: int = 12) -> Image.Image:
    """The picture with a film's grain, so that it packs as a photograph does.

    Pillow's own ``effect_noise`` cannot be seeded.
    """
    noise = Image.frombytes("L", image.size, rng.randbytes(image.width * image.height))
    noise = noise.point([v * strength // 255 for v in range(256)])
    if image.mode == "RGB":
        noise = Image.merge("RGB", (noise, noise, noise))
    return ImageChops.add(image, noise, 1, -(strength // 2))


@functools.lru_cache(maxsize=64)
def font(pixels: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's built-in typeface; it holds the letters, digits and signs of ASCII alone."""
    return ImageFont.load_default(max(8, pixels))


def text(
    draw: ImageDraw.ImageDraw,
    at: Point,
    words: str,
    pixels: float,
    fill: Colour,
    anchor: str = "la",
    *,
    halo: int = 0,
) -> None:
    """Write one line of ASCII.

    `pixels` is the size of the type, `anchor` Pillow's, `halo` the pixels of white around it.
    """
    face = font(round(pixels))
    draw.text(at, words, fill=fill, font=face, anchor=anchor, stroke_width=halo, stroke_fill=WHITE)


def fitted(words: Sequence[str], pixels: float, width: float) -> float:
    """The largest size of type, at most `pixels`, at which each line is within `width`."""
    widest = max(font(round(pixels)).getlength(line) for line in words)
    return pixels * min(1.0, width / widest)
