"""A road sign with distances."""

from __future__ import annotations

import random
from dataclasses import dataclass

from PIL import Image, ImageDraw

from beam_mat.sample.subjects.paint import WHITE, Size, fitted, gradient, mix, ridge, text
from beam_mat.sample.subjects.subject import Task, Working

_PLACES = (
    "Ashford",
    "Milton",
    "Harbour",
    "Westgate",
    "Old Town",
    "Airport",
    "Kingsway",
    "Lakeside",
)


@dataclass(frozen=True)
class RoadSign:
    """Places with their distances in kilometres, no two alike."""

    places: tuple[str, ...]
    distances: tuple[int, ...]
    detail: int

    @property
    def caption(self) -> str:
        return "a road sign with the distances to " + ", ".join(self.places)

    def task(self, rng: random.Random) -> Task:
        lines = [f"{p} {d} km" for p, d in zip(self.places, self.distances, strict=True)]
        seen = "The road sign reads: " + ", ".join(lines) + "."
        which = rng.randrange(len(self.places))
        far = self.distances[which]
        nearest = self.places[self.distances.index(min(self.distances))]
        working = Working(
            "At 80 km an hour the time in minutes is the distance over 80, times 60.",
            f"print(round({far} / 80 * 60))",
            str(round(far / 80 * 60)),
        )
        return rng.choice(
            (
                Task(f"How far is it to {self.places[which]}?", seen, f"{far} km"),
                Task("Which of the places on the sign is nearest?", seen, nearest),
                Task(
                    f"How many minutes does it take to {self.places[which]} at 80 km an hour?",
                    seen,
                    f"About {round(far / 80 * 60)} minutes.",
                    (working,),
                ),
            )
        )

    def draw(self, size: Size) -> Image.Image:
        rng = random.Random(self.detail)
        width, height = size
        image = gradient(size, (106, 158, 216), (200, 220, 236), (228, 226, 214))
        draw = ImageDraw.Draw(image)
        draw.polygon(ridge(size, 0.7, 0.1, rng), fill=(132, 156, 140))
        draw.polygon(ridge(size, 0.76, 0.06, rng), fill=(100, 134, 84))
        road = [(width * 0.05, height), (width * 0.47, height * 0.74)]
        draw.polygon(
            [*road, (width * 0.53, height * 0.74), (width * 0.95, height)], fill=(92, 94, 100)
        )
        for dash in range(5):
            y, next_y = height * (0.76 + dash * 0.05), height * (0.785 + dash * 0.055)
            half = width * 0.003 * (1 + dash)
            draw.polygon(
                [
                    (width / 2 - half, y),
                    (width / 2 + half, y),
                    (width / 2 + half, next_y),
                    (width / 2 - half, next_y),
                ],
                fill=(232, 230, 220),
            )
        board = (width * 0.12, height * 0.1, width * 0.88, height * 0.66)
        for x in (0.25, 0.75):
            draw.rectangle(
                (width * (x - 0.012), height * 0.5, width * (x + 0.012), height * 0.86),
                fill=(128, 132, 138),
            )
        paint = rng.choice(((16, 106, 72), (24, 78, 152), (120, 72, 36)))
        radius = min(size) * 0.035
        draw.rounded_rectangle(board, radius, fill=mix(paint, (0, 0, 0), 0.15))
        edge = min(size) * 0.014
        frame = (board[0] + edge, board[1] + edge, board[2] - edge, board[3] - edge)
        draw.rounded_rectangle(
            frame, radius * 0.8, fill=paint, outline=WHITE, width=max(2, round(edge * 0.6))
        )
        row = (board[3] - board[1]) * 0.88 / len(self.places)
        wide = board[2] - board[0]
        size_of_type = fitted(
            [f"{place}....000 km" for place in self.places], row * 0.6, wide * 0.86
        )
        for number, (place, far) in enumerate(zip(self.places, self.distances, strict=True)):
            y = board[1] + (board[3] - board[1]) * 0.06 + row * (number + 0.5)
            text(draw, (board[0] + wide * 0.07, y), place, size_of_type, WHITE, "lm")
            text(draw, (board[2] - wide * 0.07, y), f"{far} km", size_of_type, WHITE, "rm")
        return image


def road_sign(rng: random.Random) -> RoadSign:
    """Any sign with two to four places, the nearest first."""
    places = tuple(rng.sample(_PLACES, rng.randint(2, 4)))
    distances = tuple(sorted(rng.sample(range(3, 160), len(places))))
    return RoadSign(places, distances, rng.getrandbits(32))
