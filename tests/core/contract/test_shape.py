"""Types of columns, held against what Arrow itself infers and casts."""

from __future__ import annotations

import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.json as pj
from hypothesis import given
from hypothesis import strategies as st

from beam_mat.core.contract.finding import Finding, Kind
from beam_mat.core.contract.shape import Shape, misfit

LEAVES = st.sampled_from(
    [None, True, 1, -7, 2.0, 0.5, "a", "12", "2024-02-03", "2024-02-03 04:05:06"]
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("kl"), inner, max_size=2)
    ),
    max_leaves=6,
)


def shape(*values: object) -> Shape:
    made = Shape()
    for value in values:
        made.absorb(value)
    return made


@given(st.lists(VALUES, min_size=1, max_size=4))
def test_values_clash_where_arrow_cannot_read_them(values: list[object]) -> None:
    rows = b"".join(json.dumps({"n": value}).encode() + b"\n" for value in values)
    try:
        pj.read_json(io.BytesIO(rows))
        reads = True
    except pa.ArrowInvalid:
        reads = False
    assert (shape(*values).clash() is None) == reads


@given(st.lists(VALUES, max_size=4), st.lists(VALUES, max_size=4))
def test_shapes_join_like_their_values(first: list[object], second: list[object]) -> None:
    joined = shape(*first)
    joined.join(shape(*second))
    assert joined == shape(*first, *second)


@given(st.lists(VALUES, min_size=1, max_size=5))
def test_the_first_clash_is_told_when_it_comes(values: list[object]) -> None:
    made = Shape()
    told = [made.absorb(value) for value in values]
    assert any(path is not None for path in told) == (made.clash() is not None)


@given(st.lists(VALUES, min_size=1, max_size=3))
def test_what_a_type_was_inferred_from_fits_it(values: list[Any]) -> None:
    made = shape(*values)
    if made.clash() is None:
        assert misfit(made, made) is None


def test_a_misfit_names_its_place() -> None:
    type = shape({"images": [], "turns": [{"role": "user"}]})
    found = misfit(shape({"images": ["a"], "turns": []}), type)
    assert found == Finding(Kind.NULL_CAST, "images[] is text here, but null in earlier rows")
    found = misfit(shape({"images": [], "turns": [{"role": "user", "to": 1}]}), type)
    assert found == Finding(Kind.TYPE_DRIFT, "the row has turns[].to, which no earlier row has")


def test_values_nested_without_end_have_a_shape() -> None:
    value: object = 1
    for _ in range(500):
        value = [{"k": value}]
    assert shape(value).clash() is None
