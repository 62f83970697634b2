"""Files as a whole: bytes, rows that are none, sets without rows."""

from __future__ import annotations

import gzip
import json

import pyarrow as pa

from beam_mat.core.contract.finding import Kind
from tests.llamafactory.cases.case import (
    GENERATING,
    drops,
    fails,
    sound,
    two,
)
from tests.rows import (
    array,
    lines,
    parquet,
    seen,
    text,
)

FILES = [
    fails("a file of no bytes", Kind.NO_ROWS, b"", GENERATING),
    fails("an empty array", Kind.NO_ROWS, {"rows.json": b"[]"}, "no data"),
    fails(
        "Parquet without rows",
        Kind.NO_ROWS,
        {
            "rows.parquet": parquet(
                schema=pa.schema(
                    [
                        ("messages", pa.list_(pa.struct([("role", pa.string())]))),
                        ("images", pa.list_(pa.string())),
                        ("system", pa.string()),
                    ]
                )
            )
        },
        GENERATING,
    ),
    fails("no Parquet", Kind.FILE_UNREADABLE, {"rows.parquet": b"nothing"}, "ArrowInvalid"),
    fails("a line that breaks off", Kind.MALFORMED_JSON, lines(text()) + b'{"me\n', GENERATING),
    fails(
        "a key twice in a line",
        Kind.MALFORMED_JSON,
        lines(text())[:-2] + b', "note": 1, "note": 2}\n',
        GENERATING,
    ),
    fails(
        "an unpaired surrogate in a line",
        Kind.MALFORMED_JSON,
        lines(text())[:-2] + b', "note": "\\ud800"}\n',
        GENERATING,
    ),
    fails(
        "bytes that are no UTF-8",
        Kind.MALFORMED_JSON,
        lines(text())[:-2] + b', "note": "\xff"}\n',
        "UnicodeDecodeError",
    ),
    fails(
        "an array that breaks off",
        Kind.MALFORMED_JSON,
        {"rows.json": array(text(), text())[:-9]},
        GENERATING,
    ),
    fails(
        "a comma too many",
        Kind.MALFORMED_JSON,
        {"rows.json": array(text())[:-2] + b",]"},
        GENERATING,
    ),
    fails(
        "a broken object in an array",
        Kind.MALFORMED_JSON,
        {"rows.json": array(text())[:-2] + b",{]}]"},
        GENERATING,
    ),
    fails(
        "an array with a byte order mark",
        Kind.MALFORMED_JSON,
        {"rows.json": b"\xef\xbb\xbf" + array(text())},
        GENERATING,
    ),
    fails("UTF-16", Kind.MALFORMED_JSON, lines(text()).decode().encode("utf-16"), GENERATING),
    fails("a page of the web", Kind.MALFORMED_JSON, b"<html>\n", GENERATING),
    fails("a line that is text", Kind.NOT_AN_OBJECT, lines(text(), "text"), GENERATING),
    fails(
        "an array with text in it",
        Kind.NOT_AN_OBJECT,
        {"rows.json": array(text(), "text")},
        GENERATING,
    ),
    drops("gzip under the name of jsonl", Kind.FILE_NOT_CHECKED, gzip.compress(lines(text())), 1),
    drops(
        "an object over many lines",
        Kind.FILE_NOT_CHECKED,
        {"rows.json": json.dumps(text(), indent=1).encode()},
        1,
    ),
    drops(
        "two rows on a line", Kind.FILE_NOT_CHECKED, lines(text())[:-1] + b" " + lines(text()), 2
    ),
    sound("a byte order mark before lines", b"\xef\xbb\xbf" + lines(seen()), 1),
    sound("NaN in a line", lines(text())[:-2] + b', "score": NaN}\n', 1),
    sound("a key twice in an array", {"rows.json": b'[{"n": 1, "n": 2, ' + array(text())[4:]}, 1),
    sound(
        "an unpaired surrogate in an array",
        {"rows.json": b'[{"n": "\\ud800", ' + array(text())[4:]},
        1,
    ),
    sound("blank lines", b"\n" + lines(text()) + b"\n\n" + lines(text()), 2),
    sound("line ends of Windows", lines(text(), text()).replace(b"\n", b"\r\n"), 2),
    sound("a blank file beside another", two(lines(text()), b"\n"), 1),
    sound("a file of no bytes beside another", two(lines(text()), b""), 1),
    sound("an array in a jsonl", array(text(), seen()), 2),
    sound("keys in another order", lines(text(), dict(reversed(text().items()))), 2),
]
