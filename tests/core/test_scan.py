"""Record boundaries: nothing lost, nothing made up, wherever the bytes are cut."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_mat.core.detect import Head, detect
from beam_mat.core.scan import Break, Layout, Span, scan
from tests.build import blocks
from tests.properties import examples

few = settings(max_examples=examples(150))

TEXTS = st.text(st.sampled_from('"\\[]{},:\n\r\t aé\u2028𝄞<'), max_size=8) | st.text(max_size=8)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
STYLES = st.fixed_dictionaries(
    {
        "ensure_ascii": st.booleans(),
        "separators": st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", " :\t")]),
    }
)
SIZES = st.lists(st.integers(1, 5), max_size=60)
# Bytes that mean something to a scanner, in any order.
SOUP = st.binary(max_size=60) | st.lists(
    st.sampled_from(
        [bytes([byte]) for byte in b'{}[]",:\\ \n\ra1'] + [b'{"a":1}', b"\xef\xbb\xbf"]
    ),
    max_size=40,
).map(b"".join)
RECORDS = st.dictionaries(TEXTS, VALUES, max_size=3)


def spans_of(layout: Layout, data: bytes, offset: int) -> list[Span | Break]:
    return list(scan(layout, [data[offset:]], offset))


def texts(data: bytes, found: list[Span | Break]) -> list[bytes]:
    return [data[span.start : span.end] for span in found if isinstance(span, Span)]


@few
@given(st.lists(VALUES, max_size=5), STYLES, st.sampled_from([None, 0, 2]), SIZES)
def test_an_array_in_any_style_gives_back_its_values(
    values: list[Any], style: dict[str, Any], indent: int | None, sizes: list[int]
) -> None:
    data = json.dumps(values, indent=indent, **style).encode()
    assert detect(data) == Head(Layout.ARRAY, 1)
    found = list(scan(Layout.ARRAY, blocks(data[1:], sizes), 1))
    assert [json.loads(text) for text in texts(data, found)] == values
    assert len(found) == len(values)


@few
@given(
    st.lists(VALUES, min_size=1, max_size=5),
    st.booleans(),
    st.sampled_from(["\n", "\r\n", "\n\n", " \n\t\r\n"]),
    st.booleans(),
    SIZES,
)
def test_json_lines_in_any_style_give_back_their_values(
    values: list[Any], ascii: bool, newline: str, last: bool, sizes: list[int]
) -> None:
    lines = newline.join(json.dumps(value, ensure_ascii=ascii) for value in values)
    data = (lines + newline * last).encode()
    found = list(scan(Layout.LINES, blocks(data, sizes), 0))
    assert [json.loads(text) for text in texts(data, found)] == values
    assert len(found) == len(values)


@settings(max_examples=examples(400))
@given(st.sampled_from(Layout), SOUP, SIZES)
def test_any_bytes_give_ordered_spans_and_one_break_at_most(
    layout: Layout, data: bytes, sizes: list[int]
) -> None:
    found = list(scan(layout, blocks(data, sizes), 7))
    assert found == list(scan(layout, [data], 7)), "the result depends on where blocks are cut"
    at = 7
    for item in found:
        assert item.start >= at
        if isinstance(item, Span):
            assert item.start < item.end <= 7 + len(data)
            at = item.end
        else:
            assert item is found[-1]
            assert item.start <= 7 + len(data)


@pytest.mark.parametrize("indent", [None, 2])
def test_an_array_cut_off_anywhere_gives_the_records_before_and_one_break(
    indent: int | None,
) -> None:
    records: list[Any] = [{"a": 'x]}"\\'}, {}, {"b": [{"c": 1}, []]}, {"d": "é"}]
    data = json.dumps(records, indent=indent, ensure_ascii=False).encode()
    whole = [span for span in spans_of(Layout.ARRAY, data, 1) if isinstance(span, Span)]
    assert len(whole) == len(records)
    for stop in range(1, len(data)):
        *spans, last = spans_of(Layout.ARRAY, data[:stop], 1)
        assert spans == [span for span in whole if span.end <= stop]
        assert isinstance(last, Break)
        assert last.start <= stop


@pytest.mark.parametrize(
    ("text", "records", "detail"),
    [
        (b'{"a":1},]', 1, "no record after a comma"),
        (b',{"a":1}]', 0, "no record before a comma"),
        (b'{"a":1},,{"a":2}]', 1, "no record before a comma"),
        (b'{"a":1}] {"b":2}', 1, "data after the end"),
        (b'{"a":1}}]', 0, "a closing brace without an opening brace"),
        (b'{"a":1},}]', 1, "a closing brace"),
        (b'{"a":1}, {"b":"', 1, "inside a record"),
        (b'{"a":1}\n', 1, "without the array's closing bracket"),
        (b"12", 0, "inside a record"),
        (b"", 0, "without the array's closing bracket"),
    ],
)
def test_what_breaks_an_array(text: bytes, records: int, detail: str) -> None:
    *spans, last = spans_of(Layout.ARRAY, b"[" + text, 1)
    assert len(spans) == records
    assert isinstance(last, Break)
    assert detail in last.detail


def test_an_array_with_nothing_after_its_end_does_not_break() -> None:
    assert spans_of(Layout.ARRAY, b'[{"a":1}] \r\n', 1) == [Span(1, 8)]
    assert spans_of(Layout.ARRAY, b"[ \n]", 1) == []


@pytest.mark.parametrize("broken", [b'{"a":', b"}{", b'"', b"[", b"]", b",", b"\xff\x00", b"{}]"])
def test_a_broken_line_costs_only_that_line(broken: bytes) -> None:
    lines = [b'{"a":1}', broken, b'{"a":2}']
    data = b"\r\n".join(lines)
    assert texts(data, spans_of(Layout.LINES, data, 0)) == lines


def test_a_malformed_record_of_an_array_costs_only_itself() -> None:
    data = b'[{"a":1}, {"a" 2}, {"a":[}, x], nothing {"b":3} at all, {"a":4}]'
    found = texts(data, spans_of(Layout.ARRAY, data, 1))
    assert found[0] == b'{"a":1}'
    assert found[1] == b'{"a" 2}'
    assert found[-1] == b'{"a":4}'


def test_lines_that_hold_nothing_break() -> None:
    (found,) = spans_of(Layout.LINES, b" \n\r\n", 0)
    assert found == Break(0, "the file has no records")


def test_a_megabyte_of_blank_lines_is_read_once() -> None:
    # Looking for the record behind them again at every line would take the square of them.
    data = b"\n" * (1 << 20) + b"{}"
    assert spans_of(Layout.LINES, data, 0) == [Span(1 << 20, (1 << 20) + 2)]
