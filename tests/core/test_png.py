"""The writer of PNGs: the pixels come back, and the same picture gives the same bytes."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from beam_mat.core import png
from tests.build import SHARED, needs_photos
from tests.properties import examples

PHOTOS = sorted((SHARED / "photos").glob("*.jpg"))


def assert_same(picture: Image.Image) -> bytes:
    data = png.encode(picture)
    with Image.open(io.BytesIO(data), formats=("PNG",)) as found:
        found.verify()
    with Image.open(io.BytesIO(data)) as found:
        assert (found.format, found.mode, found.size) == ("PNG", "RGB", picture.size)
        assert found.tobytes() == picture.tobytes()
        assert not found.info
    assert png.encode(picture) == data
    return data


@settings(max_examples=examples(200))
@given(st.integers(1, 40), st.integers(1, 40), st.randoms(use_true_random=False))
def test_noise_comes_back(width: int, height: int, random: object) -> None:
    noise = random.randbytes(width * height * 3)  # type: ignore[attr-defined]
    assert_same(Image.frombytes("RGB", (width, height), noise))


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (300, 200)])
def test_even_pictures_come_back_and_are_small(size: tuple[int, int]) -> None:
    assert len(assert_same(Image.new("RGB", size, (200, 30, 0)))) < 2000


@needs_photos
@pytest.mark.parametrize("path", PHOTOS[:6], ids=lambda path: path.name)
def test_photographs_come_back_and_are_about_as_small_as_pillows(path: Path) -> None:
    with Image.open(path) as image:
        picture = image.convert("RGB").resize((500, 375))
    pillows = io.BytesIO()
    picture.save(pillows, "PNG", compress_type=zlib.Z_RLE)
    assert len(assert_same(picture)) < 1.2 * len(pillows.getvalue())
