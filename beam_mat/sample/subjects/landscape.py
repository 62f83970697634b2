"""Houses on a meadow before hills."""

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
    clouds,
    dot,
    enlarged,
    glow,
    gradient,
    mix,
    ridge,
)
from beam_mat.sample.subjects.subject import Task, counted

_HOURS: dict[str, tuple[Colour, Colour, Colour, Colour]] = {
    # sky above, sky below, sun, haze
    "at noon": ((72, 136, 212), (196, 224, 244), (255, 250, 220), (150, 182, 208)),
    "in the evening": ((74, 70, 130), (250, 172, 108), (255, 226, 160), (170, 116, 130)),
    "in the morning": ((120, 160, 206), (250, 222, 206), (255, 240, 214), (190, 180, 196)),
    "before a storm": ((70, 82, 98), (168, 178, 182), (220, 224, 220), (112, 124, 134)),
}
_GRASS: tuple[Colour, ...] = ((96, 140, 58), (122, 146, 62), (70, 122, 66))


@dataclass(frozen=True)
class Landscape:
    """One to three houses with roofs of one colour, trees, and birds in the sky."""

    hour: str
    houses: int
    roof: str
    trees: int
    birds: int
    detail: int

    @property
    def caption(self) -> str:
        article = "an" if self.roof == "orange" else "a"
        roofs = f"{self.roof} roofs" if self.houses > 1 else f"{article} {self.roof} roof"
        return f"{counted(self.houses, 'house')} with {roofs} on a meadow {self.hour}"

    def task(self, rng: random.Random) -> Task:
        seen = (
            f"The picture shows {self.caption}. There are {counted(self.trees, 'tree')} "
            f"on the meadow and {counted(self.birds, 'bird')} in the sky."
        )
        return rng.choice(
            (
                Task("How many houses can be seen on the meadow?", seen, str(self.houses)),
                Task("Which colour do the roofs in this picture have?", seen, self.roof),
                Task("How many birds are in the sky, if any?", seen, str(self.birds)),
                Task("Count the trees that stand on the meadow.", seen, str(self.trees)),
            )
        )

    def draw(self, size: Size) -> Image.Image:
        rng = random.Random(self.detail)
        width, height = size
        unit = min(width, height * 1.2)
        above, below, sun, haze = _HOURS[self.hour]
        horizon = rng.uniform(0.5, 0.58)
        sky = gradient(backdrop(size), above, mix(above, below, 0.6), below, below)
        place = (rng.uniform(0.15, 0.85), rng.uniform(0.14, 0.3))
        glow(sky, place, 0.36, sun, 0.75)
        clouds(sky, rng, mix(below, (255, 255, 255), 0.6), 0.4)
        canvas = enlarged(sky, size)
        draw = ImageDraw.Draw(canvas)
        if self.hour != "before a storm":
            dot(draw, (place[0] * width, place[1] * height), unit * 0.045, sun)
        grass = rng.choice(_GRASS)
        for layer, near in enumerate((0.0, 0.28, 0.55)):
            base = horizon + 0.03 + layer * 0.05
            colour = mix(haze, mix(grass, (40, 70, 60), 0.45), near)
            draw.polygon(ridge(size, base, 0.2 - layer * 0.05, rng), fill=colour)
        meadow = round(height * (horizon + 0.14))
        light = mix(grass, below, 0.25)
        draw.polygon(ridge(size, horizon + 0.14, 0.05, rng), fill=light)
        ground = gradient((width, height - meadow), light, grass, mix(grass, (20, 40, 20), 0.4))
        canvas.paste(ground, (0, meadow))
        for _ in range(90):
            x, y = rng.uniform(0, width), rng.uniform(horizon + 0.2, 1) ** 0.8 * height
            tuft = unit * 0.012 * (y / height)
            shade = mix(grass, rng.choice(((240, 230, 120), (20, 50, 20))), 0.3)
            draw.line(
                (x, y, x + tuft * 0.4, y - tuft * 2), fill=shade, width=max(1, round(tuft / 4))
            )
        self._things(draw, rng, size, horizon, grass)
        for number in range(self.birds):
            x = (number + rng.uniform(0.2, 0.8)) / self.birds * width * 0.8 + width * 0.1
            y, wing = rng.uniform(0.08, horizon - 0.24) * height, unit * rng.uniform(0.018, 0.026)
            points = [(x - wing, y - wing * 0.5), (x - wing * 0.4, y - wing * 0.6), (x, y)]
            points += [(x + wing * 0.4, y - wing * 0.6), (x + wing, y - wing * 0.5)]
            draw.line(points, fill=INK, width=max(1, round(wing / 5)), joint="curve")
        return canvas

    def _things(
        self,
        draw: ImageDraw.ImageDraw,
        rng: random.Random,
        size: Size,
        horizon: float,
        grass: Colour,
    ) -> None:
        """Houses and trees, each in a column of its own so that none hides another."""
        width, height = size
        places = ["house"] * self.houses + ["tree"] * self.trees
        rng.shuffle(places)
        column = width / len(places)
        tall = min(column * 1.5, height * 0.3)
        for number, thing in enumerate(places):
            foot = ((number + 0.5) * column, height * rng.uniform(horizon + 0.2, horizon + 0.32))
            if thing == "house":
                _house(draw, foot, min(tall * 0.62, column * 0.8), COLOURS[self.roof], rng)
            else:
                _tree(draw, foot, tall * rng.uniform(0.8, 1.05), column * 0.8, grass, rng)


