"""Records of every schema, converted, arrive in LLaMA-Factory as they are and can be trained on."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from beam_mat.core.schemas.table import TABLE
from beam_mat.core.trajectory import Schema
from tests import outputs as dataset
from tests.build import SHARED
from tests.command import convert_words, run
from tests.llamafactory.conftest import Reader
from tests.making import picture, write_zip

pytestmark = pytest.mark.llamafactory

Row = dict[str, Any]

PUBLIC = sorted(path.name.split(".")[0] for path in (SHARED / "schemas").glob("*.expected.jsonl"))
FILE = re.compile(r"images/(.+)\.[0-9a-f]{16}(\.jpg)")

CALL = json.dumps({"name": "crop", "arguments": {"side": "left"}})
TOOLS = json.dumps([{"type": "function", "function": {"name": "crop", "parameters": {}}}])


def turns(*pairs: tuple[str, str]) -> list[Row]:
    return [{"role": role, "content": content} for role, content in pairs]


ASKED = turns(("user", "<image>Which side?"))
LOOKED = turns(("function_call", CALL), ("observation", "<image>64 x 48"))
LEFT, RIGHT = turns(("assistant", "The left one.")), turns(("assistant", "The right one."))


def row(messages: list[Row], *images: str, **more: Any) -> Row:
    return {"messages": messages, "images": list(images), "system": "Be brief.", **more}


MADE: Mapping[str, tuple[Row, ...]] = {
    "labels": (
        row([*ASKED, *LEFT], "a.jpg", kto_tag=True),
        row([*ASKED, *RIGHT], "b.jpg", kto_tag=False),
        row([*turns(("user", "Why?")), *LEFT], kto_tag=True),
    ),
    "labels of calls": (
        row([*ASKED, *LOOKED, *LEFT], "a.jpg", "b.jpg", kto_tag=False, tools=TOOLS),
        row([*ASKED, *LOOKED[:1]], "a.jpg", kto_tag=True, tools=TOOLS),
    ),
    "pairs of calls": (
        row([*ASKED, *LOOKED], "a.jpg", "b.jpg", tools="", chosen=LEFT[0], rejected=RIGHT[0]),
        row(ASKED, "a.jpg", id="7", tools=TOOLS, chosen=LOOKED[0], rejected=RIGHT[0]),
    ),
    "calls": (
        row([*ASKED, *LOOKED, *LEFT], "b.jpg", "a.jpg", id="1", tools=TOOLS),
        row([*ASKED, *LOOKED, *LEFT], "b.jpg", "b.jpg", id="2", tools=""),
        row([*ASKED, *LEFT], "a.jpg", id="3"),
        row([*ASKED, *LEFT], "a.jpg"),
    ),
}
"""Rows in LLaMA-Factory's own form: the record is the row."""


def converted(records: Path, images: Path, output: Path) -> Path:
    ran = run(*convert_words(records, images, output), "--no-default-rewrite")
    assert ran.code == 0, ran.err
    return output


def written(output: Path, format: str) -> dict[str, list[Row]]:
    """The rows of each entry of a format, with the paths that the records have."""
    found = {}
    for name, entry in json.loads((output / "dataset_info.json").read_bytes()).items():
        folder = output / entry["file_name"]
        if folder.name.split("_")[0] != format:
            continue
        read = dataset.json_lines if format == "jsonl" else dataset.parquet_file_rows
        found[name] = [row for file in sorted(folder.iterdir()) for row in read(file)]
        assert found[name]
        for one in found[name]:
            one["images"] = [path_of(image) for image in one["images"]]
    return found


def path_of(image: str | Mapping[str, Any]) -> str:
    place = FILE.fullmatch(image if isinstance(image, str) else image["path"])
    assert place
    return place[1] + place[2]


