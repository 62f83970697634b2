"""Fruit on a table."""

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

_FRUIT: dict[str, tuple[Colour, Colour]] = {
    "apple": ((196, 44, 40), (250, 150, 110)),
    "orange": ((236, 134, 28), (255, 206, 120)),
    "lemon": ((238, 206, 56), (255, 246, 180)),
    "plum": ((84, 44, 104), (176, 130, 190)),
    "lime": ((96, 158, 50), (206, 236, 140)),
}
_ROOMS: tuple[tuple[Colour, Colour], ...] = (
    ((208, 196, 178), (150, 134, 118)),
    ((150, 170, 176), (88, 106, 116)),
    ((176, 150, 130), (92, 70, 60)),
)


@dataclass(frozen=True)
class StillLife:
    """Two kinds of fruit, one to five of each."""

    first: tuple[str, int]
    second: tuple[str, int]
    detail: int

    @property
    def caption(self) -> str:
        one, two = (counted(number, name) for name, number in (self.first, self.second))
        return f"{one} and {two} on a wooden table"

    def task(self, rng: random.Random) -> Task:
        seen = f"On the table there are {self.caption.removesuffix(' on a wooden table')}."
        (name, number), (_, other) = self.first, self.second
        working = Working(
            "I add the pieces of both kinds.", f"print({number} + {other})", str(number + other)
        )
        price = 30 + number * 5
        cost = Working(
            "I have the number of pieces and the price of one.",
            f"pieces, price = {number}, {price}\nprint(pieces * price / 100)",
            f"{number * price / 100}",
        )
        return rng.choice(
            (
                Task(f"How many {name}s are on the table?", seen, str(number)),
                Task(
                    "How many pieces of fruit are there in all?",
                    seen,
                    str(number + other),
                    (working,),
                ),
                Task(
                    f"One {name} costs £0.{price}. What do all {name}s in the picture cost?",
                    seen,
                    f"£{number * price / 100:.2f}",
                    (cost,),
                ),
            )
        )

    def draw(self, size: Size) -> Image.Image:
        rng = random.Random(self.detail)
        width, height = size
        light, dark = rng.choice(_ROOMS)
        wall = gradient(backdrop(size), mix(light, dark, 0.4), light, dark)
        glow(wall, (0.2, 0.1), 0.7, (255, 244, 220), 0.6)
        image = enlarged(wall, size)
        table = round(height * 0.52)
        wood: Colour = rng.choice(((164, 112, 66), (132, 86, 52), (184, 140, 92)))
        image.paste(
            gradient((width, height - table), mix(wood, (255, 230, 190), 0.25), wood), (0, table)
        )
        draw = ImageDraw.Draw(image)
        for _ in range(26):
            y = table + rng.uniform(0, 1) * (height - table)
            x, long = rng.uniform(-0.2, 1) * width, rng.uniform(0.1, 0.5) * width
            draw.line(
                (x, y, x + long, y + rng.uniform(-3, 3)), fill=mix(wood, (60, 34, 20), 0.2), width=2
            )
        pieces = [self.first[0]] * self.first[1] + [self.second[0]] * self.second[1]
        rng.shuffle(pieces)
        back = len(pieces) // 2
        for row, kinds in enumerate((pieces[:back], pieces[back:])):
            column = width * 0.94 / max(1, len(kinds))
            radius = min(width * 0.94 / (len(pieces) - back) * 0.42, height * 0.13)
            for number, kind in enumerate(kinds):
                x = width * 0.03 + column * (number + 0.5) + rng.uniform(-0.06, 0.06) * column
                y = height * (0.5 if row == 0 else 0.79) + rng.uniform(-0.1, 0.1) * radius
                _piece(image, (x, y), radius * (0.88 if row == 0 else 1), kind, wood)
        return image


def _piece(
    image: Image.Image, at: tuple[float, float], radius: float, kind: str, wood: Colour
) -> None:
    body, shine = _FRUIT[kind]
    draw = ImageDraw.Draw(image)
    x, y = at
    shadow = (x - radius * 0.8, y + radius * 0.55, x + radius * 1.5, y + radius * 1.12)
    draw.ellipse(shadow, fill=mix(wood, (20, 10, 6), 0.5))
    long = 1.18 if kind == "lemon" else 1.0
    draw.ellipse(
        (x - radius * long, y - radius, x + radius * long, y + radius),
        fill=mix(body, (20, 6, 20), 0.4),
    )
    draw.ellipse(
        (x - radius * long, y - radius, x + radius * long * 0.86, y + radius * 0.88), fill=body
    )
    if kind == "lemon":
        dot(draw, (x + radius * 1.16, y), radius * 0.16, mix(body, (120, 90, 20), 0.3))
        dot(draw, (x - radius * 1.16, y), radius * 0.16, body)
    spot = ((x - radius * 0.3) / image.width, (y - radius * 0.36) / image.height)
    glow(image, spot, radius * 0.66 / image.width, shine, 0.95)
    if kind in ("apple", "plum"):
        top = y - radius * 0.86
        draw.line(
            (x, top, x + radius * 0.12, top - radius * 0.36),
            fill=(74, 50, 32),
            width=max(2, round(radius / 10)),
        )
    if kind == "apple":
        leaf = (x + radius * 0.1, y - radius * 1.26, x + radius * 0.62, y - radius * 0.98)
        draw.ellipse(leaf, fill=(84, 140, 62))


def still_life(rng: random.Random) -> StillLife:
    """Any two kinds of fruit."""
    one, two = rng.sample(sorted(_FRUIT), 2)
    return StillLife((one, rng.randint(1, 5)), (two, rng.randint(1, 4)), rng.getrandbits(32))
