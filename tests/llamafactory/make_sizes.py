"""Writes sizes.json: what LLaMA-Factory itself makes of image sizes.

Run it in the environment of scripts/setup-trainer:

    trainer/.venv/bin/python tests/llamafactory/make_sizes.py
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

SEED = 20261122
MIN_PIXELS = 1024
BUDGETS = (262144, 589824)
FAMILIES = {28: (3136, 12845056), 32: (65536, 16777216)}
"""Image factor of Qwen2-VL and Qwen2.5-VL, and of Qwen3-VL, and their image processors' limits."""

COLUMNS = [
    "width",
    "height",
    "max_pixels",
    "qwen_width",
    "qwen_height",
    "base_width",
    "base_height",
    "tokens_28",
    "tokens_32",
]
ABOUT = (
    "What LLaMA-Factory makes of an image of width x height for image_max_pixels = max_pixels: "
    "qwen_* is the size after Qwen2VLPlugin._preprocess_image, base_* after that of BasePlugin, "
    "tokens_F the number of tokens that the qwen size takes in a model of image factor F: "
    "(H // F) * (W // F) + 2 with H, W from transformers' smart_resize. "
    "null: LLaMA-Factory stops with an error."
)

CAMERAS = [
    *[(640, 480), (640, 427), (500, 375), (1024, 768), (1024, 683), (1280, 720), (1500, 2250)],
    *[(1600, 1200), (1920, 1080), (2048, 1536), (2560, 1440), (3024, 4032), (3840, 2160)],
    *[(4000, 3000), (4608, 3456), (5184, 3456), (6000, 4000), (850, 600), (800, 557), (336, 336)],
]
"""Photographs, screens, and the sizes of the collections that MAT is made of."""

STRIPS = [
    *[(20000, 30), (30, 9000), (9000, 30), (30000, 28), (28, 30000), (27, 5400), (5600, 28)],
    *[(5601, 28), (5628, 28), (28, 5601), (1, 100000), (100000, 1), (300000, 1), (1, 300000)],
    *[(2, 600000), (3, 100000), (1000000, 1), (65535, 4), (4, 65535), (50000, 5), (10000, 100)],
]
ASPECTS = (7, 15, 100, 179, 179.9, 180, 180.5, 181, 190, 199, 199.9, 200, 200.1, 201, 205, 210)
PRIMES = (2, 3, 5, 7, 13, 29, 31, 37, 97, 101, 211, 509, 521, 1009, 2003, 4001)


def sizes() -> Iterator[tuple[int, int]]:
    """Sizes to ask about: fixed ones at the edges of the rules, then random ones."""
    for width, height in CAMERAS:
        yield width, height
        yield height, width
    yield from STRIPS
    yield from product((1, 2, 14, 26, 27, 28, 29, 31, 32, 33), repeat=2)
    for side in (1, 2, 55, 56, 57, 100, 255, 256, 257, 511, 512, 513, 767, 768, 769, 1000, 4096):
        yield side, side
        yield side, 28
        yield 27, side
    for area in (MIN_PIXELS, *BUDGETS):
        for width in (1, 2, 16, 32, 128, 384, 512, 600, 768, 1024):
            for height in (area // width - 1, area // width, area // width + 1):
                if height > 0:
                    yield width, height
    for aspect, short in product(ASPECTS, (5, 28, 36, 50)):
        yield round(aspect * short), short
        yield short, round(aspect * short)
    for width in PRIMES:
        yield width, PRIMES[-1 - PRIMES.index(width)]
        yield width, width
    draw = random.Random(SEED)
    for _ in range(100):
        yield draw.randint(1, 5000), draw.randint(1, 5000)
    for _ in range(60):
        yield round(2 ** draw.uniform(0, 14)), round(2 ** draw.uniform(0, 11))


def tokens(width: int, height: int, factor: int) -> int:
    """The tokens of a picture of that size, those before and after it included."""
    from transformers.models.qwen2_vl.image_processing_qwen2_vl import (
        Qwen2VLImageProcessor,
        smart_resize,
    )

    least, most = FAMILIES[factor]
    rows, columns = smart_resize(height, width, factor, least, most)
    count = (rows // factor) * (columns // factor)
    options = {
        "min_pixels": least,
        "max_pixels": most,
        "patch_size": factor // 2,
        "merge_size": 2,
    }
    patches = Qwen2VLImageProcessor().get_number_of_image_patches(height, width, options)
    if patches != count * 4:
        raise AssertionError(f"{width}x{height}: {patches} patches, but {count} tokens")
    return int(count) + 2


def row(width: int, height: int, max_pixels: int) -> list[int | None]:
    """One row of the table, in the order of COLUMNS."""
    from llamafactory.data.mm_plugin import get_mm_plugin
    from PIL import Image

    found: list[int | None] = [width, height, max_pixels]
    image = Image.new("L", (width, height))
    limits = {"image_max_pixels": max_pixels, "image_min_pixels": MIN_PIXELS}
    for name in ("qwen2_vl", "base"):
        plugin: Any = get_mm_plugin(name, image_token="<|image_pad|>")
        try:
            found += plugin._preprocess_image(image, **limits).size
        except ValueError:  # Pillow: a side of 0
            found += [None, None]
    if found[3] is None or found[4] is None:
        return [*found, None, None]
    return [*found, *(tokens(found[3], found[4], factor) for factor in FAMILIES)]


def main() -> None:
    """Writes sizes.json beside this file, one row of the table a line."""
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None
    head = {
        "about": ABOUT,
        "made_by": "tests/llamafactory/make_sizes.py",
        "versions": {name: version(name) for name in ("llamafactory", "transformers", "pillow")},
        "min_pixels": MIN_PIXELS,
        "seed": SEED,
        "columns": COLUMNS,
    }
    asked = dict.fromkeys(sizes())
    rows = [row(*size, budget) for size in asked for budget in BUDGETS]
    lines = ",\n".join(json.dumps(values) for values in rows)
    text = json.dumps(head, indent=1)[:-2] + f',\n "rows": [\n{lines}\n]\n}}\n'
    Path(__file__).with_name("sizes.json").write_text(text, encoding="utf-8")
    print(f"{len(asked)} sizes, {len(rows)} rows")


if __name__ == "__main__":
    main()
