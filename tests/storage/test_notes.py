"""Notes come back as they were left, by name."""

from __future__ import annotations

from pathlib import Path

from beam_mat.core import layout
from beam_mat.core.chunk import Chunk
from beam_mat.core.notes import (
    ChunkNote,
    MixJob,
    MixNote,
    Part,
    RejectCount,
    ShardNote,
    Unit,
)
from beam_mat.core.reject import Reason, Reject
from beam_mat.core.settings import Settings
from beam_mat.core.statistics import Statistics
from beam_mat.storage import notes
from tests.build import chunk, shard


def test_notes_come_back_by_name(tmp_path: Path) -> None:
    settings = Settings(output=str(tmp_path))
    part = Part("jsonl/train-a.jsonl", "jsonl", "train", 2, 1, 100, "ab" * 32)
    first = Reject(Reason.NO_ID, "é\u2028", "/a.json", 0, 1, 9, None, "")
    of: Chunk = chunk(fault=Reason.MALFORMED_JSON, detail="cut off")
    unit = Unit("a", "train", 1, 2)
    rejected = (RejectCount(Reason.NO_ID, 3, first),)
    left = ChunkNote("g", "o", of, 2, 0, 1, rejected, (unit,), (part,), None, Statistics())
    for name in ("b", "a"):
        notes.leave(settings, layout.CHUNK_NOTES, name, left)
        notes.leave(settings, layout.SHARD_NOTES, name, ShardNote(shard(uri=name), 5, (of,)))
    assert list(notes.collect(settings, layout.CHUNK_NOTES, ChunkNote)) == [left, left]
    found = notes.collect(settings, layout.SHARD_NOTES, ShardNote)
    assert [note.shard.uri for note in found] == ["a", "b"]


def test_a_note_left_twice_is_one(tmp_path: Path) -> None:
    settings = Settings(output=str(tmp_path))
    for _ in range(2):
        notes.leave(settings, layout.MIXED_NOTES, "a", MixNote("g", MixJob(None, ()), (), ()))
    assert len(list(notes.collect(settings, layout.MIXED_NOTES, MixNote))) == 1


def test_no_notes_are_no_error(tmp_path: Path) -> None:
    assert list(notes.collect(Settings(output=str(tmp_path)), layout.MIXED_NOTES, MixNote)) == []
