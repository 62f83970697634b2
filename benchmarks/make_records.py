"""Makes the input of `records` and `scale`: real trajectories, repeated with many tiny images."""

import io
import json
import random
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

SEED = 20240102
#: Share of the published records that use images.
WITH_IMAGES = 0.54
#: How often a record occurs. Up-sampling repeats some records up to five times.
COPIES = (1, 1, 2, 1, 5)
#: 32 x 32 pixels are within LLaMA-Factory's limits (at least 1024), so nothing is resized.
SIDE = 32


def make_records(
    folder: Path, count: int, images: int, samples: Sequence[Mapping[str, Any]]
) -> None:
    """Writes `mat.json` with `count` records made from `samples`, and `files.zip` with the images.

    The array is pretty-printed and written record by record, so memory is constant.
    """
    with zipfile.ZipFile(folder / "files.zip", "w") as archive:
        for index in range(images):
            member = zipfile.ZipInfo(f"tongagent/{image_name(index)}")  # has a fixed date
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
    """The record number, template and first image of each of `count` records, in random order.

    A repeated number is an up-sampled record with the same id and the same images.
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
    """The text of each sample with markers for id and image, and its number of images."""
    texts = []
    for sample in samples:
        marked = {**sample, "id": "@id@", "image": "@image@"}
        texts.append("\n    " + json.dumps(marked, indent=4).replace("\n", "\n    "))
    return texts, [len(image_keys(sample.get("image"))) for sample in samples]


def image_keys(image: object) -> list[str]:
    """The keys of an `image` field: "" for a plain path, none for an empty or missing field."""
    if isinstance(image, str) and image.startswith("{"):
        image = json.loads(image)
    if isinstance(image, Mapping):
        return [str(key) for key in image]
    return [""] if image else []


def image_value(image: object, paths: Sequence[str]) -> object:
    """An `image` field of the same form, with other paths."""
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
    """A smooth pattern as a JPEG of about one kilobyte, different for each index."""
    dots = Image.frombytes("RGB", (8, 8), random.Random(SEED + index).randbytes(8 * 8 * 3))
    buffer = io.BytesIO()
    dots.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=75)
    return buffer.getvalue()
