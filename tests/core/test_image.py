"""Images: any bytes give a usable picture or a fault; what may stay keeps its bytes."""

from __future__ import annotations

import math
import re
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageOps, ImageStat
from PIL.PngImagePlugin import PngInfo

from beam_mat.core import image
from beam_mat.core.geometry import Budget, Size
from beam_mat.core.image import Action, ImageFault, ImageRules, Note, Picture, prepare
from beam_mat.core.limits import MAX_IMAGE_BYTES
from beam_mat.core.reject import Reason
from tests.build import SHARED, canvas, needs_photos, opened, picture, save
from tests.properties import examples

# Pillow warns of what it finds odd; warnings are errors only here, and decide on nothing.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")

BUDGET = Budget()
SMALL = Budget(max_pixels=1600)
ORIENTATION = 0x0112
OPTIONS = ("apply_exif", "reencode", "fast_decode", "white_background", "scale_values")


def made(data: bytes, budget: Budget = BUDGET, **rules: bool) -> Picture:
    found = prepare(data, ImageRules(budget, **rules))
    assert isinstance(found, Picture), found
    reopened = opened(found.data)
    assert (reopened.size, str(reopened.format).replace("MPO", "JPEG")) == (
        found.size,
        found.format,
    )
    assert found.format in ("JPEG", "PNG")
    if found.action is not Action.KEPT:
        assert reopened.mode == "RGB"
    return found


def refused(data: bytes, budget: Budget = BUDGET) -> ImageFault:
    found = prepare(data, ImageRules(budget))
    assert isinstance(found, ImageFault), found
    assert found.detail
    assert " at 0x" not in found.detail, "the same file must give the same words"
    return found


def psnr(one: Image.Image, two: Image.Image) -> float:
    """Decibels between two RGB pictures; infinite where they are equal."""
    squares = ImageStat.Stat(ImageChops.difference(one, two)).sum2
    mean = sum(squares) / (3 * one.width * one.height)
    return 10 * math.log10(255**2 / mean) if mean else math.inf


SOURCES = {
    "jpeg": picture(format="JPEG"),
    "progressive": picture(format="JPEG", progressive=True),
    "png": picture(),
    "palette": picture(mode="P"),
    "webp": picture(format="WEBP"),
    "lossless": picture(mode="RGBA", format="WEBP", lossless=True),
    "gif": picture(mode="P", format="GIF"),
    "bmp": picture(format="BMP"),
    "tiff": picture(format="TIFF"),
    "lzw": picture(format="TIFF", compression="tiff_lzw"),
}


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    data = bytearray(SOURCES[draw(st.sampled_from(sorted(SOURCES)))])
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(data) - 1)) | st.integers(0, min(60, len(data))))
        match draw(st.sampled_from(["flip", "set", "cut", "insert", "repeat"])):
            case "flip":
                data[at : at + 1] = bytes([(*data[at : at + 1], 0)[0] ^ draw(st.integers(1, 255))])
            case "set":
                data[at : at + 4] = draw(
                    st.sampled_from([b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff"])
                )
            case "cut":
                del data[at:]
            case "insert":
                data[at:at] = draw(st.binary(min_size=1, max_size=8))
            case _:
                data[at:at] = data[at : at + 40]
    return bytes(data)


SWITCHES = st.tuples(*[st.booleans()] * len(OPTIONS))


@settings(max_examples=examples(600), suppress_health_check=[HealthCheck.too_slow])
@given(
    st.binary(max_size=60) | damaged(),
    st.sampled_from([BUDGET, SMALL]),
    st.tuples(*[st.booleans()] * 5),
)
@example(b"", BUDGET, (False,) * 5)
def test_any_bytes_give_a_picture_or_a_fault(
    data: bytes, budget: Budget, options: tuple[bool, ...]
) -> None:
    found = prepare(data, ImageRules(budget, *options))
    if isinstance(found, Picture):
        assert found == made(data, budget, **dict(zip(OPTIONS, options, strict=True)))
    else:
        assert refused(data, budget).reason in (
            Reason.IMAGE_UNDECODABLE,
            Reason.IMAGE_TRUNCATED,
            Reason.IMAGE_TOO_LARGE,
        )


@pytest.mark.parametrize("name", ["jpeg", "progressive", "png", "palette"])
def test_what_is_within_budget_keeps_its_bytes(name: str) -> None:
    found = made(SOURCES[name])
    assert found.data is SOURCES[name]
    assert found.action is Action.KEPT
    assert found.size == found.source_size == (48, 40)


@pytest.mark.parametrize(
    ("name", "format"),
    [("webp", "JPEG"), ("lossless", "PNG"), ("gif", "PNG"), ("bmp", "PNG"), ("tiff", "PNG")],
)
def test_other_formats_become_one_of_the_two(name: str, format: str) -> None:
    found = made(SOURCES[name])
    assert (found.action, found.format, found.size) == (Action.CONVERTED, format, (48, 40))
    assert found.source_format == name.replace("lossless", "webp").upper()
    if format == "PNG":
        expected = opened(SOURCES[name]).convert("RGB")
        assert ImageChops.difference(opened(found.data), expected).getbbox() is None


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((640, 480), (591, 443)),
        ((512, 512), (512, 512)),
        ((513, 512), (512, 511)),
        ((20, 20), (32, 32)),
    ],
)
def test_a_format_stays_through_a_resize(format: str, size: Size, expected: Size) -> None:
    found = made(picture(size, format=format))
    assert (found.format, found.size, found.source_size) == (format, expected, size)
    assert found.action is (Action.KEPT if size == expected else Action.RESIZED)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "PA", "RGB", "RGBA", "1", "I;16", "CMYK"])
