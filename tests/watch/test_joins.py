"""The joins of a watch, fed by hand: any order, nothing twice, and nothing kept that is settled."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from apache_beam.pvalue import TaggedOutput
from apache_beam.utils.timestamp import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from beam_mat.core.chunk import Chunk, Shard
from beam_mat.core.image import ImageFault
from beam_mat.core.member import Member, Packing
from beam_mat.core.reject import Reason
from beam_mat.core.results import ImageOutcome, PathFact, Wanted, Written
from beam_mat.core.scan import Layout
from beam_mat.core.settings import Settings
from beam_mat.watch.joins import COMPLETE, JoinByChunk, JoinByPath, JoinByShard, stem_of
from beam_mat.watch.messages import (
    ChunkProgress,
    CommitFact,
    ShardFact,
    WatchSettings,
    reprocess_requests,
)

WAIT = 10.0


class State:
    """A state of one value, as an engine gives it."""

    def __init__(self) -> None:
        self.value: Any = None

    def read(self) -> Any:
        return self.value

    def write(self, value: Any) -> None:
        self.value = value

    def clear(self) -> None:
        self.value = None


class Timer:
    """A timer, as an engine gives it: it keeps whole milliseconds."""

    def __init__(self) -> None:
        self.at: Timestamp | None = None

    def set(self, at: Timestamp) -> None:
        self.at = Timestamp(micros=at.micros // 1000 * 1000)


class Path1:
    """The join of one path, and the graph's clock."""

    def __init__(self, output: Path, wait: float = WAIT) -> None:
        self.settings = Settings(str(output))
        self.join = JoinByPath(WatchSettings(self.settings, (), (), 1.0, 1.0, wait))
        self.known, self.expiry = State(), Timer()
        self.now = Timestamp(0)

    def tell(self, fact: PathFact) -> list[Wanted]:
        made = self.join.process(("p", fact), self.now, self.known, self.expiry)
        return [wanted for _, wanted in made]

    def wait(self, until: float) -> list[Wanted]:
        self.now = Timestamp(until)
        if self.expiry.at is None or self.expiry.at > self.now:
            return []
        at, self.expiry.at = self.expiry.at, None
        return [wanted for _, wanted in self.join.expire("p", at, self.known, self.expiry)]

    def requested(self) -> set[str]:
        return {one.stem or one.path for one in reprocess_requests(self.settings).values()}


@pytest.fixture
def path(tmp_path: Path) -> Path1:
    return Path1(tmp_path)


def member(source: str = "a.zip", order: int = 0, crc: int = 1) -> Member:
    return Member("p", source, order, 0, 9, 9, 9, Packing.STORED, crc, version="v")


def asked(chunk: str) -> PathFact:
    return PathFact(chunk=chunk)


def test_an_image_that_comes_first_answers_at_once(path: Path1) -> None:
    assert path.tell(PathFact(member=member())) == []
    for chunk in ("s-1", "s-2"):
        assert path.tell(asked(chunk)) == [Wanted("p", member(), (chunk,))]
    assert path.expiry.at is None


def test_a_record_that_comes_first_waits(path: Path1) -> None:
    assert path.tell(asked("s-1")) == []
    assert path.tell(asked("t-1")) == []
    assert path.tell(PathFact(member=member())) == [Wanted("p", member(), ("s-1", "t-1"))]
    assert not path.known.value.waiting, "what is settled is cleared"
    assert path.wait(WAIT * 3) == []
    assert path.requested() == set()


def test_each_record_waits_as_long_as_it_may(path: Path1) -> None:
    path.tell(asked("s-1"))
    assert path.wait(4.0) == []
    path.tell(asked("t-1"))
    assert path.wait(WAIT) == [Wanted("p", None, ("s-1",))]
    assert path.wait(WAIT + 4.0) == [Wanted("p", None, ("t-1",))]
    assert not path.known.value.waiting


@given(st.integers(0, 4_000_000_000_000), st.sampled_from((0.0, 0.1, 0.25, 0.3, 1.1, 7.0)))
def test_no_fraction_of_a_second_makes_it_wait_for_ever(began: int, wait: float) -> None:
    path = Path1(Path("unused"), wait)
    path.now = Timestamp(micros=began * 1000)
    path.tell(asked("s-1"))
    assert path.wait(began / 1000 + wait + 0.001) == [Wanted("p", None, ("s-1",))]
    assert path.expiry.at is None


