"""A dataset whose rows are short, so that a step takes a fraction of a second."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import converted, sample_source
from tests.once import once

PROMPT = 400
ANSWER = 120
LONG = "look closer " * 200


@pytest.fixture(scope="session")
def short_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made by beam-mat of the same records, cut to one question and one answer each.

    The last row is a copy of another one with a long answer.
    """
    source = sample_source(tmp_path_factory)
    return once(tmp_path_factory, "short", lambda folder: make(source, folder))


def make(source: Path, folder: Path) -> Path:
    """Makes it of the records of `source`, below `folder`."""
    records = []
    for shard in sorted(source.glob("*.json")):
        for record in json.loads(shard.read_text()):
            image = record.get("image")  # older files leave it out
            system, question, answer = record["conversations"][:3]
            if question["content"].count("<image") == 1 or not image or image == "{}":
                system["content"] = system["content"][:PROMPT]
                answer["content"] = answer["content"][:ANSWER]
                records.append({**record, "conversations": [system, question, answer]})
    system, question, answer = records[-1]["conversations"]
    turns = [system, question, {**answer, "content": LONG}]
    records.append({**records[-1], "id": "long", "conversations": turns})
    shard = folder / "short.json"
    shard.write_text(json.dumps(records))
    return converted([shard], source, folder / "mat")
