"""Makes the input of the case `images`: a zip of photographs in the sizes of MAT's sources."""

import io
import json
import multiprocessing
import os
import random
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from charts import draw_chart
from PIL import Image

SEED = 20240101
#: With this quality, the files have about the same size as in MAT's zip.
JPEG_QUALITY = 80

#: For each source dataset: member name, (width, height) in pixels, and weight. A weight is the
#: share among the first forty MAT trajectories. All datasets give the same number of images.
SHAPES = [
    [
        ("coco/train2017/{:012d}.jpg", (640, 480), 3),
        ("coco/train2017/{:012d}.jpg", (640, 427), 1),
        ("coco/train2017/{:012d}.jpg", (480, 640), 1),
    ],
    [
        ("llava/llava_pretrain/images/00000/{:09d}.jpg", (336, 336), 5),
        ("llava/llava_pretrain/images/00000/{:09d}.jpg", (336, 504), 4),
        ("llava/llava_pretrain/images/00000/{:09d}.jpg", (400, 300), 3),
        ("llava/llava_pretrain/images/00000/{:09d}.jpg", (500, 333), 1),
    ],
    [
        ("sam/images/sa_{}.jpg", (2250, 1500), 1),
        ("sam/images/sa_{}.jpg", (1500, 2250), 1),
    ],
    [
        ("chartqa/train/png/multi_col_{}.png", (850, 600), 5),
        ("chartqa/train/png/multi_col_{}.png", (800, 557), 1),
    ],
    [
        ("share_textvqa/images/{:016x}.jpg", (1024, 768), 1),
        ("share_textvqa/images/{:016x}.jpg", (768, 1024), 1),
    ],
]


@dataclass(frozen=True)
class Picture:
    """One member of the zip."""

    index: int
    name: str
    size: tuple[int, int]
    photo: Path


def make_images(folder: Path, count: int, photos: Sequence[Path]) -> None:
    """Writes `mat.json` and `files.zip` with `count` images and one record for each."""
    pictures = plan(count, photos)
    with (
        zipfile.ZipFile(folder / "files.zip", "w") as archive,
        multiprocessing.Pool(os.cpu_count()) as pool,
    ):
        for picture, data in zip(pictures, pool.imap(render, pictures, chunksize=8), strict=True):
            # A ZipInfo has a fixed date. With a plain name, the zip would contain today's date.
            member = zipfile.ZipInfo(f"tongagent/{picture.name}")
            archive.writestr(member, data, zipfile.ZIP_DEFLATED)
    records = [record(picture) for picture in pictures]
    (folder / "mat.json").write_text(json.dumps(records, indent=4), encoding="utf-8")


def plan(count: int, photos: Sequence[Path]) -> list[Picture]:
    """The images to make: the same number for each source dataset, in random order."""
    sets = [
        [(pattern, size) for pattern, size, weight in source for _ in range(weight)]
        for source in SHAPES
    ]
    shapes = []
    for index in range(count):
        source = sets[index % len(sets)]
        shapes.append(source[index // len(sets) % len(source)])
    random.Random(SEED).shuffle(shapes)
    return [
        Picture(index, pattern.format(index), size, photos[index % len(photos)])
        for index, (pattern, size) in enumerate(shapes)
    ]


def render(picture: Picture) -> bytes:
    """Makes the bytes of one member. They depend only on `picture`."""
    rng = random.Random(SEED + picture.index)
    buffer = io.BytesIO()
    if picture.name.endswith(".png"):
        draw_chart(picture.size, rng).save(buffer, "PNG")
    else:
        cut(picture.photo, picture.size, rng).save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


def cut(photo: Path, size: tuple[int, int], rng: random.Random) -> Image.Image:
    """A random crop of `photo` with the aspect ratio of `size`, scaled to `size`."""
    image = _decoded(photo)
    largest = min(image.width / size[0], image.height / size[1])
    scale = rng.uniform(min(1.0, largest), largest)  # scales up only if the photo is too small
    width, height = scale * size[0], scale * size[1]
    # A rounding error may move the box slightly over the edge, which resize does not accept.
    left = rng.uniform(0, max(0.0, image.width - width))
    top = rng.uniform(0, max(0.0, image.height - height))
    box = (left, top, min(left + width, image.width), min(top + height, image.height))
    return image.resize(size, Image.Resampling.BICUBIC, box, reducing_gap=2.0)


@lru_cache(maxsize=32)
def _decoded(photo: Path) -> Image.Image:
    with Image.open(photo) as image:
        return image.convert("RGB")


def record(picture: Picture) -> dict[str, object]:
    """A short trajectory about one image, in MAT's format."""
    turns = [
        ("system", "You look at a picture and answer with a line of Python."),
        ("user", f"<image>\nTask: what does picture {picture.index} show?"),
        ("assistant", f"Thought: I look at it.\nCode:\nfinal_answer({picture.index})"),
    ]
    return {
        "id": f"image-{picture.index}",
        "image": f"data/open_llava_next/{picture.name}",
        "conversations": [{"role": role, "content": content} for role, content in turns],
    }