def test_every_mode_is_resized_as_pillow_does_before_the_conversion_to_rgb(mode: str) -> None:
    source = canvas((80, 60), mode)
    data = save(source, "TIFF" if mode in ("CMYK", "PA") else "PNG")
    found = made(data, SMALL)
    expected = opened(data).resize(found.size).convert("RGB")
    assert found.size == (46, 34)
    assert psnr(opened(found.data), expected) >= 50


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_a_jpeg_of_another_mode_stays_a_jpeg(mode: str) -> None:
    data = picture((80, 60), mode, "JPEG")
    assert made(data).data is data
    assert made(data, SMALL).format == "JPEG"


def test_a_palette_with_transparency_is_converted() -> None:
    data = save(canvas((80, 60)).convert("P"), "PNG", transparency=bytes(range(256)))
    assert made(data, SMALL).action is Action.RESIZED


@pytest.mark.slow
@needs_photos
@pytest.mark.parametrize(
    "path", sorted((SHARED / "photos").glob("*.jpg")), ids=lambda path: path.stem
)
def test_photographs_come_out_as_plain_pillow_resizes_them(path: Path) -> None:
    source = opened(path.read_bytes()).convert("RGB")
    found = made(save(source, "PNG", compress_level=1))
    assert psnr(opened(found.data), source.resize(found.size)) >= 50


EXIF = Image.Exif()
EXIF[ORIENTATION] = 6


def rotated(format: str = "JPEG") -> bytes:
    return picture((60, 30), format=format, exif=EXIF)


def test_the_orientation_is_ignored_unless_it_is_to_be_applied() -> None:
    assert opened(made(rotated()).data).tobytes() == opened(rotated()).tobytes()
    assert made(rotated(), SMALL).size == (56, 28)
    turned = made(rotated(), apply_exif=True)
    assert (turned.size, turned.source_size) == ((30, 60), (60, 30))
    assert turned.action is Action.CONVERTED
    assert ORIENTATION not in opened(turned.data).getexif()
    assert made(rotated(), SMALL, apply_exif=True).size == (28, 56)


