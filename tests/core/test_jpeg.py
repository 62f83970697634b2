"""The fast decoder of JPEGs: the pixels are Pillow's, and what it refuses is left to Pillow."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from beam_mat.core import jpeg
from beam_mat.core.geometry import Budget
from beam_mat.core.image import ImageRules, Picture, prepare
from tests.build import SHARED, canvas, needs_photos, opened, picture, save
from tests.properties import examples

simplejpeg = pytest.importorskip("simplejpeg", reason="this platform has no wheel of simplejpeg")

PHOTOS = sorted((SHARED / "photos").glob("*.jpg"))


def decode(data: bytes) -> Image.Image | None:
    with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
        return jpeg.decode(image, data)


def assert_same(data: bytes) -> None:
    found = decode(data)
    assert found is not None
    expected = opened(data)
    expected.load()
    assert (found.mode, found.size) == (expected.mode, expected.size) == ("RGB", expected.size)
    assert found.tobytes() == expected.tobytes()


@needs_photos
@pytest.mark.parametrize("path", PHOTOS, ids=lambda path: path.name)
def test_photographs_have_the_pixels_that_pillow_gives(path: Path) -> None:
    data = path.read_bytes()
    if opened(data).mode == "RGB":
        assert_same(data)


@settings(max_examples=examples(200))
@given(
    st.tuples(st.integers(1, 70), st.integers(1, 70)),
    st.integers(1, 100),
    st.sampled_from(["4:4:4", "4:2:2", "4:2:0"]),
    st.booleans(),
    st.sampled_from([0, 1, 3]),
)
def test_every_kind_has_the_pixels_that_pillow_gives(
    size: tuple[int, int], quality: int, subsampling: str, progressive: bool, restart: int
) -> None:
    options: dict[str, Any] = {"quality": quality, "subsampling": subsampling}
    options |= {"progressive": progressive, "restart_marker_blocks": restart}
    assert_same(save(canvas(size), "JPEG", **options))


def test_a_buffer_that_was_used_changes_nothing() -> None:
    for size in ((400, 300), (20, 30), (401, 300), (9, 9)):
        assert_same(picture(size, format="JPEG"))


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_other_modes_are_left_to_pillow(mode: str) -> None:
    assert decode(save(canvas((40, 30), mode), "JPEG")) is None


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_damaged_data_is_left_to_pillow(share: float) -> None:
    data = picture((200, 100), format="JPEG")
    assert decode(data[: int(len(data) * share)]) is None
    middle = len(data) // 2
    assert decode(data[:middle] + b"\xff\xd9" + data[middle + 2 :]) is None


@given(st.integers(150, 2000), st.binary(min_size=1, max_size=4))
@settings(max_examples=examples(300))
def test_a_verdict_does_not_depend_on_the_decoder(at: int, junk: bytes) -> None:
    data = picture((90, 70), format="JPEG")
    spoilt = data[:at] + junk + data[at + len(junk) :]
    fast = prepare(spoilt, ImageRules(Budget(4000)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jpeg, "simplejpeg", None)
        assert prepare(spoilt, ImageRules(Budget(4000))) == fast


def test_threads_do_not_share_a_buffer() -> None:
    pictures = [picture((200 + at, 150), format="JPEG") for at in range(16)]
    rules = ImageRules(Budget(9000))
    expected = [prepare(data, rules) for data in pictures]
    assert all(isinstance(one, Picture) for one in expected)
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda data: prepare(data, rules), pictures * 5)) == expected * 5
