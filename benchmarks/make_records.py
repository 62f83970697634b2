"""The input of `records` and `scale`: real trajectories repeated over many tiny images."""

import io
import json
import random
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

SEED = 20240102
#: Of the published records so many use images.
WITH_IMAGES = 0.54
#: How often a record stands in the set: up-sampling repeats some up to five times.
COPIES = (1, 1, 2, 1, 5)
#: 32 x 32 pixels are within LLaMA-Factory's bounds (1024 at least): nothing is to be resized.
SIDE = 32


def make_records(
    folder: Path, count: int, images: int, samples: Sequence[Mapping[str, Any]]
) -> None:
    """Write `mat.json`, `count` records made from `samples`, and `files.zip` with `images` images.

    The array is pretty-printed and streamed: no more than one record is held.
    """
    with zipfile.ZipFile(folder / "files.zip", "w") as archive:
        for index in range(images):
            member = zipfile.ZipInfo(f"tongagent/{image_name(index)}")  # its date is fixed
            archive.writestr(member, tiny_image(index))
    texts, needs = template_texts(samples)
    with (folder / "mat.json").open("w", encoding="utf-8") as file:
        separator = "["
        for number, template, first in plan(count, needs):
            paths = [
                f"data/open_llava_next/{image_name((first + index) % images)}"
                for index in range(needs[template])
            ]
            image = image_value(samples[template].get("image"), paths)
            text = texts[template].replace('"@id@"', json.dumps(f"r{number:07d}"), 1)
            file.write(separator + text.replace('"@image@"', json.dumps(image), 1))
            separator = ","
        file.write("\n]\n")


def plan(count: int, needs: Sequence[int]) -> list[tuple[int, int, int]]:
    """(record number, template, its first image) for each of `count` records, in mixed order.

    A number that comes again is an up-sampled record: same id, same images.
    """
    with_images = [template for template, need in enumerate(needs) if need]
    text_only = [template for template, need in enumerate(needs) if not need]
    rows: list[tuple[int, int, int]] = []
    number = first = illustrated = 0
    while len(rows) < count:
        if illustrated < WITH_IMAGES * (number + 1) or not text_only:
            template = with_images[illustrated % len(with_images)]
            illustrated += 1
        else:
            template = text_only[(number - illustrated) % len(text_only)]
        rows += [(number, template, first)] * COPIES[number % len(COPIES)]
        first += needs[template]
        number += 1
    del rows[count:]
    random.Random(SEED).shuffle(rows)
    return rows


def template_texts(samples: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[int]]:
    """Each sample as it stands in the array, with marks for id and image; and its image count."""
    texts = []
    for sample in samples:
        marked = {**sample, "id": "@id@", "image": "@image@"}
        texts.append("\n    " + json.dumps(marked, indent=4).replace("\n", "\n    "))
    return texts, [len(image_keys(sample.get("image"))) for sample in samples]


def image_keys(image: object) -> list[str]:
    """The keys of an `image` field, "" for a bare path; none for an empty or missing one."""
    if isinstance(image, str) and image.startswith("{"):
        image = json.loads(image)
    if isinstance(image, Mapping):
        return [str(key) for key in image]
    return [""] if image else []


def image_value(image: object, paths: Sequence[str]) -> object:
    """The field `image` with other paths, in the shape that it has."""
    keys = image_keys(image)
    if not keys:
        return image
    if keys == [""]:
        return paths[0]
    named = dict(zip(keys, paths, strict=True))
    return json.dumps(named) if isinstance(image, str) else named


def image_name(index: int) -> str:
    return f"llava/llava_pretrain/images/{index // 1000:05d}/{index:09d}.jpg"


def tiny_image(index: int) -> bytes:
    """A soft pattern as a JPEG of about one kilobyte, another one for each index."""
    dots = Image.frombytes("RGB", (8, 8), random.Random(SEED + index).randbytes(8 * 8 * 3))
    buffer = io.BytesIO()
    dots.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=75)
    return buffer.getvalue()
