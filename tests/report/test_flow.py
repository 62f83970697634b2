"""The bands of the flow picture."""

from __future__ import annotations

import re

from beam_mat.report.flow import MAX_UNITS, ROW, THICKNESS, flow


def test_bands_are_as_thick_as_their_share() -> None:
    found = flow(750, {"image_missing": 200, "no_id": 50})
    assert [branch.reason for branch in found.branches] == ["", "image_missing", "no_id"]
    thick = []
    for branch in found.branches:
        numbers = [float(number) for number in re.findall(r"[\d.]+", branch.path)]
        thick.append(numbers[-1] - numbers[1])
    assert thick == [0.75 * THICKNESS, 0.2 * THICKNESS, 0.05 * THICKNESS]
    assert found.stem == THICKNESS


def test_every_row_has_room_for_its_text_and_its_band() -> None:
    found = flow(10**6, {f"r{n}": 1 for n in range(20)})
    assert found.height == sum(branch.units for branch in found.branches) * ROW
    assert all(1 <= branch.units <= MAX_UNITS for branch in found.branches)


def test_no_record_accepted_is_no_band() -> None:
    found = flow(0, {"no_id": 3})
    assert [bool(branch.path) for branch in found.branches] == [False, True]


def test_no_record_at_all() -> None:
    assert flow(0, {}).stem == 0
