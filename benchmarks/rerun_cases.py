"""The case of conversions into an output folder that is not empty: rerun, more input, restart."""

import json
import os
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cache import cached
from comparison import Case, Figure, Results, Side, seconds

if TYPE_CHECKING:
    from cases import Setup

MORE = 0.01
"""Share of the records that are added later."""


def again(setup: "Setup") -> Case:
    count = setup.count(2000)
    data = setup.sources.images(count)
    folder = cached(f"again-{count}", [data.json], partial(_split, data.json))
    old, new = folder / "old.json", folder / "new.json"

    def convert(*shards: Path) -> Callable[[Path], list[str]]:
        words = ["convert", "--json", *map(str, shards), "--images", str(data.zip), "--output"]
        return lambda output: [str(setup.beam_mat), *words, str(output)]

    both, before = convert(old, new), convert(old)
    sides = [
        Side("into an empty folder", both, count, count),
        Side("nothing to do", both, rows=count, before=lambda output: _run(both(output))),
        Side("1 % more", both, rows=count, before=lambda output: _run(before(output))),
        Side(
            "killed at half",
            both,
            rows=count,
            before=lambda output: _run_to(both(output), output / "images", count // 2),
        ),
        Side("--help", lambda _: [str(setup.beam_mat), "convert", "--help"]),
    ]

    def figures(results: Results) -> list[Figure]:
        fresh = seconds(results, "into an empty folder")
        none = seconds(results, "nothing to do")
        return [
            Figure("nothing to do - start-up", none - seconds(results, "--help"), "s", 2),
            Figure("nothing to do / all", none / fresh, "x", 0.3),
            Figure("1 % more / all", seconds(results, "1 % more") / fresh, "x", 0.5),
            Figure("killed at half / all", seconds(results, "killed at half") / fresh, "x", 0.75),
        ]

    inputs = [old, new, data.zip]
    notes = [f"{count:,} images from {data.origin}"]
    return Case("again", "Reruns", "images", inputs, sides, figures, notes)


def _split(shard: Path, folder: Path) -> None:
    records = json.loads(shard.read_bytes())
    at = len(records) - max(1, round(len(records) * MORE))
    (folder / "old.json").write_text(json.dumps(records[:at], indent=2))
    (folder / "new.json").write_text(json.dumps(records[at:], indent=2))


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True)


def _run_to(command: list[str], folder: Path, count: int) -> None:
    """Runs a command and kills it when there are `count` files below `folder`."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            if sum(len(names) for _, _, names in os.walk(folder)) >= count:
                process.kill()
                return
            time.sleep(0.02)
    raise RuntimeError(f"{' '.join(command)} finished before it could be killed")
