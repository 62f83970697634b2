"""Finds the nearest member of each missing image.

The members were joined with the paths when they were listed; a member that is only near was dropped
there. So the sources are listed again if an image is missing, and yield the few members that have a
key in common with a missing path. The keys are counted first: a key that many missing paths have
says nothing, and would be too much for one join.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam

from beam_mat.core.nearest import MOST, SLOTS, keys, nearest, pair, slot
from beam_mat.core.results import NearFact, Source, Wanted
from beam_mat.core.settings import Settings
from beam_mat.transforms.shuffle import Group, GroupMany
from beam_mat.transforms.step import FileStep, timed
from beam_mat.work.images import batch_of
from beam_mat.work.missing import candidates

SLOTS_PER_BUCKET = 2048
"""Slots are counted, and passed on, in buckets."""

Counts = Mapping[int, bytes]
"""How many missing paths have a key in each slot of a bucket, up to 255."""


class NameNearest(beam.PTransform):
    """Adds the nearest member to missing images, and keys them by their batch."""

    def __init__(self, settings: Settings, sources: Sequence[Source]) -> None:
        super().__init__()
        self._settings = settings
        self._sources = sources

    def expand(self, missing: Any) -> Any:
        counted = (
            missing
            | "Slots" >> beam.FlatMap(_slots).with_output_types(tuple[str, int])
            | "By bucket" >> Group(int)
            | "Count" >> beam.MapTuple(_count).with_output_types(tuple[int, bytes])
        )
        counts = beam.pvalue.AsDict(counted)
        asked = missing | "Keys" >> beam.FlatMap(_asked, counts).with_output_types(
            tuple[str, NearFact]
        )
        members = (
            missing.pipeline
            | "Sources again" >> beam.Create(list(self._sources)).with_output_types(Source)
            | "Look again" >> beam.ParDo(LookAgain(self._settings), counts)
        )
        near = (
            (asked, members)
            | "Join by key" >> GroupMany(NearFact)
            | "Pair" >> beam.FlatMapTuple(_pair).with_output_types(tuple[str, NearFact])
        )
        itself = missing | "Itself" >> beam.Map(_itself).with_output_types(tuple[str, NearFact])
        named = beam.MapTuple(_named).with_output_types(tuple[str, Wanted])
        return (itself, near) | "Join by missing path" >> GroupMany(NearFact) | "Name" >> named


class LookAgain(FileStep):
    """Yields the members of a source that have a key in common with a few missing paths."""

    def process(self, source: Source, counts: Counts) -> Iterator[tuple[str, NearFact]]:
        if not counts:
            return
        with timed("catalog"):
            found = candidates(source, lambda key: _is_wanted(key, counts))
            for key, near in found:
                yield _text(key), NearFact(member=near)


def _slots(wanted: Wanted) -> Iterator[tuple[str, int]]:
    for key in dict.fromkeys(keys(wanted.path)):
        bucket, place = divmod(slot(key), SLOTS_PER_BUCKET)
        yield str(bucket), place


def _count(bucket: str, places: Iterable[int]) -> tuple[int, bytes]:
    counted = Counter(places)
    return int(bucket), bytes(min(255, counted[at]) for at in range(SLOTS_PER_BUCKET))


def _is_wanted(key: int, counts: Counts) -> bool:
    bucket, place = divmod(slot(key), SLOTS_PER_BUCKET)
    found = counts.get(bucket)
    return found is not None and 0 < found[place] <= MOST


def _asked(wanted: Wanted, counts: Counts) -> Iterator[tuple[str, NearFact]]:
    for key in dict.fromkeys(keys(wanted.path)):
        if _is_wanted(key, counts):
            yield _text(key), NearFact(path=wanted.path)


def _text(key: int) -> str:
    return f"{key:016x}"


def _pair(_key: str, facts: Iterable[NearFact]) -> Iterator[tuple[str, NearFact]]:
    facts = list(facts)
    paths = (fact.path for fact in facts if fact.path is not None)
    for path, near in pair(paths, (fact.member for fact in facts if fact.member)):
        yield path, NearFact(member=near)


def _itself(wanted: Wanted) -> tuple[str, NearFact]:
    return wanted.path, NearFact(wanted=wanted)


def _named(path: str, facts: Iterable[NearFact]) -> tuple[str, Wanted]:
    facts = list(facts)
    (wanted,) = (fact.wanted for fact in facts if fact.wanted)
    near = nearest(path, (fact.member for fact in facts if fact.member))
    return batch_of(path, None), Wanted(path, None, wanted.chunks, near)


assert SLOTS % SLOTS_PER_BUCKET == 0