def grey16(highest: int) -> bytes:
    """A 16-bit PNG with all values from 0 to `highest` or nearly."""
    values = [x * highest // 63 for _ in range(64) for x in range(64)]
    return save(Image.frombytes("I;16", (64, 64), struct.pack("<4096H", *values)), "PNG")


def fractions() -> bytes:
    return save(
        Image.linear_gradient("L").convert("F").point(lambda value: value / 255 + 0), "TIFF"
    )


def shape(*, transparent: bool = True) -> bytes:
    """Black on a background that is transparent, and black where it does not show."""
    alpha = Image.linear_gradient("L") if transparent else Image.new("L", (256, 256), 255)
    picture = Image.new("RGBA", (256, 256))
    picture.putalpha(alpha)
    return save(picture, "PNG")


def spread(found: Picture) -> int:
    low, high = opened(found.data).convert("L").getextrema()
    return int(high) - int(low)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("data", "note", "cure"),
    [
        (grey16(0xFFFF), Note.VALUES_CUT_OFF, "scale_values"),
        (fractions(), Note.VALUES_TOO_SMALL, "scale_values"),
        (shape(), Note.TRANSPARENCY_LOST, "white_background"),
        (rotated(), Note.TURNED, "apply_exif"),
    ],
)
@pytest.mark.parametrize("budget", [BUDGET, SMALL])
def test_what_a_model_does_not_see_is_noted(
    data: bytes, note: Note, cure: str, budget: Budget
) -> None:
    removed = (Note.ORIENTATION_REMOVED,) if note is Note.TURNED and budget is BUDGET else ()
    assert made(data, budget).notes == (note, *removed)
    option: dict[str, Any] = {cure: True}
    cured = made(data, budget, **option)
    assert cured.notes == ()
    assert spread(cured) > 200 or note is Note.TURNED
    assert note.sentence


def test_16_bits_are_scaled_evenly() -> None:
    written = opened(made(grey16(0xFFFF), scale_values=True).data).convert("L")
    assert [abs(written.getpixel((x, 3)) - x * 255 / 63) < 1.1 for x in range(64)] == [True] * 64  # type: ignore[operator]


@pytest.mark.parametrize(
    "data",
    [
        grey16(200),
        shape(transparent=False),
        picture(mode="RGBA", format="PNG"),
        picture(mode="L", format="PNG"),
        save(Image.new("RGBA", (64, 64), (0, 0, 0, 0)), "PNG"),
    ],
    ids=["few of 16 bits", "opaque", "coloured", "grey", "nothing to see"],
)
def test_nothing_is_noted_if_a_model_sees_all(data: bytes) -> None:
    assert made(data).notes == ()
    assert made(data, scale_values=True).notes == ()
    assert made(data, white_background=True).notes == ()


def test_a_transparent_picture_on_white_does_not_keep_its_bytes() -> None:
    assert made(shape()).action is Action.KEPT
    on_white = made(shape(), white_background=True)
    assert on_white.action is Action.CONVERTED
    assert opened(on_white.data).getpixel((0, 0)) == (255, 255, 255)
    assert made(SOURCES["jpeg"], white_background=True, scale_values=True).action is Action.KEPT


@pytest.mark.parametrize("apply_exif", [False, True])
def test_damaged_exif_is_no_fault(apply_exif: bool) -> None:
    data = rotated().replace(b"Exif\0\0MM", b"Exif\0\0??").replace(b"Exif\0\0II", b"Exif\0\0??")
    assert data != rotated()
    found = made(data, apply_exif=apply_exif)
    assert found.notes == (Note.ORIENTATION_REMOVED,)
    assert opened(found.data).tobytes() == opened(data).tobytes()
    # Otherwise releases of transformers that turn images would fail.
    assert ImageOps.exif_transpose(opened(found.data)).size == found.size


def oriented_text(**texts: str) -> bytes:
    """A PNG with texts."""
    info = PngInfo()
    for name, text in texts.items():
        info.add_itxt(name.replace("_", " "), text)
    return save(Image.linear_gradient("L").resize((60, 30)), "PNG", pnginfo=info)


XMP = '<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'


@pytest.mark.parametrize(
    "data",
    [
        rotated(),
        rotated("PNG"),
        oriented_text(**{"XML:com.adobe.xmp": XMP}),
        oriented_text(
            Raw_profile_type_exif=f"\nexif\n    {len(EXIF.tobytes())}\n{EXIF.tobytes().hex()}\n"
        ),
        oriented_text(Raw_profile_type_exif="no profile"),
        save(Image.linear_gradient("L").resize((60, 30)), "JPEG", xmp=XMP.encode()),
    ],
    ids=["exif", "exif of a PNG", "xmp of a PNG", "profile of a PNG", "damaged profile", "xmp"],
)
@pytest.mark.parametrize("apply_exif", [False, True])
def test_every_reader_sees_a_kept_picture_as_it_was_measured(data: bytes, apply_exif: bool) -> None:
    found = made(data, apply_exif=apply_exif)
    apply_exif = apply_exif and b"no profile" not in data  # which cannot be applied
    for seen in (opened(found.data), ImageOps.exif_transpose(opened(found.data))):
        assert seen.size == found.size == ((30, 60) if apply_exif else (60, 30))
    if not apply_exif:
        assert found.action is Action.KEPT
        assert found.notes[-1] is Note.ORIENTATION_REMOVED
        assert opened(found.data).tobytes() == opened(data).tobytes()


