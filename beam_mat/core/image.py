"""Converts one image file: takes its bytes, returns a usable image or a reason to reject it.

Resizing uses cykooz-resizer (the Rust crate fast_image_resize) if it is installed, and Pillow
otherwise. cykooz-resizer gives the same bytes on every processor, is as accurate as Pillow's
bicubic filter and takes a sixth of the time. Some platforms have no wheels of it, so the manifest
of a dataset names the resizer that was used.
"""

import io
import os
import threading
import zlib
from enum import Enum
from importlib import metadata
from typing import Any, BinaryIO

import msgspec
from PIL import Image, ImageOps

from beam_mat.core.geometry import Budget, Size, resize_steps
from beam_mat.core.limits import MAX_IMAGE_BYTES, MAX_IMAGE_PIXELS, MAX_IMAGE_SIDE
from beam_mat.core.reject import Reason

try:
    import cykooz_resizer
except ImportError:
    cykooz_resizer = None

# Pillow's own check warns at one size and fails at twice that size. `prepare` has a single limit
# and checks it after reading only the header.
Image.MAX_IMAGE_PIXELS = None

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
JPEG_QUALITY = 95


class Action(str, Enum):
    """The result of converting an image."""

    KEPT = "kept"
    RESIZED = "resized"
    CONVERTED = "converted"


class Picture(msgspec.Struct, frozen=True):
    """An image that can be used for training.

    `data` is the file to write, in the `format` JPEG or PNG: the source's bytes if `action` is
    KEPT. Sizes are in pixels. `source_format` is Pillow's name of the source's format.
    """

    data: bytes
    action: Action
    format: str
    size: Size
    source_format: str
    source_size: Size


class ImageFault(msgspec.Struct, frozen=True, array_like=True):
    """Why an image cannot be used."""

    reason: Reason
    detail: str


def prepare(data: bytes, budget: Budget, *, apply_exif: bool = False) -> Picture | ImageFault:
    """Checks an image by decoding all of it, and resizes it to the budget.

    A JPEG or PNG within the budget keeps its bytes. Every other image is resized as LLaMA-Factory
    would do it (before the conversion to RGB) and written without metadata: JPEG and opaque WebP as
    JPEG, everything else as PNG. Only the first frame of an animation is kept. `apply_exif` rotates
    the image according to its EXIF orientation. LLaMA-Factory does not, and boxes in trajectories
    refer to the stored pixels. This function never raises on bad bytes.
    """
    if len(data) > MAX_IMAGE_BYTES:
        detail = f"the file has {len(data)} bytes; the limit is {MAX_IMAGE_BYTES}"
        return ImageFault(Reason.IMAGE_TOO_LARGE, detail)
    try:
        return _prepare(data, budget, apply_exif)
    except MemoryError:
        raise
    # On hostile bytes, decoders raise almost anything (OSError, SyntaxError, struct.error, ...).
    except Exception as error:  # noqa: BLE001
        return decode_fault(error)


def _prepare(data: bytes, budget: Budget, apply_exif: bool) -> Picture | ImageFault:
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        # MPO is a JPEG followed by more images. Only the first one is read.
        source_format = "JPEG" if image.format == "MPO" else str(image.format)
        source_size = image.size
        if image.width * image.height > MAX_IMAGE_PIXELS or max(image.size) > MAX_IMAGE_SIDE:
            found = f"the image has {image.width}x{image.height} pixels"
            allowed = f"{MAX_IMAGE_PIXELS} pixels and {MAX_IMAGE_SIDE} per side"
            return ImageFault(Reason.IMAGE_TOO_LARGE, f"{found}; the limits are {allowed}")
        image.load()
        picture: Image.Image = image
        if apply_exif:
            turned = ImageOps.exif_transpose(image)
            if turned.size != image.size or turned.tobytes() != image.tobytes():
                picture = turned
        steps = resize_steps(picture.size, budget)
        if not steps and picture is image and source_format in ("JPEG", "PNG"):
            stored = source_format, source_size
            return Picture(data, Action.KEPT, *stored, *stored)
        opaque = picture.mode in ("RGB", "L")
        for step in steps:
            picture = resize(picture, step)
        is_jpeg = source_format == "JPEG" or (source_format == "WEBP" and opaque)
        written = "JPEG" if is_jpeg else "PNG"
        action = Action.RESIZED if steps else Action.CONVERTED
        if picture.mode != "RGB":
            picture = picture.convert("RGB")
        encoded = _encode(picture, written)
        return Picture(encoded, action, written, picture.size, source_format, source_size)


def _encode(image: Image.Image, format: str) -> bytes:
    # Otherwise Pillow would copy profiles, comments, transparency and text from the source.
    image.info = {}
    with _memory_file() as file:
        if format == "JPEG":
            image.save(file, "JPEG", quality=JPEG_QUALITY)
        else:
            # Run-length compression of the filtered rows. On photographs and charts, the files are
            # as small as with zlib's default, and writing is up to four times as fast.
            image.save(file, "PNG", compress_type=zlib.Z_RLE)
        file.seek(0)
        return file.read()


def _memory_file() -> BinaryIO:
    # Pillow releases the interpreter lock only when it writes to a file descriptor.
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("image"), "w+b")
    return io.BytesIO()


def decode_fault(error: Exception) -> ImageFault:
    """The fault for an exception that a decoder raised."""
    # Only the message of Pillow's error distinguishes a truncated file from a damaged one.
    text = str(error)
    early = ("truncated", "broken data stream", "unexpected end", "Truncated")
    reason = (
        Reason.IMAGE_TRUNCATED
        if isinstance(error, EOFError) or any(word in text for word in early)
        else Reason.IMAGE_UNDECODABLE
    )
    # The message contains the address of a buffer, but the same file must give the same text.
    if text.startswith("cannot identify image file"):
        text = f"the format is none of {', '.join(FORMATS)}"
    return ImageFault(reason, f"{type(error).__name__}: {text}")


def resizer_name() -> str:
    """Name and version of the resizer in use, such as ``cykooz-resizer 4.0.1``."""
    package = "pillow" if cykooz_resizer is None else "cykooz-resizer"
    return f"{package} {metadata.version(package)}"


def resize(image: Image.Image, size: Size) -> Image.Image:
    """Resizes like ``Image.resize(size)``: bicubic, or nearest for 1-bit and palette images."""
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
