"""Headers: any bytes give a header or a fault, and the decoder gets the same picture."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from beam_mat.core.header import Header, HeaderFault, read_header
from tests.fuzz import pictures
from tests.properties import examples

VALID = pictures.valid()
HOSTILE = dict(pictures.hostile(1 << 18))
SAME = (
    "jpeg one exif",
    "jpeg exif segments",
    "jpeg exif without JFIF",
    "jpeg mpf",
    "jpeg fill bytes",
    "jpeg zeros between",
    "jpeg photoshop",
    "png private chunks",
    "png private chunks behind",
    "png frames",
    "png profiles",
    "gif comment",
    "gif large comments",
    "gif junk",
)
"""Pictures that are fine, except for what surrounds them."""

LITTLE = ("jpeg photoshop", "gif comment", "gif large comments", "gif junk")
"""Those whose surroundings cost other programs little."""


def header_of(data: bytes) -> Header | None:
    try:
        return read_header(data)
    except HeaderFault:
        return None


def pixels(data: bytes) -> tuple[str, tuple[int, int], bytes]:
    with Image.open(io.BytesIO(data)) as image:
        return image.mode, image.size, image.convert("RGB").tobytes()


@settings(max_examples=examples(500))
@given(st.sampled_from(sorted(VALID)), st.integers(0, 1 << 30), st.data())
def test_any_bytes_give_a_header_or_a_fault(name: str, seed: int, data: st.DataObject) -> None:
    *_, (_, damaged) = pictures.mutations(len(VALID) + seed % len(VALID), seed)
    header_of(damaged[: data.draw(st.integers(0, len(damaged)))])
    header_of(VALID[name][: data.draw(st.integers(0, 40))] + data.draw(st.binary(max_size=40)))


@pytest.mark.parametrize("name", sorted(VALID))
def test_size_and_format_are_those_that_pillow_finds(name: str) -> None:
    header = header_of(VALID[name])
    if header is None:
        assert name.startswith("tiff")
        return
    with Image.open(io.BytesIO(VALID[name])) as image:
        assert (header.format, header.size) == (image.format, image.size)
    assert not header.excess
    assert pixels(header.data) == pixels(VALID[name])
    assert (header.data is VALID[name]) == (header.format not in ("GIF", "TIFF"))


@pytest.mark.parametrize("name", SAME)
def test_the_decoder_gets_the_same_picture(name: str) -> None:
    header = header_of(HOSTILE[name])
    assert header
    assert pixels(header.data) == pixels(VALID[name.partition(" ")[0]])


@pytest.mark.parametrize("name", [name for name in SAME if name not in LITTLE])
def test_other_programs_would_pay_for_what_is_left_out(name: str) -> None:
    header = header_of(HOSTILE[name])
    assert header
    assert header.excess
    assert len(header.data) < len(HOSTILE[name])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_size_of_a_tiff_is_that_of_the_turned_picture(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    Image.new("RGB", (30, 20)).save(file, "TIFF", exif=exif)
    header = header_of(file.getvalue())
    assert header
    with Image.open(io.BytesIO(file.getvalue())) as image:
        assert header.size == image.size
        image.load()
        assert pixels(header.data)[1] == image.size
