"""Avoids decoding images if only their size matters.

To find out how many tokens an image has for Qwen-VL, LLaMA-Factory resizes it, cuts it into patches
and counts these. The number depends on the image's size only, so its code is called once for each
size, with a blank image.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

import torch
from llamafactory.data.mm_plugin import Qwen2VLPlugin, Qwen3VLPlugin
from PIL import Image


def spare_pixels(plugin: Any) -> None:
    """Makes a template's plugin read only the size of images, if that is known to be enough."""
    if type(plugin) not in (Qwen2VLPlugin, Qwen3VLPlugin):
        return
    ask = plugin._get_mm_inputs
    grids: dict[tuple[int, int], Any] = {}

    def grid_of(size: tuple[int, int], processor: Any) -> Any:
        if size not in grids:
            blank = Image.new("RGB", size)
            grids[size] = ask([blank], [], [], processor)["image_grid_thw"][0]
        return grids[size]

    def of_sizes(images: Any, videos: Any, audios: Any, processor: Any) -> Any:
        if videos or audios or not images:
            return ask(images, videos, audios, processor)
        return {"image_grid_thw": torch.stack([grid_of(_size(i), processor) for i in images])}

    plugin._get_mm_inputs = of_sizes


def _size(image: Any) -> tuple[int, int]:
    # Opens the image as mm_plugin._regularize_images does; the header has the size.
    if isinstance(image, dict):
        image = BytesIO(image["bytes"]) if image["bytes"] is not None else image["path"]
    with Image.open(image) as opened:
        return opened.size