def test_a_picture_whose_orientation_cannot_be_removed_is_written_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(image, "without_orientation", lambda data, format: data)
    found = made(rotated())
    assert found.action is Action.CONVERTED
    assert found.size == ImageOps.exif_transpose(opened(found.data)).size == (60, 30)


@pytest.mark.parametrize("name", ["jpeg", "png", "palette"])
def test_every_picture_can_be_written_anew(name: str) -> None:
    found = made(SOURCES[name], reencode=True)
    assert (found.action, found.size) == (Action.CONVERTED, (48, 40))
    assert found.data != SOURCES[name]
    assert psnr(opened(found.data).convert("RGB"), opened(SOURCES[name]).convert("RGB")) > 28


@needs_photos
@pytest.mark.parametrize("apply_exif", [False, True])
def test_a_fast_decode_gives_the_same_size_and_nearly_the_same_picture(apply_exif: bool) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    photo = opened(
        max((SHARED / "photos").glob("*.jpg"), key=lambda path: path.stat().st_size).read_bytes()
    )
    large = save(photo.convert("RGB").resize((2251, 1501)), "JPEG", quality=90, exif=exif)
    full, fast = (made(large, apply_exif=apply_exif, fast_decode=fast) for fast in (False, True))
    assert fast.size == full.size
    assert fast.source_size == full.source_size == (2251, 1501)
    assert fast.data != full.data
    assert psnr(opened(fast.data), opened(full.data)) > 30
    for data in (
        save(photo.convert("RGB").resize((1000, 700)), "JPEG"),
        SOURCES["jpeg"],
        SOURCES["png"],
    ):
        assert made(data, fast_decode=True) == made(data)


