"""Three sights: a lighthouse, pyramids, a suspension bridge."""

from __future__ import annotations

import random
from dataclasses import dataclass

from PIL import Image, ImageDraw

from beam_mat.sample.subjects.paint import (
    COLOURS,
    INK,
    WHITE,
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

KINDS = ("Lighthouse", "Pyramids", "Bridge")


@dataclass(frozen=True)
class Landmark:
    """A sight with something to count: coloured bands, pyramids or pylons.

    Attributes:
        kind: One of KINDS.
        count: 2 to 4.
        colour: A key of `COLOURS`; of the bands or of the bridge.
    """

    kind: str
    count: int
    colour: str
    detail: int

    @property
    def caption(self) -> str:
        if self.kind == "Lighthouse":
            bands = counted(self.count, f"{self.colour} band")
            return f"a lighthouse with {bands} on a rock by the sea"
        if self.kind == "Pyramids":
            return f"{counted(self.count, 'pyramid')} in the desert"
        return f"a {self.colour} suspension bridge with {counted(self.count, 'pylon')}"

    def task(self, rng: random.Random) -> Task:
        seen = f"The landmark in the picture is {self.caption}."
        thing = {"Lighthouse": f"{self.colour} bands", "Pyramids": "pyramids", "Bridge": "pylons"}
        count = Task(f"How many {thing[self.kind]} does this landmark show?", seen, str(self.count))
        what = Task("Which landmark is this? Describe it in one sentence.", seen, self.caption)
        return rng.choice((count, what))

    def draw(self, size: Size) -> Image.Image:
        rng = random.Random(self.detail)
        return {"Lighthouse": self._lighthouse, "Pyramids": self._pyramids, "Bridge": self._bridge}[
            self.kind
        ](size, rng)

    def _lighthouse(self, size: Size, rng: random.Random) -> Image.Image:
        width, height = size
        small = backdrop(size)
        sky = gradient(small, (70, 132, 204), (164, 206, 236), (226, 238, 244), (150, 190, 206))
        clouds(sky, rng, WHITE, 0.6)
        image = enlarged(sky, size)
        draw = ImageDraw.Draw(image)
        sea = round(height * 0.62)
        image.paste(gradient((width, height - sea), (70, 130, 162), (24, 74, 112)), (0, sea))
        for _ in range(70):
            y = sea + rng.uniform(0.03, 1) ** 1.5 * (height - sea)
            x, long = rng.uniform(0, width), width * rng.uniform(0.01, 0.05) * (y / height)
            draw.arc((x, y, x + long, y + long * 0.3), 200, 340, fill=(150, 194, 212), width=2)
        x, foot, top = width * rng.uniform(0.4, 0.62), height * 0.74, height * 0.24
        wide = height * 0.075
        rock: list[Point] = [(x - wide * 5, height)]
        for step in range(9):
            rise = (0.9 - abs(step - 4) / 5) * height * 0.22
            rock.append((x + (step - 4) * wide * 1.1, height * 0.92 - rise + rng.uniform(-6, 6)))
        draw.polygon([*rock, (x + wide * 5, height)], fill=(84, 78, 72))
        draw.polygon([*rock[4:], (x + wide * 5, height), (x, height)], fill=(68, 62, 60))
        parts = 2 * self.count + 1
        for part in range(parts):
            low, high = foot + (top - foot) * part / parts, foot + (top - foot) * (part + 1) / parts
            a, b = wide * (1 - 0.35 * part / parts), wide * (1 - 0.35 * (part + 1) / parts)
            fill = COLOURS[self.colour] if part % 2 else (244, 242, 236)
            draw.polygon([(x - a, low), (x - b, high), (x + b, high), (x + a, low)], fill=fill)
            shade = mix(fill, (20, 20, 40), 0.22)
            draw.polygon(
                [(x + a * 0.3, low), (x + b * 0.3, high), (x + b, high), (x + a, low)], fill=shade
            )
        b = wide * 0.65
        draw.rectangle((x - b * 1.3, top - b * 0.25, x + b * 1.3, top), fill=INK)
        draw.rectangle(
            (x - b * 0.7, top - b * 1.3, x + b * 0.7, top - b * 0.25), fill=(255, 240, 170)
        )
        for bar in (-0.7, 0.0, 0.7):
            draw.line(
                (x + bar * b, top - b * 1.3, x + bar * b, top), fill=INK, width=max(1, int(b / 8))
            )
        dome = [(x - b * 0.95, top - b * 1.3), (x, top - b * 2.2), (x + b * 0.95, top - b * 1.3)]
        draw.polygon(dome, fill=mix(INK, COLOURS[self.colour], 0.3))
        glow(image, (x / width, (top - b * 0.8) / height), 0.13, (255, 246, 200), 0.6)
        return image

    def _pyramids(self, size: Size, rng: random.Random) -> Image.Image:
        width, height = size
        small = backdrop(size)
        sky = gradient(small, (86, 150, 206), (200, 214, 214), (246, 222, 176), (240, 206, 150))
        glow(sky, (rng.uniform(0.1, 0.9), rng.uniform(0.12, 0.22)), 0.34, (255, 250, 226), 0.9)
        image = enlarged(sky, size)
        draw = ImageDraw.Draw(image)
        draw.polygon(ridge(size, 0.66, 0.05, rng), fill=(214, 178, 122))
        column = width * 0.96 / self.count
        for number in range(self.count):
            x = width * 0.02 + column * (number + 0.5)
            half, low = column * rng.uniform(0.4, 0.47), height * rng.uniform(0.68, 0.72)
            top = low - min(half * rng.uniform(1.1, 1.3), height * 0.5)
            stone: Colour = mix((214, 170, 104), (190, 140, 84), rng.random())
            edge = x + half * 0.28
            draw.polygon([(x - half, low), (x, top), (edge, low + half * 0.06)], fill=stone)
            dark = mix(stone, (60, 40, 40), 0.42)
            draw.polygon([(x, top), (x + half, low), (edge, low + half * 0.06)], fill=dark)
            for row in range(1, 14):
                y = top + (low - top) * row / 14
                a, b = x - half * row / 14, x + (edge - x) * row / 14
                draw.line(
                    (a, y, b, y + half * 0.004 * row), fill=mix(stone, (90, 60, 40), 0.25), width=2
                )
        draw.polygon(ridge(size, 0.76, 0.06, rng), fill=(222, 184, 126))
        sand = round(height * 0.76)
        image.paste(gradient((width, height - sand), (222, 184, 126), (190, 142, 88)), (0, sand))
        draw.polygon(ridge(size, 0.94, 0.08, rng), fill=(172, 124, 76))
        return image

    def _bridge(self, size: Size, rng: random.Random) -> Image.Image:
        width, height = size
        small = backdrop(size)
        sky = gradient(small, (96, 128, 176), (206, 198, 204), (246, 214, 186), (196, 188, 190))
        clouds(sky, rng, (250, 240, 234), 0.5)
        image = enlarged(sky, size)
        draw = ImageDraw.Draw(image)
        draw.polygon(ridge(size, 0.64, 0.2, rng), fill=(128, 140, 160))
        draw.polygon(ridge(size, 0.66, 0.1, rng), fill=(96, 110, 128))
        sea = round(height * 0.66)
        image.paste(gradient((width, height - sea), (150, 166, 178), (44, 74, 98)), (0, sea))
        for _ in range(60):
            y = sea + rng.uniform(0.02, 1) ** 1.5 * (height - sea)
            x, long = rng.uniform(0, width), width * rng.uniform(0.02, 0.07)
            draw.line((x, y, x + long, y), fill=(168, 180, 190), width=2)
        steel, deck, top = COLOURS[self.colour], height * 0.6, height * 0.22
        line = max(2, round(height / 130))
        span = width / self.count
        pylons = [span * (number + 0.5) for number in range(self.count)]
        for left, right in zip([-pylons[0], *pylons], [*pylons, width + pylons[0]], strict=True):
            points = []
            for step in range(25):
                t = step / 24
                y = top + (deck - top - height * 0.03) * (1 - (2 * t - 1) ** 2)
                points.append((left + (right - left) * t, y))
            for x, y in points[1:-1]:
                draw.line((x, y, x, deck), fill=mix(steel, WHITE, 0.35), width=max(1, line // 3))
            draw.line(points, fill=steel, width=line, joint="curve")
        for x in pylons:
            leg = width * 0.011
            for side in (-2.0, 1.0):
                draw.rectangle(
                    (x + side * leg, top - line * 2, x + (side + 1) * leg, height * 0.76),
                    fill=steel,
                )
            for y in (0.26, 0.38, 0.5, 0.66):
                draw.rectangle(
                    (x - 2 * leg, y * height, x + 2 * leg, y * height + line * 1.6), fill=steel
                )
            draw.rectangle(
                (x - 4 * leg, height * 0.755, x + 4 * leg, height * 0.785), fill=(120, 118, 116)
            )
        draw.rectangle((0, deck, width, deck + line * 2.4), fill=mix(steel, (20, 20, 30), 0.3))
        for _ in range(9):
            dot(
                draw,
                (rng.uniform(0, width), deck - line * 0.5),
                line * 0.9,
                rng.choice((WHITE, INK)),
            )
        return image


def landmark(rng: random.Random) -> Landmark:
    """Any sight."""
    return Landmark(
        kind=rng.choice(KINDS),
        count=rng.randint(2, 4),
        colour=rng.choice(("red", "blue", "green")),
        detail=rng.getrandbits(32),
    )
