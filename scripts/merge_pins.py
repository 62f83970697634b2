"""Merges pip's installation reports, one per Python version, into the lines of constraints.txt.

Usage: merge_pins.py 3.10.json 3.11.json ...
"""

import json
import re
import sys
from itertools import groupby
from pathlib import Path


def read_report(path: Path) -> dict[str, str]:
    """The version of each distribution in a report of ``pip install --report``."""
    items = json.loads(path.read_text(encoding="utf-8"))["install"]
    return {
        re.sub(r"[-_.]+", "-", item["metadata"]["name"]).lower(): item["metadata"]["version"]
        for item in items
    }


def merge(pins: dict[str, dict[str, str]]) -> list[str]:
    """Makes constraint lines from a mapping of Python version to distribution to version.

    A line has a marker only if the Python versions need different versions of a distribution. The
    first and the last marker are open, since not all Python versions may have been resolved.
    """
    lines = []
    for name in sorted(
        {name for chosen in pins.values() for name in chosen} - {"beam-mat", "mat-trainer"}
    ):
        asked = [(python, pins[python][name]) for python in pins if name in pins[python]]
        runs = [
            (version, [python for python, _ in run])
            for version, run in groupby(asked, key=lambda pair: pair[1])
        ]
        for at, (version, _) in enumerate(runs):
            bounds = []
            if at > 0:
                bounds.append(f'python_version >= "{runs[at][1][0]}"')
            if at + 1 < len(runs):
                bounds.append(f'python_version < "{runs[at + 1][1][0]}"')
            marker = "; " + " and ".join(bounds) if bounds else ""
            lines.append(f"{name}=={version}{marker}")
    return lines


def main(paths: list[str]) -> None:
    """Prints the merged lines."""
    reports = sorted(map(Path, paths), key=lambda path: [int(n) for n in path.stem.split(".")])
    pins = {path.stem: read_report(path) for path in reports}
    print(f"# The versions to test with, written by scripts/pin on Python {', '.join(pins)}.")
    print("\n".join(merge(pins)))


if __name__ == "__main__":
    main(sys.argv[1:])
