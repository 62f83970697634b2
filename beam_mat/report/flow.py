"""The flow picture: a band from the records in to the accepted ones, a branch for each reason.

The bands are drawn in a picture that is stretched to the width that there is; their ends meet rows
of text beside it, which stay readable on any screen. So all heights are in units of a text row.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

ROW = 30
"""Height of a row in pixels; style.css has the same."""
THICKNESS = 210
"""Pixels of the band of all records."""
THINNEST = 1.5
MAX_UNITS = 8


class Branch(NamedTuple):
    """One end of the flow.

    Attributes:
        reason: The reason, or "" for the accepted records.
        records: How many.
        units: Height of its row, in rows of text.
        path: The outline of its band, as SVG's path data.
    """

    reason: str
    records: int
    units: int
    path: str


class Flow(NamedTuple):
    """The picture.

    Attributes:
        height: Of all rows.
        stem: Height of the band of all records.
        branches: The accepted records first.
    """

    height: int
    stem: float
    branches: list[Branch]


def flow(accepted: int, rejected: Mapping[str, int]) -> Flow:
    """Lays it out.

    Args:
        accepted: Records.
        rejected: By reason, in the order in which they are to stand.
    """
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
