"""Joins requested paths with image sources. Each image that is found is converted once."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import apache_beam as beam

from beam_mat.core.member import Member, Packing
from beam_mat.core.results import ChunkFact, ImageOutcome, PathFact, Source, Wanted
from beam_mat.core.settings import Settings
from beam_mat.storage import catalog, inputs, requests
from beam_mat.transforms.step import FileStep, ProgressStep, count, timed
from beam_mat.work.images import ConvertedBatch, batch_of, convert_batch


@beam.typehints.with_input_types(Source)
@beam.typehints.with_output_types(tuple[str, PathFact])
class ListMembers(FileStep):
    """Yields the members of a zip or folder, by path."""

    def process(self, source: Source) -> Iterator[tuple[str, PathFact]]:
        members = catalog.members(source.uri, source.order)
        with timed("catalog"):
            first = next(members, None)  # the listing is read here
        held = requests.pool().submit(inputs.require_unchanged, source)
        for member in itertools.chain([first] if first else [], members):
            yield member.path, PathFact(member=member)
        held.result()  # the request ran in the meantime


@beam.typehints.with_input_types(tuple[str, Iterable[PathFact]])
@beam.typehints.with_output_types(tuple[str, Wanted])
class Match(ProgressStep):
    """Selects the first source's member for each requested path, and keys it by its batch."""

    def process(self, element: tuple[str, Iterable[PathFact]]) -> Iterator[tuple[str, Wanted]]:
        path, facts = element[0], list(element[1])
        chunks = tuple(sorted(fact.chunk for fact in facts if fact.chunk))
        if not chunks:
            return
        members = (fact.member for fact in facts if fact.member)
        member = min(members, key=lambda member: member.order, default=None)
        self._progress.add(wanted=1)
        yield batch_of(path, member), Wanted(path, member, chunks)


@beam.typehints.with_input_types(tuple[str, Iterable[Wanted]])
@beam.typehints.with_output_types(tuple[str, ChunkFact])
class ConvertImages(ProgressStep):
    """Converts the images of a batch, and yields their outcomes for each waiting chunk.

    `sources` are all image sources of the job.
    """

    def __init__(self, settings: Settings, sources: Iterable[Source]) -> None:
        super().__init__(settings)
        self._sources = {source.order: source for source in sources}

    def process(self, element: tuple[str, Iterable[Wanted]]) -> Iterator[tuple[str, ChunkFact]]:
        batch, wanted = element[0], sorted(element[1], key=lambda item: item.path)
        with timed("images"):
            made = convert_batch(self._settings, batch, wanted, self._source_of, self._converted)
        self._progress.flush()  # bundles of a service can be long
        yield from outcomes(wanted, made)

    def _source_of(self, member: Member) -> tuple[str, str]:
        source = self._sources[member.order]
        return source.uri, "" if member.packing is Packing.FILE else source.version


def outcomes(wanted: Sequence[Wanted], made: ConvertedBatch) -> Iterator[tuple[str, ChunkFact]]:
    """Yields the outcomes of a batch, grouped by the chunks that wait for its images."""
    chunks = {item.path: item.chunks for item in wanted}
    by_chunk = defaultdict[str, list[ImageOutcome]](list)
    for row in made.rows:
        outcome = row.outcome()
        count("images_ok" if outcome.fault is None else "images_faulty")
        for name in chunks[row.path]:
            by_chunk[name].append(outcome)
    for name, found in by_chunk.items():
        yield name, ChunkFact(outcomes=tuple(found), table=made.table)
