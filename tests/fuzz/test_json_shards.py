"""Hostile JSON shards are accepted or rejected within bounds of CPU seconds and memory.

Both are limits of a process that reads them, so a machine that is slow or busy fails no test.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from tests.fuzz import json_shards
from tests.fuzz.read_json import Took

CPU_SECONDS = 40
"""For one shard: at least four times what the slowest one takes."""
ADDRESS_MIB = 1024
"""Of address space, above that of the libraries."""
MOST_MIB = 400
"""Of memory."""

Shards = Callable[[], Iterator[tuple[str, bytes]]]


@pytest.mark.parametrize(
    "group",
    [
        json_shards.boundaries,
        json_shards.deep,
        json_shards.many,
        json_shards.numbers,
        json_shards.texts,
    ],
)
def test_each_shard_costs_bounded_time_and_memory(group: Shards, tmp_path: Path) -> None:
    folder = tmp_path / "shards"
    folder.mkdir()
    for name, data in group():
        (folder / f"{name}.json").write_bytes(data)
    limits = [str(CPU_SECONDS), str(ADDRESS_MIB)]
    words = ["-m", "tests.fuzz.read_json", str(folder), str(tmp_path / "out"), *limits]
    done = subprocess.run([sys.executable, *words], capture_output=True, check=False)
    seen = [msgspec.json.decode(line, type=Took) for line in done.stdout.splitlines()]
    last = seen[-1].name if seen else "none"
    assert done.returncode == 0, f"after {last}: {done.stderr.decode()[-2000:]}"
    assert {one.name for one in seen} == {file.name for file in folder.iterdir()}
    for one in seen:
        assert one.mib <= MOST_MIB, one
        assert one.counts, one
        has_good = json_shards.GOOD in (folder / one.name).read_bytes()
        if has_good and group is not json_shards.boundaries:
            assert one.counts["accepted"], f"{one}: a hostile record costs a good one"
