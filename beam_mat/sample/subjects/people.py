"""Simple portraits of one to four people."""

from __future__ import annotations

import random
from dataclasses import dataclass

from PIL import Image, ImageDraw

from beam_mat.sample.subjects.paint import (
    COLOURS,
    INK,
    Colour,
    Point,
    Size,
    backdrop,
    enlarged,
    glow,
    gradient,
    mix,
)
from beam_mat.sample.subjects.subject import Task, Working, counted

_SKINS: tuple[Colour, ...] = ((244, 208, 180), (226, 178, 140), (186, 132, 96), (126, 84, 60))
_HAIRS: tuple[Colour, ...] = (
    (44, 32, 28),
    (92, 60, 38),
    (190, 150, 84),
    (150, 148, 146),
    (132, 58, 34),
)
_WALLS: tuple[tuple[Colour, Colour], ...] = (
    ((150, 178, 190), (84, 112, 130)),
    ((206, 190, 166), (150, 128, 104)),
    ((120, 148, 118), (60, 84, 70)),
    ((176, 150, 178), (104, 82, 118)),
)


@dataclass(frozen=True)
class Portrait:
    """People side by side in shirts of different colours, some with glasses."""

    shirts: tuple[str, ...]
    glasses: tuple[bool, ...]
    detail: int

    @property
    def caption(self) -> str:
        if len(self.shirts) == 1:
            return f"a person in a {self.shirts[0]} shirt"
        shirts = ", ".join(self.shirts[:-1]) + f" and {self.shirts[-1]}"
        return f"{counted(len(self.shirts), 'person', 'people')} in {shirts} shirts"

    def task(self, rng: random.Random) -> Task:
        people, worn = len(self.shirts), sum(self.glasses)
        wearers = counted(worn, "person", "people").capitalize()
        seen = (
            f"The picture shows {self.caption}, named from left to right. "
            f"{wearers} wear{'s' if worn < 2 else ''} glasses."
        )
        working = Working(
            "Every person without glasses is one that I have counted but who wears none.",
            f"people, with_glasses = {people}, {worn}\nprint(people - with_glasses)",
            str(people - worn),
        )
        return rng.choice(
            (
                Task("How many people are in this picture?", seen, str(people)),
                Task("Which colour is the shirt of the person on the left?", seen, self.shirts[0]),
                Task("How many people here wear no glasses?", seen, str(people - worn), (working,)),
            )
        )

    def draw(self, size: Size) -> Image.Image:
        rng = random.Random(self.detail)
        width, height = size
        light, dark = rng.choice(_WALLS)
        wall = gradient(backdrop(size), light, mix(light, dark, 0.5), dark)
        for _ in range(9):
            spot = (rng.uniform(0, 1), rng.uniform(0, 0.8))
            glow(wall, spot, rng.uniform(0.05, 0.16), mix(light, (255, 250, 230), 0.7), 0.35)
        image = enlarged(wall, size)
        draw = ImageDraw.Draw(image)
        column = width / len(self.shirts)
        face = min(column * 0.3, height * 0.23)
        for number, (shirt, worn) in enumerate(zip(self.shirts, self.glasses, strict=True)):
            level = min(0.86 * height - 2.4 * face, 0.3 * height + 1.2 * face)
            level = max(level, height - 6 * face)
            middle = (column * (number + 0.5), level + rng.uniform(-0.4, 0.3) * face)
            _person(draw, rng, middle, face, COLOURS[shirt], worn, height)
        return image


