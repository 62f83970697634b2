"""Shards become chunks, requests, parts and a summary; what was made of the same is found again."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from beam_mat.core import layout
from beam_mat.core.chunk import Chunk, Shard
from beam_mat.core.errors import LostRecordError, SourceError
from beam_mat.core.image import ImageFault
from beam_mat.core.proposal import detail
from beam_mat.core.reject import Reason
from beam_mat.core.results import (
    ChunkFact,
    ChunkOutput,
    ChunkRequest,
    ImageOutcome,
    ShardSplit,
    ShardSummary,
    Written,
)
from beam_mat.core.settings import Settings
from beam_mat.core.trajectory import Schema
from beam_mat.storage import inputs
from beam_mat.work import chunks, results
from tests import outputs as dataset
from tests.making import image_record, record, write_shard
from tests.work.plain import shard_at

A = ImageOutcome("a.jpg", file="images/a.1.jpg", tokens=(1, 2))
A2 = ImageOutcome("a.jpg", file="images/a.2.jpg", tokens=(1, 2))
GONE = ImageOutcome("gone.jpg", ImageFault(Reason.IMAGE_MISSING, detail("gone.jpg")))
RECORDS = [record("t"), image_record("i", "a.jpg"), image_record("g", "gone.jpg"), 5]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(str(tmp_path / "out"), formats=("jsonl",), resume=True)


@pytest.fixture
def shard(tmp_path: Path) -> Shard:
    return shard_at(write_shard(tmp_path / "s.json", RECORDS))


def fresh(settings: Settings) -> Settings:
    return msgspec.structs.replace(settings, resume=False)


def chunk_of(settings: Settings, shard: Shard) -> Chunk:
    (chunk,) = chunks.split(settings, shard)
    return chunk


def facts(chunk: Chunk, *outcomes: ImageOutcome, repeated: Iterable[int] = ()) -> list[ChunkFact]:
    """All that is known of a chunk; the chunk itself need not come first."""
    known = [ChunkFact(outcomes=(one,), table=f"f/{one.path}") for one in outcomes]
    return [*known, ChunkFact(chunk=chunk), *(ChunkFact(repeated=index) for index in repeated)]


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which functions have read a shard."""
    found: list[str] = []

    def watched(name: str) -> Callable[..., Any]:
        function = getattr(inputs, name)

        def read(*arguments: object) -> Any:
            found.append(name)
            return function(*arguments)

        return read

    for name in ("chunks", "records"):
        monkeypatch.setattr(inputs, name, watched(name))
    return found


@pytest.mark.slow
def test_a_shard_that_was_scanned_is_not_read_again(
    settings: Settings, shard: Shard, reads: list[str]
) -> None:
    first = list(chunks.split(settings, shard))
    assert list(chunks.split(settings, shard)) == first
    assert reads.count("chunks") == 1
    assert list(chunks.split(fresh(settings), shard)) == first
    assert reads.count("chunks") == 2
    (found,) = results.collect(settings, layout.SPLITS, ShardSplit)
    why = "record 0: conversations have role and content"
    assert found == ShardSplit(4, tuple(first), Schema.MAT, why)


def test_a_shard_may_change_its_place_among_the_others(
    settings: Settings, shard: Shard, reads: list[str]
) -> None:
    chunk = chunk_of(settings, shard)
    moved = msgspec.structs.replace(shard, order=7)
    assert chunk_of(settings, moved) == msgspec.structs.replace(chunk, shard=moved)
    assert reads.count("chunks") == 1


@pytest.mark.parametrize(
    "change",
    [{"limit": 2}, {"formats": ("parquet",)}, {"val_fraction": 0.1}, {"prefixes": (("a", "b"),)}],
)
def test_another_limit_or_setting_scans_again(
    settings: Settings, shard: Shard, reads: list[str], change: dict[str, Any]
) -> None:
    chunk = chunk_of(settings, shard)
    if "limit" in change:
        other = chunk_of(settings, msgspec.structs.replace(shard, **change))
    else:
        other = chunk_of(msgspec.structs.replace(settings, **change), shard)
    assert other.name != chunk.name
    assert reads.count("chunks") == 2


def test_another_version_scans_again(settings: Settings, shard: Shard) -> None:
    before = chunk_of(settings, shard)
    write_shard(Path(shard.uri), [*RECORDS, record("new")])
    after = chunk_of(settings, shard_at(shard.uri))
    assert (before.count, after.count) == (4, 5)
    assert before.name != after.name


