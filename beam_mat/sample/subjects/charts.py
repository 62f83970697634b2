"""Bar and line charts whose values are known."""

from __future__ import annotations

import random
from dataclasses import dataclass

from PIL import Image, ImageDraw

from beam_mat.sample.subjects.chart_topics import BARS, LINES, Topic
from beam_mat.sample.subjects.paint import INK, WHITE, Colour, Point, Size, dot, fitted, mix, text
from beam_mat.sample.subjects.subject import Task, Working

_PALETTES: tuple[tuple[Colour, ...], ...] = (
    ((24, 78, 146), (238, 150, 60)),
    ((12, 100, 96), (234, 124, 138)),
    ((82, 54, 144), (146, 190, 88)),
)
"""One dark and one light colour, so that a grey copy can be read too."""


@dataclass(frozen=True)
class Chart:
    """A chart of one or two series over the same labels; no two values are equal.

    Attributes:
        lines: Whether it is drawn as lines; as bars otherwise.
        values: Whole numbers, one tuple for each series, one value for each label.
    """

    topic: Topic
    lines: bool
    labels: tuple[str, ...]
    series: tuple[str, ...]
    values: tuple[tuple[int, ...], ...]
    palette: int

    @property
    def caption(self) -> str:
        kind = "line" if self.lines else "bar"
        return f"a {kind} chart titled '{self.topic.title}' ({self.topic.unit})"

    def task(self, rng: random.Random) -> Task:
        which = rng.randrange(len(self.series))
        name, values = self.series[which], self.values[which]
        pairs = dict(zip(self.labels, values, strict=True))
        seen = f"It is {self.caption}. The values of {name}: " + ", ".join(
            f"{label} {value}" for label, value in pairs.items()
        )
        best = max(pairs, key=lambda label: pairs[label])
        question = self.topic.most.format(name)
        if len(self.series) > 1 and not self.lines:
            question = f"{question.removesuffix('?')} in the series {name}?"
        total = Working(
            "I add the values that were read from the chart.",
            f"values = {list(values)}\nprint(sum(values))",
            str(sum(values)),
        )
        low, high = min(values), max(values)
        spread = Working(
            "I take the smallest value from the largest.",
            f"values = {list(values)}\nprint(max(values) - min(values))",
            str(high - low),
        )
        check = Working(
            "I sort the values to be sure which one is the highest.",
            f"values = {pairs!r}\nprint(sorted(values, key=values.get)[-1])",
            best,
        )
        unit = self.topic.unit
        return rng.choice(
            (
                Task(question, seen, best),
                Task(question, seen, best, (check,)),
                Task(
                    f"What do the values of {name} in the chart add up to?",
                    seen,
                    f"{sum(values)} {unit}",
                    (total,),
                ),
                Task(
                    f"How far apart are the highest and the lowest value of {name}?",
                    seen,
                    f"{high - low} {unit} ({best} is highest)",
                    (spread, check),
                ),
            )
        )

    def draw(self, size: Size) -> Image.Image:
        width, height = size
        image = Image.new("RGB", size, WHITE)
        draw = ImageDraw.Draw(image)
        unit = height / 100
        left, right, top, low = 11 * unit, width - 4 * unit, 21 * unit, height - 12 * unit
        text(draw, (left, 4 * unit), self.topic.title, 5.2 * unit, INK)
        text(draw, (left, 11.2 * unit), f"in {self.topic.unit}", 3.2 * unit, (110, 112, 120))
        step = _step(max(max(values) for values in self.values))
        most = step * (max(max(values) for values in self.values) // step + 1)
        for value in range(0, most + 1, step):
            y = low - (low - top) * value / most
            draw.line((left, y, right, y), fill=(222, 224, 230), width=max(1, round(unit / 4)))
            text(draw, (left - 1.4 * unit, y), str(value), 3 * unit, (96, 98, 106), "rm")
        column = (right - left) / len(self.labels)
        type_size = fitted(self.labels, 3.2 * unit, column * 0.94)
        for number, label in enumerate(self.labels):
            at = (left + column * (number + 0.5), low + 1.8 * unit)
            text(draw, at, label, type_size, INK, "ma")
        plot = self._lines if self.lines else self._bars
        plot(draw, (left, top, right, low), most, unit)
        draw.line((left, low, right, low), fill=INK, width=max(1, round(unit / 2.5)))
        if len(self.series) > 1:
            x = right
            for name, colour in reversed(tuple(zip(self.series, self._colours, strict=True))):
                x -= 2.2 * unit * 0.8 + len(name) * 1.75 * unit + 5 * unit
                box = (x, 12 * unit, x + 2.4 * unit, 14.4 * unit)
                draw.rounded_rectangle(box, 0.5 * unit, fill=colour)
                text(draw, (x + 3.4 * unit, 13.2 * unit), name, 3.2 * unit, INK, "lm")
        foot = (right, height - 2 * unit)
        text(draw, foot, "Source: own survey", 2.4 * unit, (150, 152, 160), "rs")
        return image

    @property
    def _colours(self) -> tuple[Colour, ...]:
        return _PALETTES[self.palette][: len(self.series)]

    def _bars(
        self,
        draw: ImageDraw.ImageDraw,
        box: tuple[float, float, float, float],
        most: int,
        unit: float,
    ) -> None:
        left, top, right, low = box
        column = (right - left) / len(self.labels)
        wide = column * 0.68 / len(self.series)
        for number, (values, colour) in enumerate(zip(self.values, self._colours, strict=True)):
            for place, value in enumerate(values):
                x = left + column * (place + 0.16) + wide * number
                y = low - (low - top) * value / most
                draw.rectangle((x, y, x + wide * 0.94, low), fill=colour)
                at = (x + wide * 0.47, y - 0.8 * unit)
                text(draw, at, str(value), min(3 * unit, wide * 0.5), mix(colour, INK, 0.5), "ms")

    def _lines(
        self,
        draw: ImageDraw.ImageDraw,
        box: tuple[float, float, float, float],
        most: int,
        unit: float,
    ) -> None:
        left, top, right, low = box
        column = (right - left) / len(self.labels)
        labels: list[tuple[Point, str, Colour]] = []
        for values, colour in zip(self.values, self._colours, strict=True):
            points = [
                (left + column * (place + 0.5), low - (low - top) * value / most)
                for place, value in enumerate(values)
            ]
            draw.line(points, fill=colour, width=max(2, round(unit * 0.7)), joint="curve")
            for point, number in zip(points, values, strict=True):
                dot(draw, point, 0.95 * unit, colour)
                dot(draw, point, 0.45 * unit, WHITE)
                at = (point[0], point[1] - 1.8 * unit)
                labels.append((at, str(number), mix(colour, INK, 0.4)))
        for at, value, colour in labels:
            text(draw, at, value, 2.7 * unit, colour, "ms", halo=round(unit / 2))


def _step(highest: int) -> int:
    """A round distance that puts four to eight lines under `highest`."""
    return next(step for step in (5, 10, 20, 25, 50, 100) if highest / step <= 7)


def chart(rng: random.Random) -> Chart:
    """Any chart: bars of one or two series, or lines of two."""
    lines = rng.random() < 0.4
    topic = rng.choice(LINES if lines else BARS)
    years = ("2021", "2023")
    if lines:
        first = rng.randrange(4)
        labels, series = topic.labels[first : first + 7], topic.series
    else:
        labels = tuple(rng.sample(topic.labels, rng.randint(4, 6)))
        series = years if rng.random() < 0.4 else (topic.title.removesuffix(" in 2023"),)
    values = rng.sample(range(12, rng.choice((60, 120, 240))), len(labels) * len(series))
    rows = tuple(
        tuple(values[row * len(labels) : (row + 1) * len(labels)]) for row in range(len(series))
    )
    if series == years:
        topic = Topic(topic.title.removesuffix(" in 2023"), topic.unit, topic.labels, topic.most)
    return Chart(topic, lines, labels, series, rows, rng.randrange(len(_PALETTES)))
