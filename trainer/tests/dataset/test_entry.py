import json

import pytest

from mat_trainer.core.manifest import Part
from mat_trainer.core.subset import columns
from mat_trainer.dataset.entry import Entry, files, registry, registry_faults


def part(format: str, split: str, number: int = 0) -> Part:
    folder = format if split == "train" else f"{format}_{split}"
    return Part(f"{folder}/{number}.{format}", format, split, 10, 100, f"{number:064}")


ENTRY = Entry("mat", "jsonl", "train", (part("jsonl", "train"), part("jsonl", "train", 1)))
WRITTEN = json.loads(registry((ENTRY,)))["mat"]


def test_files_are_the_parts() -> None:
    assert [file.path for file in files((ENTRY,))] == ["jsonl/0.jsonl", "jsonl/1.jsonl"]
    assert (ENTRY.rows, ENTRY.folder) == (20, "jsonl")


@pytest.mark.parametrize(
    ("registry", "fault"),
    [
        ({"mat": WRITTEN}, None),
        ({"mat": {**WRITTEN, "ranking": False}}, None),
        ({"mat": {**WRITTEN, "ranking": True}}, "ranking of mat is True, but its rows need None"),
        ({"mat": {**WRITTEN, "columns": {"messages": "messages"}}}, "columns of mat is"),
        ({"mat": {**WRITTEN, "tags": None}}, "tags of mat is None"),
        ({"other": {}}, "no entry mat"),
        ({"mat": {"file_name": "/etc"}}, "mat reads '/etc', its parts are in 'jsonl'"),
        ({"mat": {"file_name": "jsonl", "script_url": "run.py"}}, "mat has script_url"),
        ({"mat": {"file_name": "jsonl", "hf_hub_url": "a/b"}}, "mat has hf_hub_url"),
        (["mat"], "Expected `object`"),
    ],
)
def test_a_registry_that_reads_or_runs_something_else_is_refused(
    registry: object, fault: str | None
) -> None:
    faults = registry_faults(json.dumps(registry).encode(), (ENTRY,))
    if fault is None:
        assert faults == []
    else:
        assert fault in " ".join(faults)


def test_a_pair_is_registered_as_one() -> None:
    pairs = Entry("mat_ranking", "jsonl", "train", ENTRY.parts, "ranking_noid")
    written = json.loads(registry((pairs,)))["mat_ranking"]
    assert written["ranking"] is True
    assert list(written["columns"]) == list(columns("ranking_noid"))
    assert list(written["columns"])[-2:] == ["chosen", "rejected"]
    assert "ranking" not in WRITTEN