def test_a_shard_that_changes_while_it_is_read_leaves_no_split(
    settings: Settings, shard: Shard
) -> None:
    stale = msgspec.structs.replace(shard, version="before")
    with pytest.raises(SourceError, match="changed while it was converted"):
        list(chunks.split(settings, stale))
    assert list(results.collect(settings, layout.SPLITS, ShardSplit)) == []


def test_a_chunk_requests_each_image_of_a_valid_record_once(
    settings: Settings, tmp_path: Path, reads: list[str]
) -> None:
    some = [*RECORDS, image_record("again", "a.jpg"), image_record("bad", "c.jpg", answer="")]
    chunk = chunk_of(settings, shard_at(write_shard(tmp_path / "r.json", some)))
    first = chunks.request(settings, chunk)
    assert first == ChunkRequest(("a.jpg", "gone.jpg"))
    reads.clear()
    assert chunks.request(settings, chunk) == first
    assert results.find(settings, layout.REQUESTS, chunk.name, ChunkRequest) == first
    assert reads == []
    assert chunks.request(fresh(settings), chunk) == first
    assert reads == ["records"]


@pytest.mark.parametrize("lost", [layout.SPLITS, layout.REQUESTS])
def test_the_images_of_a_shard_are_known_if_results_are_lost(
    settings: Settings, shard: Shard, lost: str
) -> None:
    settings = msgspec.structs.replace(settings, resume=True)
    (chunk,) = chunks.split(settings, shard)
    asked = chunks.request(settings, chunk).images
    assert chunks.image_paths(settings, shard) == set(asked)
    shutil.rmtree(Path(settings.output, lost))
    assert chunks.image_paths(settings, shard) == set(asked)
    Path(shard.uri).unlink()
    shutil.rmtree(Path(settings.output, lost))
    with pytest.raises(FileNotFoundError):
        chunks.image_paths(settings, shard)


def test_ids_are_noted_where_duplicates_are_dropped(
    settings: Settings, shard: Shard, reads: list[str]
) -> None:
    dropping = msgspec.structs.replace(settings, drop_duplicates=True)
    chunk = chunk_of(dropping, shard)
    expected = [(0, "t"), (1, "i"), (2, "g")]
    assert list(chunks.ids(dropping, chunk)) == expected, "before it was requested"
    assert chunks.request(dropping, chunk).ids == tuple(expected)
    reads.clear()
    assert list(chunks.ids(dropping, chunk)) == expected
    assert reads == []


