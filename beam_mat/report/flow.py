"""Lays out the flow chart: a band of all records that splits into accepted records and reasons.

The bands are drawn in a picture that is stretched to the available width. They end at rows of text
next to the picture, which stay readable on any screen. All heights are therefore in text rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

ROW = 30
"""Height of a row in pixels; style.css has the same."""
THICKNESS = 210
"""Height in pixels of the band of all records."""
THINNEST = 1.5
MAX_UNITS = 8


class Branch(NamedTuple):
    """One end of the flow; the reason of the accepted records is "".

    `units` is the height in text rows, `path` the outline of the band as SVG path data, or "" if
    there are no records.
    """

    reason: str
    records: int
    units: int
    path: str


class Flow(NamedTuple):
    """The flow chart. The branches go from top to bottom; the accepted records come first.

    `height` is that of the picture, `stem` that of the band of all records, both in pixels.
    """

    height: int
    stem: float
    branches: list[Branch]


def flow(accepted: int, rejected: Mapping[str, int]) -> Flow:
    """Lays out the flow chart; the branches have the order of the reasons in `rejected`."""
    total = accepted + sum(rejected.values())
    branches = []
    left = top = 0.0
    for reason, count in {"": accepted, **rejected}.items():
        thick = max(THINNEST, THICKNESS * count / total) if count else 0.0
        units = min(MAX_UNITS, max(1 if reason else 2, math.ceil((thick + 6) / ROW)))
        right = top + (units * ROW - thick) / 2
        branches.append(Branch(reason, count, units, _band(left, right, thick) if count else ""))
        left += thick
        top += units * ROW
    return Flow(int(top), round(left, 1), branches)


def _band(left: float, right: float, thick: float) -> str:
    """A band from the left edge (x = 0) to the right one (x = 100)."""
    a, b, c, d = (f"{y:.1f}" for y in (left, right, right + thick, left + thick))
    return f"M0 {a}C55 {a} 45 {b} 100 {b}V{c}C45 {c} 55 {d} 0 {d}Z"
