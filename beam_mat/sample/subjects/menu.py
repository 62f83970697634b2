"""A menu on a blackboard."""

from __future__ import annotations

import random
from dataclasses import dataclass

from PIL import Image, ImageDraw

from beam_mat.sample.subjects.paint import INK, Colour, Size, fitted, glow, gradient, mix, text
from beam_mat.sample.subjects.subject import Task, Working

_HOUSES = ("The Copper Kettle", "Blue Door Cafe", "Old Mill Kitchen", "Corner Bakery")
_DISHES = (
    "Tomato soup",
    "Pea risotto",
    "Onion tart",
    "Fish pie",
    "Bean salad",
    "Apple cake",
    "Rye sandwich",
    "Lemon tea",
)


@dataclass(frozen=True)
class Menu:
    """Dishes with their prices in cents, no two alike."""

    house: str
    dishes: tuple[str, ...]
    prices: tuple[int, ...]
    detail: int

    @property
    def caption(self) -> str:
        return f"the blackboard menu of '{self.house}'"

    def task(self, rng: random.Random) -> Task:
        lines = [f"{d} ${p / 100:.2f}" for d, p in zip(self.dishes, self.prices, strict=True)]
        seen = f"The board is {self.caption}. It reads: " + "; ".join(lines) + "."
        one, two = rng.sample(range(len(self.dishes)), 2)
        both = (self.prices[one] + self.prices[two]) / 100
        working = Working(
            "I add the two prices.",
            f"print({self.prices[one] / 100} + {self.prices[two] / 100})",
            str(self.prices[one] / 100 + self.prices[two] / 100),
        )
        cheap = self.dishes[self.prices.index(min(self.prices))]
        single = self.dishes[one].lower()
        return rng.choice(
            (
                Task(
                    f"According to the menu, how much is the {single}?",
                    seen,
                    f"${self.prices[one] / 100:.2f}",
                ),
                Task(
                    f"What do I pay for the {single} and the {self.dishes[two].lower()} together?",
                    seen,
                    f"${both:.2f}",
                    (working,),
                ),
                Task("Which dish on this board is the cheapest?", seen, cheap),
            )
        )

    def draw(self, size: Size) -> Image.Image:
        rng = random.Random(self.detail)
        width, height = size
        image = _bricks(size, rng)
        draw = ImageDraw.Draw(image)
        board = (width * 0.11, height * 0.07, width * 0.89, height * 0.93)
        rim = min(size) * 0.025
        wood = (150, 104, 62)
        shadow = tuple(v + rim * 0.7 for v in board)
        draw.rectangle((shadow[0], shadow[1], shadow[2], shadow[3]), fill=(66, 44, 40))
        draw.rectangle(board, fill=wood)
        inner = (board[0] + rim, board[1] + rim, board[2] - rim, board[3] - rim)
        slate = gradient(
            (round(inner[2] - inner[0]), round(inner[3] - inner[1])), (46, 54, 52), (34, 40, 40)
        )
        image.paste(slate, (round(inner[0]), round(inner[1])))
        wide, tall = inner[2] - inner[0], inner[3] - inner[1]
        head = fitted([self.house], tall * 0.12, wide * 0.86)
        chalk: Colour = (236, 234, 222)
        text(draw, (width / 2, inner[1] + tall * 0.12), self.house, head, (250, 214, 120), "mm")
        y = inner[1] + tall * 0.22
        draw.line(
            (inner[0] + wide * 0.2, y, inner[2] - wide * 0.2, y),
            fill=chalk,
            width=max(2, round(tall / 180)),
        )
        row = tall * 0.7 / len(self.dishes)
        size_of_type = fitted(
            [f"{dish}......$00.00" for dish in self.dishes],
            min(row * 0.52, tall * 0.1),
            wide * 0.86,
        )
        for number, (dish, price) in enumerate(zip(self.dishes, self.prices, strict=True)):
            y = inner[1] + tall * 0.26 + row * (number + 0.5)
            text(draw, (inner[0] + wide * 0.07, y), dish, size_of_type, chalk, "lm")
            text(
                draw, (inner[2] - wide * 0.07, y), f"${price / 100:.2f}", size_of_type, chalk, "rm"
            )
        for _ in range(5):
            glow(
                image,
                (rng.uniform(0.25, 0.75), rng.uniform(0.25, 0.75)),
                0.1,
                (120, 126, 122),
                0.12,
            )
        return image


def _bricks(size: Size, rng: random.Random) -> Image.Image:
    width, height = size
    brick: Colour = rng.choice(((150, 84, 68), (172, 122, 96), (120, 104, 100)))
    image = Image.new("RGB", size, mix(brick, (220, 210, 200), 0.5))
    draw = ImageDraw.Draw(image)
    tall = max(4.0, min(size) / 16)
    wide, gap = tall * 2.3, max(1.0, tall / 9)
    for row in range(int(height / tall) + 1):
        x = -wide * (0.5 if row % 2 else 0.0)
        while x < width:
            shade = mix(brick, INK, rng.uniform(0, 0.25))
            draw.rectangle((x, row * tall, x + wide - gap, (row + 1) * tall - gap), fill=shade)
            x += wide
    return image


def menu(rng: random.Random) -> Menu:
    """Any menu of four to six dishes."""
    dishes = tuple(rng.sample(_DISHES, rng.randint(4, 6)))
    prices = tuple(25 * price for price in rng.sample(range(10, 56), len(dishes)))
    return Menu(rng.choice(_HOUSES), dishes, prices, rng.getrandbits(32))