def test_a_picture_that_stands_upright_keeps_its_bytes_when_exif_is_applied() -> None:
    assert made(SOURCES["jpeg"], apply_exif=True).action is Action.KEPT


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_metadata_is_dropped_when_a_picture_is_written_anew(format: str) -> None:
    exif = Image.Exif()
    exif[0x010E] = "a description"
    extra: dict[str, Any] = {"comment": b"a comment"} if format == "JPEG" else {}
    data = picture(
        (80, 60), format=format, exif=exif, icc_profile=b"a profile", dpi=(72, 72), **extra
    )
    written = made(data, SMALL).data
    reopened = opened(written)
    assert not dict(reopened.getexif())
    assert not set(reopened.info) - {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    for text in (b"description", b"a profile", b"a comment"):
        assert text not in written


@pytest.mark.parametrize("format", ["GIF", "WEBP", "TIFF", "PNG"])
def test_of_an_animation_the_first_frame_is_taken(format: str) -> None:
    frames = [Image.new("RGB", (40, 40), color) for color in ("red", "lime", "blue")]
    data = save(frames[0], format, save_all=True, append_images=frames[1:])
    red, green, blue = opened(made(data, SMALL).data).convert("RGB").getpixel((5, 5))  # type: ignore[misc]
    assert red > 240
    assert max(green, blue) < 15


def test_a_jpeg_with_pictures_behind_the_first_is_a_jpeg() -> None:
    data = save(canvas((80, 60)), "MPO", save_all=True, append_images=[canvas((80, 60), "L")])
    assert opened(data).format == "MPO"
    kept = made(data)
    assert (kept.data, kept.format, kept.source_format) == (data, "JPEG", "JPEG")
    assert made(data, SMALL).format == "JPEG"


@pytest.mark.parametrize("name", ["jpeg", "png"])
@pytest.mark.parametrize("share", [0.6, 0.75, 0.9])
def test_a_file_that_ends_too_early_is_called_truncated(name: str, share: float) -> None:
    data = SOURCES[name][: int(len(SOURCES[name]) * share)]
    assert refused(data).reason is Reason.IMAGE_TRUNCATED


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff", b"<html></html>", b"%PDF-1.7"])
def test_what_is_no_picture_is_undecodable(data: bytes) -> None:
    assert refused(data).reason is Reason.IMAGE_UNDECODABLE


def test_a_format_that_is_not_asked_for_is_not_opened() -> None:
    assert refused(picture(format="PPM")).reason is Reason.IMAGE_UNDECODABLE
    assert (
        refused(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n").reason
        is Reason.IMAGE_UNDECODABLE
    )


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few KB whose header claims this size."""

    def piece(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body))
        )

    header = struct.pack(">LLBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1 << 20), 9)
    return (
        b"\x89PNG\r\n\x1a\n" + piece(b"IHDR", header) + piece(b"IDAT", rows) + piece(b"IEND", b"")
    )


@pytest.mark.parametrize("size", [(100_000, 100_000), (8193, 8192), (1, 1 << 30), (1 << 16, 1)])
def test_a_picture_beyond_the_limit_is_refused_before_it_is_decoded(
    size: Size, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(image: Image.Image) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", load)
    data = bomb(*size)
    tracemalloc.start()
    found = refused(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.reason is Reason.IMAGE_TOO_LARGE
    assert f"{size[0]}x{size[1]}" in found.detail
    assert peak < 1 << 20


def test_a_file_beyond_the_limit_is_refused_unread() -> None:
    assert refused(bytes(MAX_IMAGE_BYTES + 1)).reason is Reason.IMAGE_TOO_LARGE


def test_a_shortage_of_memory_is_no_fault_of_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(image: Image.Image) -> None:
        raise MemoryError

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", load)
    with pytest.raises(MemoryError):
        prepare(SOURCES["png"], ImageRules())


@pytest.mark.parametrize("size", [(30_000, 5), (5, 30_000), (1, 1), (400, 1)])
def test_tiny_and_very_long_pictures_come_out_within_bounds(size: Size) -> None:
    found = made(picture(size, "L"))
    assert min(found.size) >= 28
    assert max(found.size) / min(found.size) <= 200


def test_threads_give_the_bytes_that_one_alone_gives() -> None:
    sources = [picture((90 + at, 70), format=("JPEG", "PNG")[at % 2]) for at in range(12)]
    work: Callable[[bytes], Picture] = lambda data: made(data, SMALL)  # noqa: E731
    alone = [work(data) for data in sources]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            assert list(pool.map(work, sources)) == alone


SIZES = [(20, 15), (119, 88), (120, 90), (300, 17), (28, 400)]


@pytest.fixture(params=["installed", "missing"])
def either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "missing":
        monkeypatch.setattr(image, "cykooz_resizer", None)
    return str(request.param)


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("soft", [True, False])
def test_no_value_is_far_from_pillows(mode: str, size: tuple[int, int], soft: bool) -> None:
    source = canvas((120, 90), mode)
    if soft:
        source = source.point(lambda value: 64 + value // 2)
    resized = image.resize(source, size)
    assert (resized.mode, resized.size) == (mode, size)
    statistics = ImageStat.Stat(ImageChops.difference(resized, source.resize(size)))
    assert max(statistics.rms) < 255 / 10 ** (50 / 20), "less than 50 dB"
    if soft:
        # The two differ by more only where one clips between its passes what the other clips after.
        assert max(top for _, top in statistics.extrema) <= 2


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize("mode", ["LA", "P", "RGBA", "1", "I;16", "CMYK", "F"])
def test_other_modes_are_pillows_to_the_bit(mode: str) -> None:
    source = canvas((120, 90), mode)
    resized = image.resize(source, (50, 37))
    assert resized.mode == mode
    assert resized.tobytes() == source.resize((50, 37)).tobytes()


def test_the_name_tells_which_one_and_its_version(either: str) -> None:
    name = image.resizer_name()
    assert re.fullmatch(r"(cykooz-resizer|pillow) [0-9.]+", name)
    if either == "missing":
        assert name.startswith("pillow ")