def test_an_image_that_comes_too_late_has_the_shards_that_missed_it_reprocessed(
    path: Path1,
) -> None:
    path.tell(asked("s-1"))
    path.wait(WAIT)
    path.tell(PathFact(missed_by="u"))
    assert path.tell(asked("s-1")) == [Wanted("p", None, ("s-1",))], "it waits no second time"
    path.tell(PathFact(member=member()))
    assert path.requested() == {"s", "u"}
    assert path.known.value.missed_by == ()


def test_a_shard_that_lacks_what_is_there_is_reprocessed(path: Path1) -> None:
    path.tell(PathFact(member=member()))
    path.tell(PathFact(missed_by="s"))
    assert path.requested() == {"s"}


def test_the_zip_that_comes_first_by_name_has_it_whenever_it_arrives(path: Path1) -> None:
    path.tell(PathFact(member=member("b.zip")))
    path.tell(PathFact(member=member("c.zip")))
    path.tell(PathFact(member=member("a.zip", order=1)))
    (wanted,) = path.tell(asked("s-1"))
    assert wanted.member == member("b.zip")
    assert path.requested() == set()
    path.tell(PathFact(member=member("a.zip", crc=2)))
    assert path.requested() == {"p"}, "records that have the other picture"
    (wanted,) = path.tell(asked("t-1"))
    assert wanted.member == member("a.zip", crc=2)


def chunk(name: str = "s-1") -> Chunk:
    return Chunk(name, Shard("s", 0, 1, "v"), Layout.ARRAY, 0, 1, 0, 1)


def outcome(path: str) -> ImageOutcome:
    return ImageOutcome(path, file=f"images/{path}")


@given(st.permutations(["chunk", "a", "b", "c", "c", "a"]))
def test_a_chunk_is_passed_on_when_all_its_images_are_known(order: list[str]) -> None:
    state, join = State(), JoinByChunk()
    made = []
    for name in order:
        fact = ChunkProgress(outcomes=(outcome(name),), tables=(f"f/{name}",))
        if name == "chunk":
            fact = ChunkProgress(chunk(), 3)
        for _, some in join.process(("s-1", fact), state):
            facts = list(some)
            made.append({one.path for known in facts for one in known.outcomes})
            assert {fact.table for fact in facts if fact.table} == {"f/a", "f/b", "f/c"}
            assert [fact.chunk for fact in facts if fact.chunk] == [chunk()]
        if made:
            break
    assert made == [{"a", "b", "c"}]
    assert state.value is None, "what is settled is cleared"


def test_a_chunk_without_images_is_passed_on_at_once() -> None:
    ((_, facts),) = JoinByChunk().process(("s-1", ChunkProgress(chunk(), 0)), State())
    assert [fact.chunk for fact in facts if fact.chunk] == [chunk()]


def test_the_last_word_on_an_image_counts() -> None:
    state, join = State(), JoinByChunk()
    gone = ImageOutcome("a", ImageFault(Reason.IMAGE_MISSING, "gone"))
    list(join.process(("s-1", ChunkProgress(outcomes=(gone,))), state))
    list(join.process(("s-1", ChunkProgress(outcomes=(outcome("a"),))), state))
    ((_, facts),) = join.process(("s-1", ChunkProgress(chunk(), 1)), state)
    assert [one for fact in facts for one in fact.outcomes] == [outcome("a")]


SHARD = Shard("s.json", 0, 1, "v")


def written(name: str, output: str = "o") -> Written:
    return Written(name, output, ("f/1",))


def shard_facts() -> Iterator[ShardFact]:
    yield ShardFact(shard=SHARD, chunks=2)
    for name in ("s-1", "s-2", "s-1"):
        yield ShardFact(written=(written(name),))


