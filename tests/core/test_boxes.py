"""What looks like a box in pixels is found in any text, and boxes are scaled with their image."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_mat.core.boxes import MIN_SIDE, Box, boxes, has_pixel_box, scale_box
from beam_mat.core.geometry import Size

SIZE = (640, 480)

FORMS = [
    "[{}, {}, {}, {}]",
    "[{},{},{},{}]",
    "({}, {}, {}, {})",
    "[\n  {},\n  {},\n  {},\n  {}\n]",
    "[{}, {}, {}, {},]",
    "objectlocation: [[{}, {}, {}, {}], [0, 0, 0, 0]]",
    '{{"bbox_2d": [{}, {}, {}, {}], "label": "x"}}',
    "({}, {}), ({}, {})",
    "({},{}),({},{})",
    "[[{}, {}], [{}, {}]]",
    '{{"x1": {}, "y1": {}, "x2": {}, "y2": {}}}',
    "{{'x_min': {}, 'y_min': {}, 'x_max': {}, 'y_max': {}}}",
    '{{"xmin": {}, "ymin": {}, "xmax": {}, "ymax": {}, "score": 0.9}}',
    '{{"left": {}, "top": {},\n "right": {}, "bottom": {}}}',
]
whole = st.integers(0, 3000)
fraction = st.decimals(0, 3000, places=2).map(float)


@pytest.mark.parametrize("form", FORMS)
@given(st.tuples(whole, whole, whole, whole) | st.tuples(fraction, fraction, fraction, fraction))
def test_every_form_of_a_box_is_read(form: str, box: Box) -> None:
    text = f"Observation: [1] {form.format(*box)} (see above)"
    assert box in [*boxes(text)]


@pytest.mark.parametrize(
    "text",
    [
        "[10, 20, 110, 220]",
        "[0, 0, 640, 480]",
        "[-3.2, -1, 650, 489.4]",  # a detector is not exact
        "[[35.16, 48.74, 153.54, 280.72]]",
        "no box: [1, 2, 3, 4], a box: [5, 6, 70, 80]",
    ],
)
def test_a_box_within_the_image_counts(text: str) -> None:
    assert has_pixel_box(["nothing here", text], [(1, 1), SIZE])
    assert not has_pixel_box([text], [])
    assert not has_pixel_box([text], [(50, 50)])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[0.1, 0.2, 0.5, 0.9]",  # fractions
        "[0, 0, 1, 1]",
        "[10, 20, 700, 220]",  # wider than the image
        "[10, 20, 110, 500]",
        "[-20, 20, 110, 220]",
        "[110, 20, 10, 220]",  # right before left
        "[200, 150, 64, 64]",
        "[12, 20, 15, 220]",  # too narrow
        "[2017, 2018, 2019, 2020]",
        "[10, 20, 30, 40]",  # ticks of a chart
        "(0, 100), (200, 300)",
        "[0, 0.5, 1.0, 1.5]",
        "[10, 20, 110]",
        "[10, 20, 110, 220, 330]",
        "f(10, 20, 110, 220, x)",
        "[10 20 110 220]",
        "10, 20, 110, 220",
        "[10, 20, 110, 2200000000000]",
        "[１0, 20, 110, 220]",  # a wide digit
        "<ref>the red area</ref><box>(50,0),(99,99)</box>",  # in thousandths
        "<|box_start|>(50,0),(99,99)<|box_end|>",
        "<box>[[10, 20, 110, 220], [30, 40, 150, 200]]</box>",
        "click (10, 20) and then (110, 220)",
        '{"x1": 10, "x2": 110}',
    ],
)
def test_what_is_no_box_within_the_image_does_not_count(text: str) -> None:
    assert not has_pixel_box([text], [SIZE])


def test_boxes_of_real_records_are_found(mat_sample: Path) -> None:
    records = json.loads((mat_sample / "mat_train.json").read_text())

    def turns(record: dict[str, list[dict[str, str]]]) -> list[str]:
        return [one["content"] for one in record["conversations"] if one["role"] != "system"]

    # These print what objectlocation and facedetection have returned. All others have no boxes,
    # although they have lists of numbers: years, revenues, temperatures, sizes of figures.
    found = {one["id"] for one in records if has_pixel_box(turns(one), [(1024, 1024)])}
    assert found == {"whD3h3j5", "eUhXIcXJ", "bN8U_kWX", "gUM3eOvV"}
    (flowers,) = (one for one in records if one["id"] == "eUhXIcXJ")
    assert [*boxes(turns(flowers)[2])] == [
        (174.61, 6.11, 322.69, 151.06),
        (17.31, 6.38, 159.74, 153.6),
        (22.22, 182.11, 158.16, 322.3),
        (178.15, 179.19, 321.3, 323.53),
    ]


pieces = st.lists(
    st.sampled_from(["[", "(", "]", ")", ",", " ", "\n", "-", ".", ":", "<box>", '"x1"', '"y2"'])
    | st.integers(-5, 10**9).map(str)
    | st.text(max_size=3)
).map("".join)


@given(pieces)
def test_any_text_can_be_searched(text: str) -> None:
    for left, top, right, bottom in boxes(text):
        assert max(map(abs, (left, top, right, bottom))) < 10**6
    assert has_pixel_box([text], [SIZE]) == any(fits(box) for box in boxes(text))


def fits(box: Box) -> bool:
    left, top, right, bottom = box
    steps = {top - left, right - top, bottom - right}
    inside = min(left / 640, top / 480) >= -0.02 and max(right / 640, bottom / 480) <= 1.02
    return inside and right - left >= MIN_SIDE and bottom - top >= MIN_SIDE and len(steps) > 1


def hostile(count: int) -> Iterator[str]:
    for piece in ("(1, ", "[", "[1", "((1,1),", "<box>", '"x1":1,"y1":1,', "[1" + " " * 39):
        yield piece * count + "y2"
    yield "[" + "1" * count
    yield "[1" + " " * count
    yield ("[" + "1" * 6 + "." + "1" * 20 + " " * 40 + ",") * count


def test_hostile_text_is_searched_in_linear_time() -> None:
    # If the time grew with the square of the length, this would take hours.
    assert not any(has_pixel_box([text], [SIZE]) for text in hostile(200_000))


sizes = st.tuples(st.integers(1, 5000), st.integers(1, 5000))


@given(sizes, sizes, st.data())
def test_a_box_is_scaled_with_its_image(original: Size, written: Size, data: st.DataObject) -> None:
    across, down = (st.integers(0, side) for side in original)
    box = data.draw(st.tuples(across, down, across, down))
    scaled = scale_box(box, original, written)
    for before, after, was, now in zip(box, scaled, original * 2, written * 2, strict=True):
        assert isinstance(after, int)
        assert 0 <= after <= now
        assert abs(after - before * now / was) <= 0.5
    exact = scale_box((0.5, *box[1:]), original, written)
    assert exact == (0.5 * written[0] / original[0], *scaled[1:])
    assert scale_box(box, original, original) == box
