"""A watch in peace: shard after shard arrives, window after window is committed.

`scripts/soak` runs it, and tells how long a shard takes from landing to commit, and whether memory
stays flat.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import psutil

from tests.command import ROOT
from tests.making import image_record, picture, record, write_shard, write_zip
from tests.outputs import commits
from tests.watch.soak import Watch


def steady(folder: Path, prism: Path, *, windows: int, window: float) -> dict[str, float]:
    """Has one shard and one zip land in each window, and measures.

    Args:
        folder: For everything.
        prism: The runner's program.
        windows: How many.
        window: Seconds of one.

    Returns:
        Seconds from landing to commit, and megabytes of the watch and of Prism, early and late.
    """
    arriving = folder / "in"
    arriving.mkdir(parents=True)
    watch = Watch(folder, prism, f"{window}s", "--image-wait", "30s")
    landed: dict[str, float] = {}
    used: list[tuple[float, float]] = []
    try:
        for number in range(windows):
            path = f"{number}.jpg"
            write_zip(folder / "zip", {path: picture((64, 48), seed=number)})
            (folder / "zip").rename(arriving / f"{number:05d}.zip")
            records = [image_record(f"i{number}", path), record(f"t{number}")]
            write_shard(folder / "shard", records).rename(arriving / f"{number:05d}.json")
            landed[f"{number:05d}.json"] = time.time()
            time.sleep(window)
            used.append(memory(watch.process.pid))
        code = watch.stop()
    finally:
        watch.end()
    assert code == 0, (folder / "err.txt").read_text()
    committed = {
        Path(entry["uri"]).name: (
            folder / "out" / "generations" / f"{generation['generation']:06d}.json"
        )
        .stat()
        .st_mtime
        for generation in commits(folder / "out")
        for entry in generation["shards"]["added"]
    }
    assert landed.keys() == committed.keys()
    third = max(1, windows // 3)
    early, late = used[third : 2 * third] or used, used[-third:]
    return {
        "generations": len(commits(folder / "out")),
        "latency_median_s": statistics.median(committed[name] - landed[name] for name in landed),
        "latency_max_s": max(committed[name] - landed[name] for name in landed),
        "watch_early_mb": statistics.median(one for one, _ in early),
        "watch_late_mb": statistics.median(one for one, _ in late),
        "prism_early_mb": statistics.median(other for _, other in early),
        "prism_late_mb": statistics.median(other for _, other in late),
    }


def memory(pid: int) -> tuple[float, float]:
    """Megabytes of a process and of all that it has started."""
    process = psutil.Process(pid)
    others = sum(child.memory_info().rss for child in process.children(recursive=True))
    return process.memory_info().rss / 1e6, others / 1e6


def main() -> None:
    """Runs it from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--prism", type=Path, default=ROOT / ".cache" / "prism" / "prism")
    parser.add_argument("--windows", type=int, default=60)
    parser.add_argument("--window", type=float, default=2.0)
    typed = parser.parse_args()
    found = steady(typed.folder, typed.prism, windows=typed.windows, window=typed.window)
    sys.stdout.write(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
