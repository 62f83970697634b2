"""Measures the mean time of each step of converting an image, by source dataset, in one thread."""

import io
import sys
import time
import zipfile
from collections import defaultdict
from pathlib import Path

from loop_images import JPEG_QUALITY, cykooz, pillow, target_size
from PIL import Image
from rich.console import Console
from rich.table import Table

STEPS = ("read", "decode", "resize (Pillow)", "resize (cykooz)", "encode")


def main(archive: Path) -> None:
    spent: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    count: dict[str, int] = defaultdict(int)
    with zipfile.ZipFile(archive) as members:
        for name in members.namelist():
            source = name.split("/")[1]
            count[source] += 1
            for step, seconds in time_member(members, name).items():
                spent[source][step] += seconds
                spent["all"][step] += seconds
    count["all"] = sum(count.values())
    table = Table("Source", "images", *STEPS, title="Mean milliseconds per image")
    for source, steps in sorted(spent.items()):
        means = [f"{1000 * steps[step] / count[source]:.2f}" for step in STEPS]
        table.add_row(source, str(count[source]), *means)
    Console().print(table)


def time_member(members: zipfile.ZipFile, name: str) -> dict[str, float]:
    """The seconds of each step for one member. Steps that it does not need are missing."""
    resizers = {"resize (Pillow)": pillow(), "resize (cykooz)": cykooz()}
    steps = {}
    start = time.perf_counter()
    data = members.read(name)
    steps["read"] = time.perf_counter() - start
    with Image.open(io.BytesIO(data)) as image:
        start = time.perf_counter()
        image.load()
        steps["decode"] = time.perf_counter() - start
        size = target_size(*image.size)
        if size == image.size:
            return steps
        for step, resize in resizers.items():
            start = time.perf_counter()
            resized = resize(image, size)
            steps[step] = time.perf_counter() - start
        start = time.perf_counter()
        resized.save(io.BytesIO(), image.format, quality=JPEG_QUALITY)
        steps["encode"] = time.perf_counter() - start
    return steps


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: steps.py FILES.zip (one of benchmarks/.cache/inputs/images-*/files.zip)")
    main(Path(sys.argv[1]))
