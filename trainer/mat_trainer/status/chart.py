"""Bars and curves made of characters, for a terminal. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

EIGHTHS = " ▏▎▍▌▋▊▉█"
# Unicode's braille patterns have two dots across and four down; bits as the standard numbers them.
BRAILLE = 0x2800
DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))


def bar(fraction: float, width: int, *, plain: bool = False) -> str:
    """A bar, in steps of an eighth of a character.

    Args:
        fraction: From 0 to 1.
        width: Its length in characters.
        plain: Uses ASCII only.

    >>> bar(0.5, 5), bar(0.5, 6, plain=True)
    ('██▌  ', '###---')
    """
    if plain:
        filled = int(fraction * width)
        return "#" * filled + "-" * (width - filled)
    eighths = int(fraction * width * 8)
    full, rest = divmod(eighths, 8)
    return (EIGHTHS[8] * full + (EIGHTHS[rest] if rest else "")).ljust(width)


def curve(
    points: Sequence[tuple[float, float]], width: int, height: int, *, plain: bool = False
) -> list[str]:
    """A curve, with labels at the ends of its axes.

    Values that are not finite are left out; values in the same column are averaged.

    Args:
        points: Pairs of x and y, with x rising.
        width: Characters in a line, with the labels.
        height: Lines of the curve; one more line has the labels of the x axis.
        plain: Uses ASCII only: one dot in a character instead of eight.

    Returns:
        The lines; none if there are fewer than two points.
    """
    finite = [(x, y) for x, y in points if math.isfinite(y)]
    if len(finite) < 2 or finite[0][0] == finite[-1][0]:
        return []
    low, high = min(y for _, y in finite), max(y for _, y in finite)
    labels = [_short(high), _short(low)]
    margin = max(len(label) for label in labels) + 2
    across, down = (1, 1) if plain else (2, 4)
    columns = max(2, width - margin)
    rows = _plot(finite, columns * across, height * down, low, high)
    lines = []
    for line in range(height):
        label = labels[0] if line == 0 else labels[1] if line == height - 1 else ""
        cells = [
            _cell(rows, column * across, line * down, plain=plain) for column in range(columns)
        ]
        lines.append(f"{label:>{margin - 2}} {'|' if plain else '│'}{''.join(cells)}".rstrip())
    ends = [_short(finite[0][0]), _short(finite[-1][0])]
    lines.append(" " * margin + ends[0] + ends[1].rjust(columns - len(ends[0])))
    return lines


def _plot(
    points: Sequence[tuple[float, float]], columns: int, rows: int, low: float, high: float
) -> list[list[bool]]:
    """The dots of the curve, joined by lines; rows from the top."""
    first, last = points[0][0], points[-1][0]
    gathered: dict[int, list[float]] = {}
    for x, y in points:
        gathered.setdefault(round((x - first) / (last - first) * (columns - 1)), []).append(y)
    heights = [
        (column, (high - sum(ys) / len(ys)) / (high - low or 1) * (rows - 1))
        for column, ys in gathered.items()
    ]
    dots = [[False] * columns for _ in range(rows)]
    dots[round(heights[0][1])][heights[0][0]] = True
    for (left, start), (right, end) in pairwise(heights):
        before = round(start)
        for column in range(left + 1, right + 1):
            now = round(start + (end - start) * (column - left) / (right - left))
            # Without gaps where it is steep: from next to the previous dot to this one.
            toward = before + (now > before) - (now < before)
            for row in range(min(toward, now), max(toward, now) + 1):
                dots[row][column] = True
            before = now
    return dots


def _cell(dots: list[list[bool]], left: int, top: int, *, plain: bool) -> str:
    if plain:
        return "*" if dots[top][left] else " "
    bits = sum(DOTS[x][y] for x in range(2) for y in range(4) if dots[top + y][left + x])
    return chr(BRAILLE + bits) if bits else " "


def _short(number: float) -> str:
    """At most four significant digits.

    >>> _short(1500.0), _short(0.98765), _short(1e-05)
    ('1500', '0.9877', '1e-05')
    """
    return str(int(number)) if number == int(number) and abs(number) < 1e9 else f"{number:.4g}"
