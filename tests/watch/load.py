"""A watch under load: a thousand shards land at once.

`scripts/soak` runs it, and tells how long they take and how much memory is used at most.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from tests.command import ROOT
from tests.making import image_record, picture, record, write_shard, write_zip
from tests.outputs import commits
from tests.watch.soak import Watch, check
from tests.watch.steady import memory

ZIPS = 10
PICTURES = 50


def load(folder: Path, prism: Path, shards: int) -> dict[str, float]:
    """Has so many shards land at once, and measures until they are all committed.

    Args:
        folder: For everything.
        prism: The runner's program.
        shards: How many; each has six records and asks for three images.

    Returns:
        Seconds, generations, and the greatest megabytes of the watch and of Prism.
    """
    arriving = folder / "in"
    arriving.mkdir(parents=True)
    pictures = [picture((400, 300), seed=seed) for seed in range(PICTURES)]
    images = 3 * shards
    for number in range(ZIPS):
        members = {f"i/{n}.jpg": pictures[n % PICTURES] for n in range(number, images, ZIPS)}
        write_zip(arriving / f"{number}.zip", members)
    for number in range(shards):
        records = [image_record(f"{number}-{n}", f"i/{3 * number + n}.jpg") for n in range(3)]
        texts = [record(f"t{number}-{n}", answer="x" * 3000) for n in range(3)]
        write_shard(arriving / f"s{number:05d}.json", [*records, *texts])
    begin = time.monotonic()
    watch = Watch(folder, prism, "2s", "--image-wait", "60s", "--stop-when-idle", "2s")
    most = (0.0, 0.0)
    try:
        while True:
            try:
                code = watch.process.wait(1)
                break
            except subprocess.TimeoutExpired:
                now = memory(watch.process.pid)
                most = max(most[0], now[0]), max(most[1], now[1])
    finally:
        watch.end()
    assert code == 0, watch.errors()
    check(folder)
    return {
        "seconds": time.monotonic() - begin,
        "generations": len(commits(folder / "out")),
        "watch_most_mb": most[0],
        "prism_most_mb": most[1],
    }


def main() -> None:
    """Runs it from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--prism", type=Path, default=ROOT / ".cache" / "prism" / "prism")
    parser.add_argument("--shards", type=int, default=1000)
    typed = parser.parse_args()
    found = load(typed.folder, typed.prism, typed.shards)
    sys.stdout.write(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
