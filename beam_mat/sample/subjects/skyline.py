"""A city by the water at night or at dusk."""

from __future__ import annotations

import random
from dataclasses import dataclass

from PIL import Image, ImageDraw

from beam_mat.sample.subjects.paint import (
    Colour,
    Size,
    backdrop,
    dot,
    enlarged,
    glow,
    gradient,
    mix,
)
from beam_mat.sample.subjects.subject import Task, Working, counted

_SKIES: dict[str, tuple[Colour, Colour, Colour]] = {
    "at night": ((10, 14, 38), (34, 44, 92), (72, 74, 128)),
    "at dusk": ((40, 38, 92), (168, 88, 120), (250, 170, 104)),
    "in the blue hour": ((18, 36, 88), (62, 104, 168), (178, 190, 214)),
}


@dataclass(frozen=True)
class Skyline:
    """A row of towers, some with an antenna, mirrored in the water."""

    hour: str
    towers: int
    antennas: int
    detail: int

    @property
    def caption(self) -> str:
        return f"a row of {counted(self.towers, 'tower')} by the water {self.hour}"

    def task(self, rng: random.Random) -> Task:
        has = "has" if self.antennas == 1 else "have"
        seen = (
            f"The picture shows {self.caption}. In the front row "
            f"{counted(self.antennas, 'tower')} {has} an antenna."
        )
        rest = self.towers - self.antennas
        working = Working(
            "I know both counts, so I subtract them.",
            f"towers = {self.towers}\nwith_antenna = {self.antennas}\nprint(towers - with_antenna)",
            str(rest),
        )
        return rng.choice(
            (
                Task("How many towers in the front row have an antenna?", seen, str(self.antennas)),
                Task(
                    "How many of the towers in the front row have no antenna?",
                    seen,
                    str(rest),
                    (working,),
                ),
            )
        )

    def draw(self, size: Size) -> Image.Image:
        rng = random.Random(self.detail)
        width, height = size
        shore = round(height * 0.74)
        top, middle, low = _SKIES[self.hour]
        moon = (rng.uniform(0.15, 0.85), rng.uniform(0.12, 0.2))
        sky = gradient(backdrop((width, shore)), top, top, middle, low)
        glow(sky, moon, 0.2, mix(low, (255, 255, 255), 0.5), 0.6)
        glow(sky, (0.5, 1.0), 0.6, mix(low, (255, 240, 220), 0.3), 0.4)
        city = enlarged(sky, (width, shore))
        draw = ImageDraw.Draw(city)
        if self.hour == "at night":
            for _ in range(70):
                spot = (rng.uniform(0, width), rng.uniform(0, shore * 0.6))
                dot(draw, spot, width / 900 * rng.uniform(0.6, 1.6), (200, 206, 230))
        dot(draw, (moon[0] * width, moon[1] * shore), width * 0.028, (250, 244, 222))
        for far in (0.7, 0.4):
            x = -width * 0.02
            while x < width:
                wide = width * rng.uniform(0.04, 0.09)
                roof = shore * (1 - rng.uniform(0.2, 0.42) * (0.6 + far))
                draw.rectangle(
                    (x, roof, x + wide, shore), fill=mix(mix(top, (0, 0, 0), 0.2), low, far * 0.6)
                )
                x += wide * rng.uniform(0.8, 1.2)
        masts = set(rng.sample(range(self.towers), self.antennas))
        column = width * 0.94 / self.towers
        for number in range(self.towers):
            left = width * 0.03 + column * (number + rng.uniform(0.06, 0.14))
            self._tower(
                draw, rng, (left, column * rng.uniform(0.68, 0.8)), shore, number in masts, top
            )
        canvas = Image.new("RGB", size, top)
        canvas.paste(city, (0, 0))
        depth = height - shore
        mirror = city.crop((0, shore - depth * 2, width, shore))
        mirror = mirror.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
        mirror = mirror.resize((max(1, width // 2), max(1, depth // 24)), Image.Resampling.BOX)
        mirror = mirror.resize((width, depth), Image.Resampling.BILINEAR)
        water = Image.blend(mirror, Image.new("RGB", mirror.size, mix(top, (0, 10, 20), 0.4)), 0.42)
        ripple = ImageDraw.Draw(water)
        for _ in range(60):
            y = rng.uniform(0, 1) ** 1.4 * depth
            x, long = rng.uniform(0, width), width * rng.uniform(0.01, 0.06)
            ripple.line((x, y, x + long, y), fill=mix(top, low, 0.55), width=max(1, height // 400))
        canvas.paste(water, (0, shore))
        ImageDraw.Draw(canvas).rectangle(
            (0, shore - height * 0.008, width, shore), fill=(16, 18, 26)
        )
        return canvas

    @staticmethod
    def _tower(
        draw: ImageDraw.ImageDraw,
        rng: random.Random,
        span: tuple[float, float],
        shore: int,
        mast: bool,
        sky: Colour,
    ) -> None:
        left, wide = span
        roof = shore * rng.uniform(0.3, 0.66)
        wall = mix(mix(sky, (6, 8, 16), 0.6), (70, 74, 90), rng.uniform(0.0, 0.4))
        draw.rectangle((left, roof, left + wide, shore), fill=wall)
        draw.rectangle(
            (left + wide * 0.82, roof, left + wide, shore), fill=mix(wall, (0, 0, 0), 0.3)
        )
        if mast:
            middle, tip = left + wide / 2, roof - shore * 0.17
            draw.rectangle(
                (middle - wide * 0.16, roof - shore * 0.03, middle + wide * 0.16, roof), fill=wall
            )
            draw.line(
                (middle, tip, middle, roof), fill=(150, 154, 170), width=max(2, round(wide / 22))
            )
            dot(draw, (middle, tip), max(2.0, wide / 20), (236, 60, 52))
        columns, cell = rng.choice((4, 5, 6)), shore * 0.034
        pane = wide * 0.72 / columns
        lit = rng.choice(((255, 216, 130), (255, 236, 190), (214, 228, 250)))
        y = roof + cell
        while y < shore - cell:
            for number in range(columns):
                if rng.random() < 0.62:
                    x = left + wide * 0.06 + number * pane
                    shade = mix(wall, lit, rng.uniform(0.35, 1))
                    draw.rectangle((x, y, x + pane * 0.62, y + cell * 0.5), fill=shade)
            y += cell


def skyline(rng: random.Random) -> Skyline:
    """Any city."""
    towers = rng.randint(5, 8)
    return Skyline(
        hour=rng.choice(tuple(_SKIES)),
        towers=towers,
        antennas=rng.randint(1, 4),
        detail=rng.getrandbits(32),
    )
