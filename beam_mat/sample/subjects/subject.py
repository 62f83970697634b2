"""What every subject of a picture offers: a caption, a task with its right answer, a drawing."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Protocol

from PIL import Image

from beam_mat.sample.subjects.paint import Size

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


@dataclass(frozen=True)
class Working:
    """One step of Python between looking and answering."""

    thought: str
    code: str
    output: str


@dataclass(frozen=True)
class Task:
    """A question about a picture (or about nothing but words) and the way to its answer.

    Attributes:
        question: What the user asks.
        seen: What the tool reports about the picture, as one or two sentences.
        answer: The right answer.
        workings: Steps of Python between the two, none to two of them.
    """

    question: str
    seen: str
    answer: str
    workings: tuple[Working, ...] = ()


class Subject(Protocol):
    """What a picture shows. Drawing it twice gives the same pixels."""

    @property
    def caption(self) -> str:
        """A noun phrase in lower case without a full stop."""

    def task(self, rng: random.Random) -> Task:
        """A task that the picture answers."""

    def draw(self, size: Size) -> Image.Image:
        """The picture in RGB, width by height pixels."""


def counted(number: int, one: str, many: str | None = None) -> str:
    """``two houses``, ``no house``: at most ten of them."""
    return f"{NUMBERS[number]} {one if number < 2 else many or one + 's'}"