def arrived(rows: list[Row]) -> Counter[str]:
    """How often each row is to arrive: its digest as reader.py makes it, without the images."""
    digests: Counter[str] = Counter()
    for one in rows:
        answers = [one[name] for name in ("chosen", "rejected") if name in one]
        said = [[role_of(turn), turn["content"]] for turn in [*one["messages"], *answers]]
        if "kto_tag" in one:  # LLaMA-Factory puts an empty answer on the other side
            said.insert(len(said) - (not one["kto_tag"]), ["assistant", ""])
        text = json.dumps([said, one["system"], one.get("tools", "")])
        digests[hashlib.sha256(text.encode()).hexdigest()] += 1
    return digests


def role_of(turn: Row) -> str:
    """LLaMA-Factory's own name of a role."""
    return "function" if turn["role"] == "function_call" else str(turn["role"])


def check(reader: Reader, output: Path, expected: list[Row]) -> None:
    """The rows of both formats are the expected ones, have no fault, arrive and are trained on."""
    for format in ("jsonl", "parquet"):
        entries = written(output, format)
        rows = [row for listed in entries.values() for row in listed]
        assert sorted(map(canonical, rows)) == sorted(map(canonical, expected))
        for name, listed in entries.items():
            stage = "dpo" if "chosen" in listed[0] else "kto" if "kto_tag" in listed[0] else "sft"
            assert_arrives(reader, output, name, listed, stage)
    ran = run("check", output, "--json")
    found = json.loads(ran.out)
    assert (ran.code, found["violations"], found["not_checked"]) == (0, [], {})


def canonical(one: Row) -> str:
    return json.dumps(one, sort_keys=True)


def assert_arrives(reader: Reader, output: Path, name: str, rows: list[Row], stage: str) -> None:
    loaded = reader.rows(output, name, workers=1)
    assert Counter(one["text"] for one in loaded) == arrived(rows)
    images = Counter(tuple(path_of(image) for image in one["images"]) for one in loaded)
    assert images == Counter(tuple(one["images"]) for one in rows)
    assert all(one["placeholders"] == len(one["images"]) for one in loaded)
    answer = reader.train(output, name, "train", stage=stage)
    assert "rows" in answer, answer["error"]
    kept = [images for _, images in answer["rows"]]
    assert sorted(kept) == sorted(len(one["images"]) for one in rows)


@pytest.mark.skipif(not PUBLIC, reason="../shared/schemas is not there")
@pytest.mark.parametrize("name", PUBLIC)
def test_public_records_are_trained_on_as_expected(
    reader: Reader, tmp_path: Path, name: str
) -> None:
    folder = SHARED / "schemas"
    output = converted(folder / f"{name}.jsonl", folder / "images.zip", tmp_path / "out")
    lines = (folder / f"{name}.expected.jsonl").read_bytes().splitlines()
    expected = [json.loads(line) for line in lines]
    check(reader, output, [row for row in expected if "reject" not in row])
    details = [row["reject"] for row in expected if "reject" in row]
    assert [reject["detail"] for reject in dataset.rejects(output)] == details


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    members = {f"{name}.jpg": picture((64, 48), seed) for seed, name in enumerate("ab")}
    return write_zip(tmp_path_factory.mktemp("images") / "images.zip", members)


def write_lines(path: Path, records: Any) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in records))
    return path


@pytest.mark.parametrize("name", MADE)
def test_rows_of_every_kind_are_trained_on(
    reader: Reader, tmp_path: Path, images: Path, name: str
) -> None:
    shard = write_lines(tmp_path / "rows.jsonl", MADE[name])
    output = converted(shard, images, tmp_path / "out")
    check(reader, output, list(MADE[name]))


def test_the_example_of_every_schema_is_trained_on(
    reader: Reader, tmp_path: Path, images: Path
) -> None:
    shards = []
    for schema, entry in TABLE.items():
        records = [entry.example]
        if schema is Schema.MS_SWIFT:  # KTO needs both labels
            records.append({**entry.example, "label": False})
        shards.append(write_lines(tmp_path / f"{schema.value}.jsonl", records))
    ran = run(*convert_words(shards, images, tmp_path / "out"))
    assert ran.code == 0, ran.err
    entries = written(tmp_path / "out", "jsonl")
    check(reader, tmp_path / "out", [row for rows in entries.values() for row in rows])
    assert sum(map(len, entries.values())) == len(TABLE) + 1
