"""Prints how much ``--fast-decode`` changes JPEGs, and how much time it saves.

    PYTHONPATH=. .venv/bin/python benchmarks/psnr.py ZIP...

Each JPEG that is at least twice as large as needed is converted both ways. PSNR, in decibels, is
that of the pictures before they are encoded again. CPU seconds are those of one process.
"""

import io
import math
import sys
import time
import zipfile
from collections.abc import Iterator
from statistics import median, quantiles

from PIL import Image, ImageChops, ImageStat

from beam_mat.core.geometry import Budget, resize_steps
from beam_mat.core.image import ImageRules, prepare, resize

BUDGET = Budget()


def jpegs(paths: list[str]) -> Iterator[bytes]:
    """Yields the JPEGs of zips that are at least twice as large as needed."""
    for path in paths:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                data = archive.read(name)
                if data[:2] != b"\xff\xd8":
                    continue
                with Image.open(io.BytesIO(data)) as image:
                    steps = resize_steps(image.size, BUDGET)
                    if len(steps) == 1 and image.width >= 2 * steps[0][0]:
                        yield data


def decoded(data: bytes, *, fast: bool) -> Image.Image:
    """Decodes and resizes as `core.image.prepare` does."""
    with Image.open(io.BytesIO(data)) as image:
        (target,) = resize_steps(image.size, BUDGET)
        if fast:
            image.draft(None, target)
        image.load()
        return resize(image, target).convert("RGB")


def psnr(one: Image.Image, two: Image.Image) -> float:
    squares = ImageStat.Stat(ImageChops.difference(one, two)).sum2
    mean = sum(squares) / (3 * one.width * one.height)
    return math.inf if mean == 0 else 10 * math.log10(255**2 / mean)


def main() -> None:
    found, spent = [], {False: 0.0, True: 0.0}
    for data in jpegs(sys.argv[1:]):
        found.append(psnr(decoded(data, fast=True), decoded(data, fast=False)))
        for fast in spent:
            begin = time.process_time()
            prepare(data, ImageRules(BUDGET, fast_decode=fast))
            spent[fast] += time.process_time() - begin
    deciles = ", ".join(f"{value:.1f}" for value in quantiles(found, n=10))
    print(f"{len(found)} JPEGs at least twice as large as needed")
    print(f"PSNR: {min(found):.1f} to {max(found):.1f} dB, median {median(found):.1f}")
    print(f"deciles: {deciles}")
    full, quick = (1000 * seconds / len(found) for seconds in (spent[False], spent[True]))
    print(f"CPU per image: {full:.2f} ms in full, {quick:.2f} ms fast")


if __name__ == "__main__":
    main()
