"""What the steps work on: a shard, its chunks, settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from beam_mat.core.chunk import Chunk, Shard
from beam_mat.core.settings import Settings
from beam_mat.storage import files, inputs
from tests.making import write_shard


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(str(tmp_path / "out"), prefixes=(("data/", "tongagent/"),))


ShardOf = Callable[[Iterable[object]], Shard]


@pytest.fixture
def shard_of(tmp_path: Path) -> ShardOf:
    """Writes records as the next shard."""
    made: list[Path] = []

    def write(records: Iterable[object]) -> Shard:
        made.append(write_shard(tmp_path / f"{len(made)}.json", records))
        info = files.info(str(made[-1]))
        return Shard(info.uri, len(made) - 1, info.size, info.version)

    return write


def chunk_of(shard: Shard) -> Chunk:
    """The only chunk of a small shard."""
    (chunk,) = inputs.chunks(inputs.reading(shard), "")
    return chunk
