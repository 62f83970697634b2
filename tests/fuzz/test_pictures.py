"""Hostile pictures get a verdict within limits, and the same one whatever is in memory."""

from __future__ import annotations

import pytest

from beam_mat.core.image import ImageFault, ImageRules, prepare
from beam_mat.core.reject import Reason
from tests.build import SHARED
from tests.fuzz import pictures
from tests.fuzz.run import KINDS, Read, compared, read

KIND = KINDS["pictures"]._replace(cpu_seconds=8)
LARGE = ("large",)
"""Words in the names of pictures that have millions of pixels. The others take little."""
SMALL_MIB = 120
UNRELIABLE = [f"tiff {name}" for name in ("group3", "group4", "tiff_ccitt", "jpeg")]


@pytest.fixture(scope="module")
def found() -> dict[str, Read]:
    return {one.file: one for one in read(KIND, pictures.hostile(2 << 20))}


@pytest.mark.parametrize("name", [name for name, _ in pictures.hostile(64)])
def test_a_hostile_picture_takes_little(found: dict[str, Read], name: str) -> None:
    one = found[name]
    assert not one.verdict.startswith("FAILED"), one
    if not any(word in name for word in LARGE):
        assert one.mib <= SMALL_MIB, one
        assert one.cpu <= 4, one


def test_a_damaged_picture_is_the_same_in_any_memory() -> None:
    failed = [one for one in compared(KIND, pictures.mutations(250)) if "FAILED" in one.verdict]
    assert failed == []


@pytest.mark.parametrize("name", sorted(pictures.valid()))
def test_a_valid_picture_is_accepted_unless_its_decoder_is_unreliable(name: str) -> None:
    made = prepare(pictures.valid()[name], ImageRules())
    if name in UNRELIABLE:
        assert isinstance(made, ImageFault)
        assert made.reason is Reason.IMAGE_UNDECODABLE
        assert "which has no reliable decoder" in made.detail
    else:
        assert not isinstance(made, ImageFault), made


@pytest.mark.parametrize("name", ["png_no_palette", "gif_dispose"])
def test_pictures_that_once_stopped_a_job(name: str) -> None:
    path = SHARED / "hostile" / name
    if not path.exists():
        pytest.skip("the files are not here")
    assert isinstance(prepare(path.read_bytes(), ImageRules()), ImageFault)