def _person(
    draw: ImageDraw.ImageDraw,
    rng: random.Random,
    middle: Point,
    face: float,
    shirt: Colour,
    glasses: bool,
    floor: int,
) -> None:
    """Head and shoulders; `face` is half the height of the face."""
    x, y = middle
    skin, hair = rng.choice(_SKINS), rng.choice(_HAIRS)
    shade, half = mix(skin, (90, 40, 30), 0.22), face * 0.78
    long = rng.random() < 0.5
    if long:
        draw.rounded_rectangle(
            (x - half * 1.3, y - face * 0.9, x + half * 1.3, y + face * 1.5),
            half * 0.8,
            fill=mix(hair, (0, 0, 0), 0.15),
        )
    shoulder = y + face * 1.45
    draw.rounded_rectangle(
        (x - face * 1.6, shoulder, x + face * 1.6, floor + face * 2), face * 0.8, fill=shirt
    )
    dark = mix(shirt, (20, 20, 30), 0.3)
    for side in (-1, 1):
        draw.line(
            (x + side * face * 1.15, shoulder + face * 0.9, x + side * face * 1.1, floor),
            fill=dark,
            width=max(2, round(face / 18)),
        )
    draw.rounded_rectangle(
        (x - half * 0.45, y + face * 0.5, x + half * 0.45, y + face * 1.6), half * 0.3, fill=shade
    )
    draw.polygon(
        [(x - half * 0.62, shoulder), (x, shoulder + face * 0.5), (x + half * 0.62, shoulder)],
        fill=shade,
    )
    for side in (-1, 1):
        collar = [(x + side * half * 0.45, shoulder - face * 0.12), (x, shoulder + face * 0.5)]
        draw.polygon(
            [*collar, (x + side * half * 0.95, shoulder + face * 0.3)],
            fill=mix(shirt, (255, 255, 255), 0.25),
        )
        draw.ellipse(
            (
                x + side * half - face * 0.14,
                y - face * 0.12,
                x + side * half + face * 0.14,
                y + face * 0.28,
            ),
            fill=shade,
        )
    draw.ellipse((x - half * 1.1, y - face * 1.2, x + half * 1.1, y + face * 0.5), fill=hair)
    draw.ellipse((x - half, y - face * 0.95, x + half, y + face), fill=skin)
    fringe = rng.uniform(150, 175)
    draw.chord(
        (x - half * 1.08, y - face * 1.2, x + half * 1.08, y + face * 0.35),
        fringe + 30,
        375 - (fringe - 150),
        fill=hair,
    )
    if long:
        for side in (-1, 1):
            draw.ellipse(
                (
                    x + side * half * 1.02 - face * 0.2,
                    y - face * 0.8,
                    x + side * half * 1.02 + face * 0.2,
                    y + face * 0.8,
                ),
                fill=hair,
            )
    for side in (-1, 1):
        eye, brow = x + side * half * 0.42, y - face * 0.3
        draw.ellipse(
            (eye - face * 0.14, y - face * 0.1, eye + face * 0.14, y + face * 0.08),
            fill=(250, 250, 248),
        )
        draw.ellipse(
            (eye - face * 0.075, y - face * 0.09, eye + face * 0.075, y + face * 0.07),
            fill=(60, 44, 36),
        )
        draw.line(
            (
                eye - face * 0.17,
                brow + face * 0.04,
                eye,
                brow,
                eye + face * 0.17,
                brow + face * 0.04,
            ),
            fill=mix(hair, INK, 0.3),
            width=max(2, round(face / 14)),
            joint="curve",
        )
        draw.ellipse(
            (eye - face * 0.16, y + face * 0.24, eye + face * 0.16, y + face * 0.44),
            fill=mix(skin, (230, 90, 80), 0.22),
        )
        if glasses:
            draw.rounded_rectangle(
                (eye - face * 0.25, y - face * 0.2, eye + face * 0.25, y + face * 0.2),
                face * 0.1,
                outline=INK,
                width=max(2, round(face / 16)),
            )
    if glasses:
        draw.line(
            (x - half * 0.12, y - face * 0.05, x + half * 0.12, y - face * 0.05),
            fill=INK,
            width=max(2, round(face / 16)),
        )
    nose = [
        (x, y + face * 0.02),
        (x - face * 0.07, y + face * 0.3),
        (x + face * 0.06, y + face * 0.31),
    ]
    draw.line(nose, fill=shade, width=max(2, round(face / 16)), joint="curve")
    draw.chord(
        (x - half * 0.38, y + face * 0.32, x + half * 0.38, y + face * 0.72),
        8,
        172,
        fill=(168, 64, 62),
    )


def portrait(rng: random.Random) -> Portrait:
    """Any group of one to four."""
    people = rng.randint(1, 4)
    return Portrait(
        shirts=tuple(rng.sample(sorted(COLOURS), people)),
        glasses=tuple(rng.random() < 0.4 for _ in range(people)),
        detail=rng.getrandbits(32),
    )
