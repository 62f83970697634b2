"""Converts one image file: takes its bytes, returns a usable image or a reason to reject it.

Resizing uses cykooz-resizer (the Rust crate fast_image_resize) if it is installed, and Pillow
otherwise. cykooz-resizer gives the same bytes on every processor, is as accurate as Pillow's
bicubic filter and takes a sixth of the time. Some platforms have no wheels of it, so the manifest
of a dataset names the resizer that was used.
"""

import io
import threading
from enum import Enum
from importlib import metadata
from typing import Any, cast

import msgspec
from PIL import Image

from beam_mat.core.foreign import foreign
from beam_mat.core.geometry import Budget, Size, resize_steps
from beam_mat.core.header import HeaderFault, read_header
from beam_mat.core.limits import (
    MAX_IMAGE_BYTES,
    MAX_IMAGE_PIXELS,
    MAX_IMAGE_SIDE,
    MAX_KEPT_EXTRA,
    MAX_KEPT_PIXEL_BYTES,
)
from beam_mat.core.orientation import exif_is_bounded, without_orientation
from beam_mat.core.reject import Reason

try:
    import cykooz_resizer
except ImportError:
    cykooz_resizer = None

# `prepare` and `look` check headers before Pillow reads them. This is for what is inside of other
# formats, such as the PNG in an icon: Pillow fails at twice this size.
Image.MAX_IMAGE_PIXELS = MAX_IMAGE_PIXELS

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
JPEG_QUALITY = 95


class Action(str, Enum):
    """The result of converting an image."""

    KEPT = "kept"
    RESIZED = "resized"
    CONVERTED = "converted"


class Note(str, Enum):
    """Why a model may not see in an image what people see, although it can be decoded.

    LLaMA-Factory would show it the same, so the image is used all the same.
    """

    VALUES_CUT_OFF = "values_cut_off"
    """16-bit or other values outside of 0 to 255, which become black or white."""
    VALUES_TOO_SMALL = "values_too_small"
    """Numbers from 0 to 1, all of which become black."""
    TRANSPARENCY_LOST = "transparency_lost"
    """Only transparency shows a shape, and without it the image has one colour."""
    TURNED = "turned"
    """The EXIF orientation turns the image, but is not applied."""
    ORIENTATION_REMOVED = "orientation_removed"
    """The image keeps its bytes, except its EXIF orientation, which some readers apply."""

    @property
    def sentence(self) -> str:
        """What the model sees."""
        return _SEEN[self]


_SEEN = {
    Note.VALUES_CUT_OFF: "values above 255 become white, and those below 0 black",
    Note.VALUES_TOO_SMALL: "all values are from 0 to 1 and become black",
    Note.TRANSPARENCY_LOST: "without its transparency the image has only one colour",
    Note.TURNED: "the image is not turned as its EXIF orientation says",
    Note.ORIENTATION_REMOVED: "the image as it is stored: its EXIF orientation was removed",
}


class ImageRules(msgspec.Struct, frozen=True, array_like=True):
    """How images are converted.

    Attributes:
        budget: The area of images.
        apply_exif: Whether images are turned as their EXIF orientation says. LLaMA-Factory does not
            turn them, and boxes in trajectories refer to the stored pixels.
        reencode: Whether images are written anew that could keep their bytes.
        fast_decode: Whether a JPEG that is at least twice as large as needed is decoded at a half,
            a quarter or an eighth of its size.
        white_background: Whether transparent images are put on white. Otherwise transparency is
            dropped, as LLaMA-Factory does.
        scale_values: Whether 16-bit values are scaled to 8 bits. Otherwise larger ones are cut off,
            as in LLaMA-Factory.
    """

    budget: Budget = Budget()
    apply_exif: bool = False
    reencode: bool = False
    fast_decode: bool = False
    white_background: bool = False
    scale_values: bool = False

    def changes(self) -> list[object]:
        """What decides the bytes of an image, for names: options that are off are left out."""
        names = ("reencode", "fast_decode", "white_background", "scale_values")
        chosen = [name for name in names if getattr(self, name)]
        return [self.budget, self.apply_exif, *chosen]


