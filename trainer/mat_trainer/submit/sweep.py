"""A sweep: one job for each combination of values, each in a folder of its own."""

from __future__ import annotations

import argparse
import itertools
import re
from collections.abc import Sequence

Variation = tuple[tuple[str, str], ...]
"""Settings and their values, as texts."""

MOST = 64
_NAME_LETTERS = 40  # what clusters take


def variations(texts: Sequence[str], found: list[str]) -> list[Variation]:
    """Every combination of texts of the form KEY=V1,V2; an empty one without texts.

    >>> variations(["lora_rank=8,16"], [])
    [(('lora_rank', '8'),), (('lora_rank', '16'),)]
    """
    axes = []
    for text in texts:
        key, sign, values = text.partition("=")
        each = [value.strip() for value in values.split(",")]
        if not sign or not key.strip() or not all(each) or len(set(each)) < len(each):
            found.append(f"--sweep {text}: must be KEY=V1,V2,… with different values")
        else:
            axes.append([(key.strip(), value) for value in each])
    keys = [axis[0][0] for axis in axes]
    if len(set(keys)) < len(keys):
        found.append("--sweep: a key is given twice; put all its values into one")
    combined = list(itertools.product(*axes))
    if len(combined) > MOST:
        found.append(
            f"--sweep: {len(combined):,} combinations; at most {MOST} are submitted at once"
        )
    return combined


def applied(args: argparse.Namespace, variation: Variation) -> argparse.Namespace:
    """The options of one job of a sweep."""
    if not variation:
        return args
    suffix = ".".join(f"{key}-{_plain(value)}" for key, value in variation)
    name = re.sub(r"[^a-z0-9]+", "-", "-".join(_plain(value) for _, value in variation).lower())
    begin = args.name or re.sub(r"[^a-z0-9]+", "-", args.recipe.lower()).strip("-")
    changed = dict(vars(args))
    changed["set"] = [*args.set, *(f"{key}={value}" for key, value in variation)]
    changed["output_dir"] = f"{args.output_dir.rstrip('/')}/{suffix}"
    room = max(_NAME_LETTERS - len(name) - 1, 1)
    changed["name"] = f"{begin[:room]}-{name}"[:_NAME_LETTERS].strip("-")
    return argparse.Namespace(**changed)


def _plain(value: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "_", value)