@given(st.permutations(list(shard_facts())))
def test_a_shard_is_passed_on_when_all_its_chunks_are_written(order: list[ShardFact]) -> None:
    state, join = State(), JoinByShard()
    made: list[TaggedOutput] = []
    for fact in order:
        made += join.process(("s", fact), 0.0, state, Timer())
        if made:
            break
    (found,) = made
    assert (found.tag, found.value.shard) == (COMPLETE, SHARD)
    assert set(found.value.written) == {written("s-1"), written("s-2")}
    assert state.value is None


def test_a_chunk_that_was_written_twice_counts_as_it_was_written_last() -> None:
    state, join = State(), JoinByShard()
    for fact in (ShardFact(written=(written("s-1", "old"),)), ShardFact(shard=SHARD, chunks=2)):
        assert list(join.process(("s", fact), 0.0, state, Timer())) == []
    both = ShardFact(written=(written("s-1", "new"), written("s-2")))
    (found,) = join.process(("s", both), 0.0, state, Timer())
    assert found.value == ShardFact(SHARD, 2, (written("s-1", "new"), written("s-2")))


def test_an_empty_shard_is_passed_on_at_once() -> None:
    (found,) = JoinByShard().process(("s", ShardFact(shard=SHARD)), 0.0, State(), Timer())
    assert (found.tag, found.value) == (COMPLETE, ShardFact(SHARD))


def test_of_a_shard_that_is_gone_nothing_comes_any_more() -> None:
    state, timer, join = State(), Timer(), JoinByShard()
    told: list[tuple[str, CommitFact]] = []
    first = ShardFact(written=(written("s-1"),))
    for fact in (first, ShardFact(shard=SHARD, gone=True), *shard_facts()):
        told += join.process(("s", fact), 0.0, state, timer)
    assert told == [("", CommitFact(gone=SHARD))]
    assert timer.at is not None
    join.forgotten(state)
    assert state.value is None


def test_the_stem_of_a_chunk_is_its_shards() -> None:
    shard = Shard("/in/a-b.json", 0, 1, "v")
    name = f"{shard.stem('d')}-{7:014d}"
    assert stem_of(name) == shard.stem("d")


def spelled(path: str, crc: int = 1, order: int = 0) -> PathFact:
    return PathFact(member=Member(path, "a.zip", order, 0, 9, 9, 9, Packing.STORED, crc))


def crc_of(found: list[Wanted]) -> int | None:
    (wanted,) = found
    assert wanted.path == "p"
    assert wanted.member is None or wanted.member.path == "p"
    return wanted.member.crc if wanted.member else None


def test_a_member_with_another_spelling_answers(path: Path1) -> None:
    assert path.tell(asked("s-1")) == []
    assert crc_of(path.tell(spelled("q", 5))) == 5
    assert crc_of(path.tell(asked("t-1"))) == 5
    assert path.requested() == set()


@pytest.mark.parametrize("order", [["p", "q"], ["q", "p"]])
def test_the_same_spelling_counts_first(path: Path1, order: list[str]) -> None:
    for spelling in order:
        path.tell(spelled(spelling, {"p": 1, "q": 2}[spelling], order={"p": 1, "q": 0}[spelling]))
    assert crc_of(path.tell(asked("s-1"))) == 1


def test_a_record_is_read_again_when_its_own_spelling_arrives(path: Path1) -> None:
    path.tell(spelled("q", 2))
    assert crc_of(path.tell(asked("s-1"))) == 2
    path.tell(spelled("p", 1))
    assert path.requested() == {"p"}
    assert crc_of(path.tell(asked("s-1"))) == 1


@pytest.mark.parametrize("order", [["q", "r"], ["r", "q"], ["q", "r", "q"]])
def test_of_two_other_spellings_none_answers(path: Path1, order: list[str]) -> None:
    for spelling in order:
        path.tell(spelled(spelling))
    assert path.tell(asked("s-1")) == []
    assert crc_of(path.wait(WAIT * 2)) is None
    path.tell(spelled("p", 7))
    assert path.requested() == {"s"}
    assert crc_of(path.tell(asked("s-1"))) == 7


def test_a_record_is_read_again_when_its_image_becomes_unclear(path: Path1) -> None:
    path.tell(spelled("q"))
    assert crc_of(path.tell(asked("s-1"))) == 1
    path.tell(spelled("r"))
    assert path.requested() == {"p"}
    assert path.tell(asked("s-1")) == []