class Picture(msgspec.Struct, frozen=True):
    """An image that can be used for training.

    `data` is the file to write, in the `format` JPEG or PNG: the source's bytes if `action` is
    KEPT, except metadata that may turn it. Sizes are in pixels. `source_format` is Pillow's name of
    the source's format.
    """

    data: bytes
    action: Action
    format: str
    size: Size
    source_format: str
    source_size: Size
    notes: tuple[Note, ...] = ()


class ImageFault(msgspec.Struct, frozen=True, array_like=True):
    """Why an image cannot be used."""

    reason: Reason
    detail: str


def prepare(data: bytes, rules: ImageRules) -> Picture | ImageFault:
    """Checks an image by decoding all of it, and resizes it to the budget.

    A JPEG or PNG within the budget keeps its bytes, except metadata with an orientation: some
    releases of transformers would turn it, and then it is not what was measured. Every other image
    is resized as LLaMA-Factory would do it (before the conversion to RGB) and written without
    metadata: JPEG and opaque WebP as JPEG, everything else as PNG. Only the first frame of an
    animation is kept. Raises MemoryError, and nothing else on bad bytes.

    A file that is far larger than its pixels, or whose metadata would cost a decoder much, is
    written anew, too.
    """
    if len(data) > MAX_IMAGE_BYTES:
        detail = f"the file has {len(data)} bytes; the limit is {MAX_IMAGE_BYTES}"
        return ImageFault(Reason.IMAGE_TOO_LARGE, detail)
    try:
        return _prepare(data, rules)
    except HeaderFault as fault:
        return ImageFault(fault.reason, fault.detail)
    except MemoryError:
        raise
    # On hostile bytes, decoders raise almost anything (OSError, SyntaxError, struct.error, ...).
    except Exception as error:  # noqa: BLE001
        return decode_fault(error, data)


def _prepare(data: bytes, rules: ImageRules) -> Picture | ImageFault:
    header = read_header(data)
    if header and header.size:
        _check_size(header.size)
    shown = header.data if header else data
    with Image.open(io.BytesIO(shown), formats=FORMATS) as image:
        # MPO is a JPEG followed by more images. Only the first one is read.
        source_format = "JPEG" if image.format == "MPO" else str(image.format)
        source_size = image.size
        _check_size(image.size)
        decoded = None
        if source_format == "JPEG" and rules.fast_decode:
            _decode_smaller(image, rules.budget)
        if source_format == "JPEG" and image.size == source_size and not rules.apply_exif:
            from beam_mat.core import jpeg  # imports numpy

            decoded = jpeg.decode(image, shown)
        if decoded is None:
            image.load()
        picture, notes = _adjusted(image, rules)
        size = source_size if picture.size == image.size else source_size[::-1]
        steps = resize_steps(size, rules.budget)
        stays = not steps and picture is image and not rules.reencode
        if stays and source_format in ("JPEG", "PNG") and shown is data:
            if image.mode != "RGB":
                image.convert("RGB")  # LLaMA-Factory does it, and it may fail
            kept = _kept(data, image, source_format)
            if kept is not None and _is_worth(kept, source_size):
                stored = source_format, source_size
                notes += () if kept is data else (Note.ORIENTATION_REMOVED,)
                return Picture(kept, Action.KEPT, *stored, *stored, notes)
        picture = decoded or picture
        opaque = picture.mode in ("RGB", "L")
        for step in steps:
            picture = resize(picture, step)
        is_jpeg = source_format == "JPEG" or (source_format == "WEBP" and opaque)
        written = "JPEG" if is_jpeg else "PNG"
        action = Action.RESIZED if steps else Action.CONVERTED
        if picture.mode != "RGB":
            picture = picture.convert("RGB")
        encoded = _encode(picture, written)
        return Picture(encoded, action, written, picture.size, source_format, source_size, notes)


def _check_size(size: Size) -> None:
    width, height = size
    if width * height > MAX_IMAGE_PIXELS or max(size) > MAX_IMAGE_SIDE:
        found = f"the image has {width}x{height} pixels"
        allowed = f"{MAX_IMAGE_PIXELS} pixels and {MAX_IMAGE_SIDE} per side"
        raise HeaderFault(Reason.IMAGE_TOO_LARGE, f"{found}; the limits are {allowed}")


def _is_worth(kept: bytes, size: Size) -> bool:
    """Whether a file is not far larger than its pixels. Training reads all of it at each epoch."""
    return len(kept) <= MAX_KEPT_EXTRA + MAX_KEPT_PIXEL_BYTES * size[0] * size[1]


