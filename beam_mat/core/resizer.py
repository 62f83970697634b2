"""Bicubic resizing with cykooz-resizer if it is installed, and with Pillow otherwise.

cykooz-resizer (the Rust crate fast_image_resize) gives the same bytes on every processor. It is as
accurate as Pillow's bicubic filter and takes a sixth of the time. Some platforms have no wheels of
it, so the manifest of a dataset names the resizer that was used.
"""

from __future__ import annotations

import threading
from importlib import metadata
from typing import Any

from PIL import Image

from beam_mat.core.geometry import Size

try:
    import cykooz_resizer
except ImportError:
    cykooz_resizer = None


def resizer_name() -> str:
    """Name and version of the resizer in use, such as ``cykooz-resizer 4.0.1``."""
    package = "pillow" if cykooz_resizer is None else "cykooz-resizer"
    return f"{package} {metadata.version(package)}"


def resize(image: Image.Image, size: Size) -> Image.Image:
    """Resizes like ``Image.resize(size)``: bicubic, or nearest for 1-bit and palette images.

    Args:
        image: A decoded image of any mode.
        size: Width and height in pixels, both positive.
    """
    if cykooz_resizer is None or image.mode not in ("RGB", "L"):
        return image.resize(size)
    resized = Image.new(image.mode, size, None)  # no fill: the resizer writes every pixel
    resizer, options = _of_this_thread()
    resizer.resize_pil(image, resized, options)
    return resized


_local = threading.local()


def _of_this_thread() -> tuple[Any, Any]:
    # A Resizer keeps its buffers, and only one thread may use it at a time.
    if not hasattr(_local, "resizer"):
        algorithm = cykooz_resizer.ResizeAlg.convolution(cykooz_resizer.FilterType.catmull_rom)
        _local.options = cykooz_resizer.ResizeOptions(resize_alg=algorithm)
        _local.resizer = cykooz_resizer.Resizer()
    return _local.resizer, _local.options
