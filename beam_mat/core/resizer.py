"""Bicubic resizing: by cykooz-resizer where it is installed, else by Pillow.

cykooz-resizer (the Rust crate fast_image_resize) gives the same bytes on every processor, is as
far from the exact result as Pillow's own bicubic, and takes a sixth of the time. It has no wheels
for some machines; a dataset's manifest names the one that made its pictures.
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
    """Name and version of what resizes here, such as ``cykooz-resizer 4.0.1``."""
    package = "pillow" if cykooz_resizer is None else "cykooz-resizer"
    return f"{package} {metadata.version(package)}"


def resize(image: Image.Image, size: Size) -> Image.Image:
    """Resizes as ``Image.resize(size)`` does: bicubic, or nearest for 1-bit and palette pictures.

    Args:
        image: A decoded picture of any mode.
        size: Width and height in pixels, both positive.
    """
    if cykooz_resizer is None or image.mode not in ("RGB", "L"):
        return image.resize(size)
    resized = Image.new(image.mode, size, None)  # every pixel is written
    resizer, options = _of_this_thread()
    resizer.resize_pil(image, resized, options)
    return resized


_local = threading.local()


def _of_this_thread() -> tuple[Any, Any]:
    # A Resizer keeps its buffers and refuses to be used by two threads at once.
    if not hasattr(_local, "resizer"):
        algorithm = cykooz_resizer.ResizeAlg.convolution(cykooz_resizer.FilterType.catmull_rom)
        _local.options = cykooz_resizer.ResizeOptions(resize_alg=algorithm)
        _local.resizer = cykooz_resizer.Resizer()
    return _local.resizer, _local.options
