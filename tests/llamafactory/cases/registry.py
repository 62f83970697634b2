"""The registry, and what lies in a folder."""

from __future__ import annotations

import gzip
import json

from beam_mat.core.contract.finding import Kind
from tests.llamafactory.cases.case import (
    TOOLS,
    Case,
    fails,
    sound,
)
from tests.rows import (
    COLUMNS,
    IMAGE,
    TAGS,
    array,
    entry,
    inside,
    lines,
    parquet,
    seen,
    text,
    without,
)

REGISTRY = [
    fails(
        "a registry that is no JSON",
        Kind.REGISTRY_UNREADABLE,
        lines(text()),
        "Cannot open",
        entry=b'{"d": ',
    ),
    fails(
        "a registry with a byte order mark",
        Kind.REGISTRY_UNREADABLE,
        lines(text()),
        "Cannot open",
        entry=b"\xef\xbb\xbf" + json.dumps({"d": entry()}).encode(),
    ),
    fails("an entry that is a list", Kind.ENTRY_INVALID, lines(text()), "TypeError", entry=["x"]),
    fails(
        "columns that are null",
        Kind.ENTRY_INVALID,
        lines(text()),
        "AttributeError",
        entry=entry(columns=None),
    ),
    fails(
        "tags that are a list",
        Kind.ENTRY_INVALID,
        lines(text()),
        "AttributeError",
        entry=entry(tags=["role"]),
    ),
    fails(
        "an entry without formatting",
        Kind.FORMATTING_NOT_SHAREGPT,
        lines(text()),
        "Cannot find valid samples",
        entry=entry(formatting=...),
    ),
    fails(
        "an unknown formatting",
        Kind.FORMATTING_NOT_SHAREGPT,
        lines(text()),
        "converter",
        entry=entry(formatting="sharegtp"),
    ),
    fails(
        "columns without messages",
        Kind.COLUMN_NOT_LISTED,
        lines(text()),
        "KeyError: None",
        entry=entry(columns=without(COLUMNS, "messages")),
    ),
    *(
        fails(
            f"tags without {tag}",
            Kind.TAG_NOT_LISTED,
            lines(text()),
            says,
            entry=entry(tags=without(TAGS, tag)),
        )
        for tag, says in (
            ("role_tag", "KeyError: None"),
            ("content_tag", "KeyError: None"),
            ("user_tag", "Cannot find valid samples"),
            ("assistant_tag", "Cannot find valid samples"),
        )
    ),
    fails(
        "a system column that no row has",
        Kind.COLUMN_UNKNOWN,
        lines(without(text(), "system")),
        "KeyError: 'prompt'",
        entry=entry(columns={**COLUMNS, "system": "prompt"}),
    ),
    fails(
        "a tools column that no Parquet row has",
        Kind.COLUMN_UNKNOWN,
        {"rows.parquet": parquet(inside())},
        "KeyError: 'tools'",
        entry=entry("rows.parquet", columns=TOOLS),
    ),
    fails(
        "another split",
        Kind.SPLIT_UNKNOWN,
        lines(text()),
        "Unknown split",
        entry=entry(split="validation"),
    ),
    fails("no file_name", Kind.FILE_NOT_FOUND, lines(text()), "KeyError", entry=entry(...)),
    fails("a glob", Kind.FILE_NOT_FOUND, lines(text()), "not found", entry=entry("*.jsonl")),
    fails(
        "a remote address",
        Kind.FILE_NOT_FOUND,
        lines(text()),
        "not found",
        entry=entry("gs://bucket/rows.jsonl"),
    ),
    fails("no such file", Kind.FILE_NOT_FOUND, lines(text()), "not found", entry=entry("x.jsonl")),
    fails("an empty folder", Kind.FOLDER_EMPTY, {"d": None}, "IndexError"),
    *(
        fails(
            f"a folder with {name}", Kind.FOLDER_MIXED, {"d/a.jsonl": lines(text()), **more}, says
        )
        for name, more, says in (
            ("_SUCCESS", {"d/_SUCCESS": b""}, "Allowed file types"),
            ("a dotfile", {"d/.DS_Store": b"x"}, "Allowed file types"),
            ("a subfolder", {"d/more/b.jsonl": lines(text())}, "identical"),
            ("a gzip", {"d/b.jsonl.gz": gzip.compress(lines(text()))}, "identical"),
            ("capitals", {"d/b.JSONL": lines(text())}, "identical"),
        )
    ),
    Case(
        "a folder of two types",
        {"d/a.jsonl": lines(seen()), "d/b.csv": b"a,b\n1,2\n"},
        frozenset({Kind.FOLDER_MIXED}),
        entry("d"),
        says="identical",
    ),
    fails(
        "a file without an extension",
        Kind.FILE_TYPE_UNKNOWN,
        {"rows": lines(text())},
        "Allowed file types",
    ),
    sound(
        "columns of other names, no tags",
        lines(
            {
                "talk": [{"from": "human", "value": "<image>?"}, {"from": "gpt", "value": "A"}],
                "p": IMAGE,
            }
        ),
        1,
        entry=entry(columns={"messages": "talk", "images": "p"}, tags=...),
    ),
    sound(
        "neither columns nor tags",
        lines({"conversations": [{"from": "human", "value": "?"}, {"from": "gpt", "value": "A"}]}),
        1,
        entry=entry(columns=..., tags=...),
    ),
    sound(
        "tags of unused roles left out",
        lines(text(), seen()),
        2,
        entry=entry(tags=without(TAGS, "observation_tag", "function_tag", "system_tag")),
    ),
    sound(
        "a column that is null", lines(text()), 1, entry=entry(columns={**COLUMNS, "tools": None})
    ),
    sound("half of a split", lines(*[text()] * 4), 2, entry=entry(split="train[:50%]")),
    sound(
        "an unused column of a ranking",
        lines(text()),
        1,
        entry=entry(columns={**COLUMNS, "chosen": "better"}),
    ),
    sound("json beside jsonl", {"d/a.json": array(seen()), "d/b.jsonl": lines(seen())}, 2),
    sound(
        "a dotfile of the right type", {"d/a.jsonl": lines(text()), "d/.b.jsonl": lines(text())}, 2
    ),
]