def _house(
    draw: ImageDraw.ImageDraw, foot: Point, wide: float, roof: Colour, rng: random.Random
) -> None:
    x, y = foot
    half, wall = wide / 2, wide * 0.55
    plaster = rng.choice(((236, 224, 200), (222, 206, 180), (226, 226, 220)))
    draw.ellipse(
        (x - half * 1.2, y - wide * 0.05, x + half * 1.3, y + wide * 0.1), fill=(52, 78, 44)
    )
    draw.rectangle((x - half, y - wall, x + half, y), fill=plaster)
    draw.rectangle(
        (x + half * 0.45, y - wall * 1.95, x + half * 0.65, y - wall), fill=(120, 84, 74)
    )
    eaves, peak = y - wall + wide * 0.03, y - wall - wide * 0.42
    draw.polygon([(x - half * 1.2, eaves), (x, peak), (x + half * 1.2, eaves)], fill=roof)
    shade = mix(roof, (0, 0, 0), 0.25)
    draw.polygon([(x, peak), (x + half * 1.2, eaves), (x + half * 0.35, eaves)], fill=shade)
    draw.rectangle((x - half * 0.16, y - wall * 0.6, x + half * 0.16, y), fill=(96, 66, 48))
    for side in (-0.58, 0.58):
        pane = (x + (side - 0.2) * half, y - wall * 0.66, x + (side + 0.2) * half, y - wall * 0.26)
        draw.rectangle(
            pane, fill=(124, 164, 190), outline=(250, 248, 240), width=max(1, int(wide / 40))
        )


def _tree(
    draw: ImageDraw.ImageDraw,
    foot: Point,
    tall: float,
    wide: float,
    grass: Colour,
    rng: random.Random,
) -> None:
    x, y = foot
    leaf = mix(grass, (16, 60, 30), rng.uniform(0.45, 0.7))
    draw.ellipse(
        (x - wide * 0.3, y - tall * 0.02, x + wide * 0.35, y + tall * 0.05), fill=(52, 78, 44)
    )
    draw.rectangle((x - tall * 0.03, y - tall * 0.4, x + tall * 0.03, y), fill=(84, 62, 44))
    if rng.random() < 0.5:
        for level in range(3):
            half, top = (
                min(wide, tall * 0.6) * (0.5 - 0.11 * level),
                y - tall * (0.5 + 0.25 * level),
            )
            low = top + tall * 0.34
            draw.polygon(
                [(x - half, low), (x, top), (x + half, low)],
                fill=mix(leaf, (255, 255, 200), 0.06 * level),
            )
        return
    for _ in range(14):
        r = min(wide, tall * 0.7) * rng.uniform(0.14, 0.24)
        spot = (
            x + rng.uniform(-1, 1) * min(wide, tall * 0.7) * 0.28,
            y - tall * rng.uniform(0.42, 0.85),
        )
        height = (y - spot[1]) / tall - 0.4
        dot(draw, spot, r, mix(leaf, (230, 240, 130), max(0.0, height * 0.6)))


def landscape(rng: random.Random) -> Landscape:
    """Any landscape."""
    return Landscape(
        hour=rng.choice(tuple(_HOURS)),
        houses=rng.randint(1, 3),
        roof=rng.choice(("red", "blue", "purple", "orange")),
        trees=rng.randint(2, 4),
        birds=rng.choice((0, 2, 3, 5)),
        detail=rng.getrandbits(32),
    )
