"""A dataset whose rows are short, so that a step takes a fraction of a second."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import converted, sample_source
from tests.once import once

PROMPT = 400
ANSWER = 120


@pytest.fixture(scope="session")
def short_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made by beam-mat of the same records, cut to one question and one answer each."""
    return once(tmp_path_factory, "short", make)


def make(folder: Path) -> Path:
    """Makes it below `folder`."""
    source = sample_source(folder)
    records = []
    for shard in sorted(source.glob("*.json")):
        for record in json.loads(shard.read_text()):
            system, question, answer = record["conversations"][:3]
            if question["content"].count("<image") == 1 or record["image"] in ("", "{}"):
                system["content"] = system["content"][:PROMPT]
                answer["content"] = answer["content"][:ANSWER]
                records.append({**record, "conversations": [system, question, answer]})
    shard = folder / "short.json"
    shard.write_text(json.dumps(records))
    return converted([shard], source, folder / "mat")
