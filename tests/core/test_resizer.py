"""Whichever resizer is there, pictures are those of Pillow's own bicubic."""

from __future__ import annotations

import re

import pytest
from PIL import ImageChops, ImageStat

from beam_mat.core import resizer
from tests.build import canvas

SIZES = [(20, 15), (119, 88), (120, 90), (300, 17), (28, 400)]


@pytest.fixture(params=["installed", "missing"])
def either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "missing":
        monkeypatch.setattr(resizer, "cykooz_resizer", None)
    return str(request.param)


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("soft", [True, False])
def test_no_value_is_far_from_pillows(mode: str, size: tuple[int, int], soft: bool) -> None:
    source = canvas((120, 90), mode)
    if soft:
        source = source.point(lambda value: 64 + value // 2)
    resized = resizer.resize(source, size)
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
    resized = resizer.resize(source, (50, 37))
    assert resized.mode == mode
    assert resized.tobytes() == source.resize((50, 37)).tobytes()


def test_the_name_tells_which_one_and_its_version(either: str) -> None:
    name = resizer.resizer_name()
    assert re.fullmatch(r"(cykooz-resizer|pillow) [0-9.]+", name)
    if either == "missing":
        assert name.startswith("pillow ")
