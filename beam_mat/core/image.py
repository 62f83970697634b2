"""One image file: bytes in, a picture fit for training or the reason against it out."""

from __future__ import annotations

import io
import os
import zlib
from enum import Enum
from typing import BinaryIO

import msgspec
from PIL import Image, ImageOps

from beam_mat.core.geometry import Budget, Size, resize_steps
from beam_mat.core.limits import MAX_IMAGE_BYTES, MAX_IMAGE_PIXELS, MAX_IMAGE_SIDE
from beam_mat.core.reject import Reason
from beam_mat.core.resizer import resize

# Pillow's own guard warns at a size and fails at twice that; `prepare` holds one limit, checked
# when only the header has been read.
Image.MAX_IMAGE_PIXELS = None

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
JPEG_QUALITY = 95


class Action(str, Enum):
    """What was done to an image."""

    KEPT = "kept"
    RESIZED = "resized"
    CONVERTED = "converted"


class Picture(msgspec.Struct, frozen=True):
    """An image that is fit for training.

    Attributes:
        data: The file to write; the very bytes that came in when `action` is kept.
        action: What was done.
        format: JPEG or PNG.
        size: Width and height of `data` in pixels.
        source_format: Pillow's name for what came in.
        source_size: Width and height of what came in.
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
    """Checks an image by decoding it whole, and resizes it to the budget.

    A JPEG or PNG within the budget keeps its bytes. Others are resized as LLaMA-Factory would do
    (before the conversion to RGB) and written without metadata: JPEG stays JPEG, PNG stays PNG,
    opaque WebP becomes JPEG, everything else PNG; of an animation, the first frame.

    Args:
        data: The file's bytes.
        budget: Pixels allowed.
        apply_exif: Whether to turn the picture as its EXIF orientation says. LLaMA-Factory does
            not, and boxes in trajectories refer to the stored pixels.

    Returns:
        The picture, or a fault. Bytes of any kind give one of the two.
    """
    if len(data) > MAX_IMAGE_BYTES:
        return _too_large(f"{len(data)} bytes, {MAX_IMAGE_BYTES} are allowed")
    try:
        return _prepare(data, budget, apply_exif)
    except MemoryError:
        raise
    # Decoders raise whatever hostile bytes lead them to (OSError, SyntaxError, struct.error, ...).
    except Exception as error:  # noqa: BLE001
        return decode_fault(error)


def _prepare(data: bytes, budget: Budget, apply_exif: bool) -> Picture | ImageFault:
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        # A JPEG with further pictures behind the first (MPO) is read as its first.
        source_format = "JPEG" if image.format == "MPO" else str(image.format)
        source_size = image.size
        if image.width * image.height > MAX_IMAGE_PIXELS or max(image.size) > MAX_IMAGE_SIDE:
            found = f"{image.width}x{image.height} pixels"
            allowed = f"{MAX_IMAGE_PIXELS} in all and {MAX_IMAGE_SIDE} a side are allowed"
            return _too_large(f"{found}, {allowed}")
        image.load()
        picture: Image.Image = image
        if apply_exif:
            turned = ImageOps.exif_transpose(image)
            if turned.size != image.size or turned.tobytes() != image.tobytes():
                picture = turned
        steps = resize_steps(picture.size, budget)
        if not steps and picture is image and source_format in ("JPEG", "PNG"):
            return Picture(
                data, Action.KEPT, source_format, source_size, source_format, source_size
            )
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
    # What Pillow would carry over from the source: profiles, comments, transparency, text.
    image.info = {}
    with _memory_file() as file:
        if format == "JPEG":
            image.save(file, "JPEG", quality=JPEG_QUALITY)
        else:
            # Run lengths of filtered rows: as small as zlib's default on photographs and charts,
            # and up to four times as fast.
            image.save(file, "PNG", compress_type=zlib.Z_RLE)
        file.seek(0)
        return file.read()


def _memory_file() -> BinaryIO:
    # Pillow lets go of the interpreter lock only while it writes to a file descriptor.
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("image"), "w+b")
    return io.BytesIO()


def _too_large(detail: str) -> ImageFault:
    return ImageFault(Reason.IMAGE_TOO_LARGE, detail)


def decode_fault(error: Exception) -> ImageFault:
    """The fault that stands for what a decoder raised."""
    # Pillow tells a file that ends too early from a broken one only by its words.
    text = str(error)
    early = ("truncated", "broken data stream", "unexpected end", "Truncated")
    reason = (
        Reason.IMAGE_TRUNCATED
        if isinstance(error, EOFError) or any(word in text for word in early)
        else Reason.IMAGE_UNDECODABLE
    )
    # UnidentifiedImageError names the address of a buffer: the same file must give the same text.
    if text.startswith("cannot identify image file"):
        text = f"none of {', '.join(FORMATS)}"
    return ImageFault(reason, f"{type(error).__name__}: {text}")