_METADATA = {"exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif"}
"""Where Pillow looks for an orientation."""


def _kept(data: bytes, image: Image.Image, format: str) -> bytes | None:
    """The file of an image without its orientation; None if Pillow sees one even so."""
    kept = without_orientation(data, format)
    if kept is data and not _METADATA & image.info.keys():
        return data
    with Image.open(io.BytesIO(kept), formats=FORMATS) as again:
        return kept if _orientation(again) == 1 else None


def _decode_smaller(image: Image.Image, budget: Budget) -> None:
    steps = resize_steps(image.size, budget)
    if len(steps) == 1:
        image.draft(None, steps[0])


_WIDE = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")
"""Pillow's modes with values of more than 8 bits."""
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What EXIF orientations mean, as in Pillow's ``exif_transpose``, which would read all of EXIF."""
_FLAT = 8
"""Values of an 8-bit channel that are this near to each other look the same."""


def _adjusted(image: Image.Image, rules: ImageRules) -> tuple[Image.Image, tuple[Note, ...]]:
    """Turns an image, scales its values and fills its background, as the rules say.

    Returns the same image if nothing is to be done, and what a model would not see in it.
    """
    picture, notes = image, list[Note]()
    orientation = _orientation(image)
    if rules.apply_exif and orientation is not None:
        turn = _TURNS.get(orientation)
        turned = image.transpose(turn) if turn is not None else image
        if turned.size != image.size or turned.tobytes() != image.tobytes():
            picture = turned
    elif orientation not in (None, 1):
        notes.append(Note.TURNED)
    if picture.mode in _WIDE:
        low, high = cast(tuple[float, float], picture.getextrema())
        if rules.scale_values and (factor := _factor(picture.mode, high)) != 1:
            picture = picture.convert("F").point(lambda value: value * factor + 0).convert("L")
        elif low < 0 or high > 255:
            notes.append(Note.VALUES_CUT_OFF)
        elif picture.mode == "F" and low < high <= 1:
            notes.append(Note.VALUES_TOO_SMALL)
    elif picture.has_transparency_data:
        if rules.white_background:
            white = Image.new("RGBA", picture.size, "white")
            picture = Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB")
        elif _needs_transparency(picture):
            notes.append(Note.TRANSPARENCY_LOST)
    return picture, tuple(notes)


def _orientation(image: Image.Image) -> Any:
    """The orientation that an image's metadata states, 1 if none, or None if it is damaged."""
    try:
        if not exif_is_bounded(image.info):
            return None
        found = image.getexif().get(_ORIENTATION, 1)
        return found if isinstance(found, int) else None
    except Exception:  # noqa: BLE001  Pillow fails in many ways
        return None


def notes_of(image: Image.Image) -> tuple[Note, ...]:
    """What a model does not see in an image. May raise anything on a damaged one."""
    return _adjusted(image, ImageRules())[1]


def _factor(mode: str, highest: float) -> float:
    if mode == "F" and highest <= 1:
        return 255
    return 255 / 0xFFFF if highest > 255 else 1


def _needs_transparency(picture: Image.Image) -> bool:
    low, high = cast(tuple[int, int], picture.convert("RGBA").getchannel("A").getextrema())
    if low == high:
        return False
    channels = cast(tuple[tuple[int, int], ...], picture.convert("RGB").getextrema())
    return all(high - low <= _FLAT for low, high in channels)


def _encode(image: Image.Image, format: str) -> bytes:
    # Otherwise Pillow would copy profiles, comments, transparency and text from the source.
    image.info = {}
    if format == "PNG":
        from beam_mat.core import png  # imports numpy

        return png.encode(image)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=JPEG_QUALITY)
    return file.getvalue()


def decode_fault(error: Exception, data: bytes) -> ImageFault:
    """The fault for an exception that a decoder raised on the bytes of a file."""
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
        if what := foreign(data):
            return ImageFault(reason, what)
        text = f"the format is none of {', '.join(FORMATS)}"
    return ImageFault(reason, f"{type(error).__name__}: {text}" if text else _unexplained(error))


def _unexplained(error: Exception) -> str:
    return f"the decoder fails with {type(error).__name__}"


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