def test_a_faulty_range_has_no_records(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(b'[{"id":')
    chunk = chunk_of(settings, shard_at(path))
    assert chunk.fault is Reason.SHARD_BREAKS_OFF
    assert list(chunks.trajectories(settings, chunk)) == []
    assert chunks.request(settings, chunk) == ChunkRequest(())
    _, output = chunks.write(settings, facts(chunk))
    assert (output.records, output.accepted, len(output.parts)) == (1, 0, 0)
    assert output.rejects is not None


def test_a_chunk_is_written(settings: Settings, shard: Shard) -> None:
    chunk = chunk_of(settings, shard)
    written, output = chunks.write(settings, facts(chunk, A, GONE, repeated=[0]))
    assert written == Written(chunk.name, written.output, ("f/a.jpg", "f/gone.jpg"))
    assert written.output.startswith(f"{chunk.name}-")
    out = Path(settings.output)
    assert [(row["id"], row["images"]) for row in dataset.rows(out)] == [("i", [A.file])]
    reasons = ["duplicate_id", "image_missing", "not_an_object"]
    assert sorted(one["reason"] for one in dataset.rejects(out)) == reasons
    assert (output.records, output.accepted, output.image_uses) == (4, 1, 1)
    assert output.missing == ("gone.jpg",)
    assert {part.path for part in output.files()} == {
        f"jsonl/train-{written.output}.jsonl",
        f"rejects/{written.output}.jsonl",
    }
    assert list(results.collect(settings, layout.OUTPUTS, ChunkOutput)) == [output]


def test_a_chunk_of_the_same_outcomes_is_not_written_again(
    settings: Settings, shard: Shard, reads: list[str]
) -> None:
    chunk = chunk_of(settings, shard)
    first = chunks.write(settings, facts(chunk, A, GONE))
    reads.clear()
    assert chunks.write(settings, facts(chunk, GONE, A)) == first, "in whatever order"
    assert reads == []
    assert chunks.write(fresh(settings), facts(chunk, A, GONE)) == first
    assert reads == ["records"]


@pytest.mark.parametrize(
    ("outcomes", "repeated"), [((A2, GONE), ()), ((A, GONE), (0,)), ((A, GONE), (0, 1))]
)
def test_other_outcomes_make_other_files(
    settings: Settings, shard: Shard, outcomes: list[ImageOutcome], repeated: list[int]
) -> None:
    chunk = chunk_of(settings, shard)
    _, first = chunks.write(settings, facts(chunk, A, GONE))
    held = dataset.tree(Path(settings.output))
    _, other = chunks.write(settings, facts(chunk, *outcomes, repeated=repeated))
    paths = {part.path for part in first.files()}
    assert not paths & {part.path for part in other.files()}
    now = dataset.tree(Path(settings.output))
    assert now.items() > held.items(), "nothing is overwritten"


@pytest.mark.parametrize("folder", ["jsonl", "rejects"])
@pytest.mark.parametrize("how", ["lost", "cut", "moved"])
def test_a_chunk_whose_file_is_lost_is_written_again(
    settings: Settings, shard: Shard, reads: list[str], folder: str, how: str
) -> None:
    chunk = chunk_of(settings, shard)
    first = chunks.write(settings, facts(chunk, A, GONE))
    (file,) = (Path(settings.output) / folder).iterdir()
    data = file.read_bytes()
    if how == "moved":
        moved = Path(settings.output) / layout.REPLACED / folder / file.name
        moved.parent.mkdir(parents=True)
        file.rename(moved)
    elif how == "cut":
        file.write_bytes(data[:-1])
    else:
        file.unlink()
    reads.clear()
    assert chunks.write(settings, facts(chunk, A, GONE)) == first
    if how == "moved":
        assert reads == [], "a commit moves it back"
    else:
        assert reads == ["records"]
        assert file.read_bytes() == data


def test_an_outcome_that_never_came_is_no_usable_image(settings: Settings, shard: Shard) -> None:
    with pytest.raises(KeyError, match=r"a\.jpg"):
        chunks.write(settings, facts(chunk_of(settings, shard), GONE))


def test_a_surplus_of_text_only_rows_is_set_aside(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("beam_mat.core.mix.MAX_RUN", 2)
    some = [image_record("i", "a.jpg"), *(record(f"t{number}") for number in range(5))]
    chunk = chunk_of(settings, shard_at(write_shard(tmp_path / "m.json", some)))
    _, output = chunks.write(settings, facts(chunk, A))
    assert [(unit.image_rows, unit.rows) for unit in output.units] == [(1, 3), (0, 3)]
    aside = [part.path.startswith(f"{layout.TEXT_ONLY}/") for part in output.parts]
    assert aside == [False, True]


def test_a_shard_is_summed_up(settings: Settings, shard: Shard) -> None:
    written, output = chunks.write(settings, facts(chunk_of(settings, shard), A, GONE))
    found = chunks.summary(settings, shard, [written])
    assert found.stem == shard.stem(settings.digest())
    assert (found.records, found.accepted, found.rejected_records) == (4, 2, 2)
    assert (found.parts, found.tables) == (output.parts, ("f/a.jpg", "f/gone.jpg"))
    assert found.missing == ("gone.jpg",)


def test_a_shard_of_which_a_chunk_is_not_written_is_not(settings: Settings, shard: Shard) -> None:
    chunk_of(settings, shard)
    with pytest.raises(LostRecordError, match="the written chunks are not the chunks of the shard"):
        chunks.summary(settings, shard, [])
    with pytest.raises(FileNotFoundError):
        chunks.summary(settings, shard, [Written("x", "nowhere", ())])


@pytest.mark.parametrize("exact", [False, True])
def test_a_summary_is_found_by_its_name(settings: Settings, shard: Shard, exact: bool) -> None:
    settings = msgspec.structs.replace(settings, fingerprint="print")
    written, _ = chunks.write(settings, facts(chunk_of(settings, shard), A, GONE))
    summed = chunks.summary(settings, shard, [written])
    name = chunks.write_summary(settings, summed, exact=exact)
    assert list(results.read(settings, layout.SUMMARIES, [name], ShardSummary)) == [summed]
    plain = f"print/{summed.stem}"
    assert name.startswith(f"{plain}-") if exact else name == plain
    other = msgspec.structs.replace(summed, missing=())
    assert (chunks.write_summary(settings, other, exact=exact) == name) is not exact


def test_a_shard_in_which_records_have_moved_is_not_written(
    settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "moved.json"
    path.write_bytes(b'[{"id":"a"},{"id":"b"}]')
    chunk = chunk_of(settings, shard_at(path))
    # As long, with a comma at the same place, and with as many records.
    path.write_bytes(b'[{"i":"abc","k":1},  3]')
    with pytest.raises(SourceError, match="changed while it was converted"):
        chunks.write(settings, facts(chunk))
    assert list(results.collect(settings, layout.OUTPUTS, ChunkOutput)) == []
