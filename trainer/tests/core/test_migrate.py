from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from mat_trainer.core import known_keys
from mat_trainer.core.migrate import migrate


def migrated(settings: dict[str, Any]) -> tuple[dict[str, Any], list[str], list[str]]:
    notices: list[str] = []
    faults: list[str] = []
    return migrate(settings, notices, faults), notices, faults


def test_the_published_areas_stay_what_they_are() -> None:
    settings, notices, faults = migrated({"image_resolution": 262144, "video_resolution": 16384})
    assert settings == {"image_max_pixels": 262144, "video_max_pixels": 16384}
    assert ["area" in notice for notice in notices] == [True, True]
    assert faults == []


# The defaults of 0.9.0, sides, and those of 0.9.1, areas, mean the same images.
@pytest.mark.parametrize(("side", "area"), [(512, 512 * 512), (128, 128 * 128)])
def test_a_side_of_0_9_0_is_the_area_of_0_9_1(side: int, area: int) -> None:
    from_side, notices, _ = migrated({"image_resolution": side})
    from_area, _, _ = migrated({"image_resolution": area})
    assert from_side == from_area == {"image_max_pixels": area}
    assert "side" in notices[0]
    assert f"write image_max_pixels: {side}" in notices[0]


@pytest.mark.parametrize("value", ["512", None, 512.0, True])
def test_a_resolution_that_is_no_whole_number_is_renamed_alone(value: Any) -> None:
    assert migrated({"image_resolution": value})[0] == {"image_max_pixels": value}


def test_an_old_and_a_new_name_at_once_is_a_fault() -> None:
    settings, _, faults = migrated({"image_resolution": 512, "image_max_pixels": 262144})
    assert settings == {"image_max_pixels": 262144}
    assert "image_resolution is the old name of image_max_pixels" in faults[0]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"evaluation_strategy": "steps"}, {"eval_strategy": "steps"}),
        ({"use_cache": False}, {"use_kv_cache": False}),
        ({"new_special_tokens": "<a>"}, {"add_special_tokens": "<a>"}),
        ({"quantization_method": "bitsandbytes"}, {"quantization_method": "bnb"}),
        ({"image_dir": "data"}, {}),
        ({"train_mm_proj_only": False}, {}),
        (
            {"train_mm_proj_only": True},
            {"freeze_multi_modal_projector": False, "freeze_language_model": True},
        ),
    ],
)
def test_each_change_is_told_and_gives_keys_of_today(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    settings, notices, faults = migrated(old)
    assert settings == new
    assert len(notices) == 1
    assert faults == []
    assert known_keys.faults(settings, known_keys.shipped()) == []
    assert known_keys.faults(old, known_keys.shipped()) != []


@hypothesis_settings(deadline=None)  # a busy machine is no fault
@given(
    st.dictionaries(st.sampled_from(sorted(known_keys.shipped().keys)), st.integers(), max_size=9)
)
def test_settings_of_today_stay_as_they_are_and_in_order(settings: dict[str, Any]) -> None:
    again, notices, faults = migrated(settings)
    assert list(again.items()) == list(settings.items())
    assert (notices, faults) == ([], [])
