"""Memory does not grow with the input."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest

from beam_mat.core.chunk import Shard
from beam_mat.storage import files, inputs

RECORD = json.dumps({"id": "a", "text": "x" * 18_000, "turns": [{"role": "user"}] * 5})


def peak_of_a_scan(path: Path, records: int) -> int:
    with path.open("w") as file:
        file.write("[" + RECORD)
        for _ in range(records - 1):
            file.write(",\n" + RECORD)
        file.write("]")
    found = files.info(str(path))
    shard = Shard(found.uri, 0, found.size, found.version)
    tracemalloc.start()
    try:
        assert sum(chunk.count for chunk in inputs.chunks(inputs.reading(shard), "")) == records
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_a_shard_of_ten_times_the_size_is_scanned_in_the_same_memory(tmp_path: Path) -> None:
    small = peak_of_a_scan(tmp_path / "small.json", 600)  # 11 MB
    large = peak_of_a_scan(tmp_path / "large.json", 6000)  # 110 MB
    assert large < 1.2 * small
    assert large < 20 << 20


@pytest.mark.slow
def test_a_record_of_any_size_passes_through_in_the_same_memory(tmp_path: Path) -> None:
    path = tmp_path / "huge.json"
    with path.open("w") as file:
        file.write('[{"id": "a", "text": "')
        for _ in range(100):
            file.write("x" * 1_000_000)
        file.write('"}, {"id": "b"}]')
    found = files.info(str(path))
    shard = Shard(found.uri, 0, found.size, found.version)
    tracemalloc.start()
    try:
        huge, small = inputs.chunks(inputs.reading(shard), "")
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()
    assert (huge.fault, small.fault) == ("record_too_large", None)
    (record,) = inputs.records(huge)
    assert len(record.data) == 1 << 20
