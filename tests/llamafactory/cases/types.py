"""Types of columns, from file to file, from batch to batch, and empty ones."""

from __future__ import annotations

import pyarrow as pa

from beam_mat.core.contract.finding import Kind
from tests.llamafactory.cases.case import (
    GENERATING,
    TEXTS,
    TEXTS_FIRST_IN_B,
    Case,
    drops,
    fails,
    sound,
    two,
)
from tests.rows import (
    IMAGE,
    array,
    entry,
    inside,
    lines,
    parquet,
    seen,
    text,
    turns,
)

DRIFT = [
    ("a number, then text", 1, "a", True),
    ("a number, then digits as text", 1, "7", False),
    ("text, then a number", "a", 1, False),
    ("a whole number, then a fraction", 1, 1.5, True),
    ("a whole number, then 1.0", 1, 1.0, False),
    ("a fraction, then digits as text", 1.5, "7", False),
    ("a fraction, then a boolean", 1.5, True, False),
    ("a fraction, then a date", 1.5, "2024-01-01", True),
    ("a boolean, then a number", True, 7, False),
    ("a boolean, then a fraction", True, 1.5, False),
    ("a boolean, then text", True, "a", True),
    ("a boolean, then digits as text", True, "7", True),
    ("a boolean, then a date", True, "2024-01-01", True),
    ("text, then a list", "a", [1], True),
    ("text, then an object", "a", {"k": 1}, True),
    ("an object, then text", {"k": 1}, "a", True),
    ("an object, then null", {"k": 1}, None, False),
    ("an object, then one key more", {"k": 1}, {"k": 1, "l": 2}, True),
    ("an object, then one key less", {"k": 1, "l": 2}, {"k": 1}, False),
    ("a date, then text", "2024-01-01", "a", True),
    ("text, then a date", "a", "2024-01-01", False),
    ("a date, then a number", "2024-01-01", 3, False),
    ("a date, then a fraction", "2024-01-01", 1.5, True),
    ("a date, then a boolean", "2024-01-01", True, True),
    ("a date, then digits as text", "2024-01-01", "12", True),
]
"""What stands in the rows of a first and of a second file, and whether that stops the job."""

TYPES = [
    *(
        # Whichever file is read first: check looks at both orders, so that the case has one.
        fails("a number and text in a file", Kind.TYPE_DRIFT, form, GENERATING)
        for form in (lines(text(n=1), text(n="a")), {"rows.json": array(text(n=1), text(n="a"))})
    ),
    fails(
        "a boolean and a number in an array",
        Kind.TYPE_DRIFT,
        {"rows.json": array(text(n=True), text(n=1))},
        GENERATING,
    ),
    fails(
        "objects and text in an array",
        Kind.TYPE_DRIFT,
        {"rows.json": array(text(n={"a": 1}), text(n="x"))},
        GENERATING,
    ),
    fails(
        "types deep in an array",
        Kind.TYPE_DRIFT,
        {"rows.json": array(text(n={"a": [1]}), text(n={"a": ["x"]}))},
        GENERATING,
    ),
    sound(
        "fractions and whole numbers in an array", {"rows.json": array(text(n=1.5), text(n=1))}, 2
    ),
    sound("dates and text in an array", {"rows.json": array(text(n="2024-01-01"), text(n="x"))}, 2),
    sound(
        "dates in one array, text in another",
        two(array(text(n="2024-01-01")), array(text(n="x")), "json"),
        2,
    ),
    fails(
        "images as text and as lists",
        Kind.TYPE_DRIFT,
        lines(seen(images=IMAGE), seen()),
        GENERATING,
    ),
    fails(
        "a column more in a second file",
        Kind.TYPE_DRIFT,
        two(lines(seen()), lines(seen(n=1))),
        "matching columns",
    ),
    fails(
        "a column more in a second Parquet",
        Kind.TYPE_DRIFT,
        two(parquet(inside()), parquet(inside(n=1)), "parquet"),
        "Error",
    ),
    fails(
        "an empty array is read first",
        Kind.TYPE_DRIFT,
        two(b"[]", array(seen()), "json"),
        "matching columns",
    ),
    fails(
        "Parquet of two types",
        Kind.TYPE_DRIFT,
        two(parquet(inside(n=1)), parquet(inside(n="a")), "parquet"),
        GENERATING,
    ),
    sound(
        "Parquet of large types",
        {
            "rows.parquet": parquet(
                inside(),
                schema=pa.schema(
                    [
                        (
                            "messages",
                            pa.large_list(
                                pa.struct(
                                    [("role", pa.large_string()), ("content", pa.large_string())]
                                )
                            ),
                        ),
                        (
                            "images",
                            pa.list_(
                                pa.struct(
                                    [("bytes", pa.large_binary()), ("path", pa.large_string())]
                                )
                            ),
                        ),
                        ("system", pa.large_string()),
                    ]
                ),
            )
        },
        1,
    ),
    fails(
        "texts in one file, images in another",
        Kind.NULL_CAST,
        two(lines(text()), lines(seen())),
        GENERATING,
    ),
    fails(
        "texts in one array, images in another",
        Kind.NULL_CAST,
        two(array(text()), array(seen()), "json"),
        GENERATING,
    ),
    fails(
        "texts in one Parquet, images in another",
        Kind.NULL_CAST,
        two(parquet(text()), parquet(inside()), "parquet"),
        GENERATING,
    ),
    fails(
        "10 MB of texts, then an image",
        Kind.NULL_CAST,
        lines(*[text(system="s" * 22_000)] * 500, seen()),
        GENERATING,
    ),
    sound(
        "just below 10 MB of texts, then an image",
        lines(*[text(system="s" * 20_900)] * 495, seen()),
        496,
    ),
    fails("a thousand texts, then an image", Kind.NULL_CAST, lines(*TEXTS, seen()), "to null"),
    fails(
        "a thousand texts in Parquet",
        Kind.NULL_CAST,
        {
            "rows.parquet": parquet(
                *[inside(messages=turns("a", "b"), images=[])] * 1000,
                inside(),
                schema=pa.Table.from_pylist([inside()]).schema,
            )
        },
        "to null",
    ),
    sound("999 texts, then an image", lines(*TEXTS[1:], seen()), 1000),
    fails(
        "a thousand rows without a system prompt",
        Kind.NULL_CAST,
        lines(*[text(system=None)] * 1000, text()),
        "to null",
    ),
    fails(
        "a thousand texts in an array",
        Kind.NULL_CAST,
        {"rows.json": array(*TEXTS, seen())},
        "to null",
    ),
    sound("nothing but texts", lines(*TEXTS, *TEXTS), 2000),
    drops(
        "a stretch of texts, one worker",
        Kind.TEXT_STRETCH,
        lines(*[seen()] * 10, *TEXTS, *TEXTS, *TEXTS, seen()),
        3011,
    ),
    Case(
        "a stretch of texts, two workers",
        {"rows.jsonl": lines(*[seen()] * 10, *TEXTS, *TEXTS, *TEXTS, seen())},
        frozenset({Kind.TEXT_STRETCH}),
        says="to null",
        more={"workers": 2},
    ),
    Case(
        "a file that begins with texts, listed first",
        TEXTS_FIRST_IN_B,
        frozenset({Kind.TEXT_STRETCH}),
        entry("d"),
        says="to null",
        more={"order": "reversed"},
    ),
    drops(
        "a file that begins with texts, listed second",
        Kind.TEXT_STRETCH,
        TEXTS_FIRST_IN_B,
        1003,
    ),
]
