"""The simple loop to which `convert` is compared: two processes, zipfile, Pillow, one Parquet file.

It does not use beam_mat, checks nothing except that images decode, and keeps everything in memory.
"""

import argparse
import io
import json
import math
import multiprocessing
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
from PIL import Image

PROCESSES = 2
MAX_PIXELS = 262144
MIN_PIXELS = 1024
JPEG_QUALITY = 95
ROW_GROUP = 100

Size = tuple[int, int]
Resize = Callable[[Image.Image, Size], Image.Image]

TURN = pyarrow.struct([("role", pyarrow.string()), ("content", pyarrow.string())])
IMAGE = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
SCHEMA = pyarrow.schema(
    [
        ("id", pyarrow.string()),
        ("system", pyarrow.string()),
        ("messages", pyarrow.list_(TURN)),
        ("images", pyarrow.list_(IMAGE)),
    ]
)


def target_size(width: int, height: int) -> Size:
    """The size to which LLaMA-Factory (MMPluginMixin, Qwen2VLPlugin) would resize an image."""
    if width * height > MAX_PIXELS:
        factor = math.sqrt(MAX_PIXELS / (width * height))
        width, height = int(width * factor), int(height * factor)
    if width * height < MIN_PIXELS:
        factor = math.sqrt(MIN_PIXELS / (width * height))
        width, height = int(width * factor), int(height * factor)
    width, height = max(width, 28), max(height, 28)
    if width / height > 200:
        width = height * 180
    elif height / width > 200:
        height = width * 180
    return width, height


def pillow() -> Resize:
    return lambda image, size: image.resize(size, Image.Resampling.BICUBIC)


def cykooz() -> Resize:
    """The same filter in cykooz-resizer. Its catmull_rom is Pillow's bicubic."""
    from cykooz_resizer import FilterType, ResizeAlg, ResizeOptions, Resizer

    resizer = Resizer()
    options = ResizeOptions(ResizeAlg.convolution(FilterType.catmull_rom))

    def resize(image: Image.Image, size: Size) -> Image.Image:
        resized = Image.new(image.mode, size)
        resizer.resize_pil(image, resized, options)
        return resized

    return resize


RESIZERS = {"pillow": pillow, "cykooz": cykooz}


def fit(data: bytes, resize: Resize) -> bytes:
    """Resizes an image to the budget. An image within the budget keeps its bytes."""
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        size = target_size(*image.size)
        if size == image.size:
            return data
        buffer = io.BytesIO()
        resize(image, size).save(buffer, image.format, quality=JPEG_QUALITY)
        return buffer.getvalue()


def share(archive: Path, resizer: str, number: int) -> dict[str, bytes]:
    """Resizes every PROCESSES-th member of the zip, from member `number` on."""
    resize = RESIZERS[resizer]()
    with zipfile.ZipFile(archive) as members:
        names = members.namelist()[number::PROCESSES]
        return {name: fit(members.read(name), resize) for name in names}


def row(record: dict[str, Any], images: dict[str, bytes]) -> dict[str, object]:
    """Converts a record and its image to a row of the Parquet file."""
    path = record["image"].replace("data/open_llava_next/", "tongagent/")
    system, *turns = record["conversations"]
    return {
        "id": record["id"],
        "system": system["content"],
        "messages": turns,
        "images": [{"bytes": images[path], "path": f"images/{path}"}],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("resizer", choices=RESIZERS)
    parser.add_argument("json", type=Path)
    parser.add_argument("zip", type=Path)
    parser.add_argument("output", type=Path)
    args = parser.parse_args()
    jobs = [(args.zip, args.resizer, number) for number in range(PROCESSES)]
    with multiprocessing.Pool(PROCESSES) as pool:
        images = {name: data for part in pool.starmap(share, jobs) for name, data in part.items()}
    rows = [row(record, images) for record in json.loads(args.json.read_bytes())]
    table = pyarrow.Table.from_pylist(rows, SCHEMA)
    pyarrow.parquet.write_table(table, args.output / "train.parquet", row_group_size=ROW_GROUP)


if __name__ == "__main__":
    main()
