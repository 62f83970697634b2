"""Durations as people type them."""

from __future__ import annotations

import re

_TYPED = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|)", re.ASCII)
_SECONDS = {"ms": 0.001, "": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds(text: str) -> float:
    """Seconds of a duration: a number and ms, s, m, h or d; without a unit it is seconds.

    Whole milliseconds, as engines keep time.

    >>> seconds("10s"), seconds("1.5m"), seconds("250ms"), seconds("3"), seconds("0.12345s")
    (10.0, 90.0, 0.25, 3.0, 0.123)

    Raises:
        ValueError: It is none.
    """
    found = _TYPED.fullmatch(text.strip())
    if not found:
        raise ValueError("give a number and a unit: 500ms, 10s, 5m, 2h or 1d")
    return round(float(found[1]) * _SECONDS[found[2]], 3)


def spoken(value: float) -> str:
    """Seconds as a person would say them.

    >>> spoken(0.4), spoken(75), spoken(7265)
    ('0 s', '1 min 15 s', '2 h 1 min')
    """
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
