"""statistics.json: the workers' statistics, and the records of the sample in shortened form."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import msgspec

from beam_mat.core.record import IMAGE, Fault, Prefixes, Trajectory, parse
from beam_mat.core.reject import Reject
from beam_mat.core.statistics import ImageStatistics, Sample, Statistics, Tokens
from beam_mat.storage import files

MAX_TURN = 3000
"""Characters of a turn that are kept."""
MAX_TURNS = 40
MAX_TEXT = 24_000
"""Characters of a trajectory that are kept."""
MAX_SYSTEM = 20_000
MAX_SYSTEMS = 8
"""System prompts that are kept. All records of MAT have the same one."""
EXCERPT_BYTES = 1500
"""Bytes of a rejected record that are kept."""


class ShownTurn(msgspec.Struct, frozen=True):
    """A turn of an example: the beginning of its text, and the number of characters after it.

    `images` are the published paths of the images at the turn's placeholders.
    """

    role: str
    text: str
    left_out: int
    images: tuple[str, ...]


class Example(msgspec.Struct, frozen=True):
    """An accepted record to show: its `Sample`, its first turns, and how many follow these.

    `system` is the index of the record's system prompt in `Findings.systems`, or None.
    """

    id: str
    source: str
    index: int
    system: int | None
    turns: tuple[ShownTurn, ...]
    left_out: int
    images: int
    tokens: Tokens
    tools: tuple[str, ...]


class Findings(msgspec.Struct, frozen=True):
    """The contents of statistics.json, see docs/outputs.md.

    `systems` are the system prompts of the examples. `rejects` have the beginning of their record.
    """

    records: Statistics
    images: ImageStatistics
    systems: tuple[str, ...]
    examples: tuple[Example, ...]
    rejects: tuple[Reject, ...]


def find(records: Statistics, images: ImageStatistics, prefixes: Prefixes) -> Findings:
    """Reads the sampled records from the shards, with the prefixes of their acceptance.

    Raises:
        SourceError: A shard has changed since.
    """
    records = records.ordered()
    systems: dict[str, int] = {}
    examples = tuple(_examples(records.samples, prefixes, systems))
    return Findings(records, images, tuple(systems), examples, tuple(_rejects(records.rejects)))


def _examples(
    samples: Sequence[Sample], prefixes: Prefixes, systems: dict[str, int]
) -> Iterator[Example]:
    bodies = files.read_ranges((one.source, one.start, one.end) for one in samples)
    for sample, body in zip(samples, bodies, strict=True):
        found = parse(body, prefixes)
        # The workers have parsed the same bytes with the same prefixes without a fault.
        assert not isinstance(found, Fault), found
        turns = tuple(_turns(found))
        yield Example(
            id=sample.id,
            source=sample.source,
            index=sample.index,
            system=_number(found.system, systems),
            turns=turns,
            left_out=len(found.turns) - len(turns),
            images=sample.images,
            tokens=sample.tokens,
            tools=sample.tools,
        )


def _turns(trajectory: Trajectory) -> Iterator[ShownTurn]:
    room = MAX_TEXT
    paths = iter(trajectory.images)
    for turn in trajectory.turns[:MAX_TURNS]:
        if room <= 0:
            return
        text = turn.content[: min(MAX_TURN, room)]
        room -= len(text)
        images = tuple(itertools.islice(paths, turn.content.count(IMAGE)))
        yield ShownTurn(turn.role, text, len(turn.content) - len(text), images)


def _number(system: str, systems: dict[str, int]) -> int | None:
    shown = system if len(system) <= MAX_SYSTEM else system[:MAX_SYSTEM] + "…"
    if not system or (shown not in systems and len(systems) == MAX_SYSTEMS):
        return None
    return systems.setdefault(shown, len(systems))


def _rejects(rejects: Sequence[Reject]) -> Iterator[Reject]:
    bodies = files.read_ranges(
        (one.source, one.start, min(one.end, one.start + EXCERPT_BYTES)) for one in rejects
    )
    for reject, body in zip(rejects, bodies, strict=True):
        text = body.decode("utf-8", "backslashreplace")
        cut = len(body) < reject.end - reject.start
        yield msgspec.structs.replace(reject, record=text, record_truncated=cut)
