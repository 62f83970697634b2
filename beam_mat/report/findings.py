"""statistics.json: what the workers counted, and the records of the sample, shortened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from beam_mat.core.image_statistics import ImageStatistics
from beam_mat.core.record import Fault, Prefixes, Trajectory, parse
from beam_mat.core.reject import Reject
from beam_mat.core.sampling import Sample, Tokens
from beam_mat.core.statistics import Statistics
from beam_mat.core.text import placeholders
from beam_mat.storage import files

MAX_TURN = 3000
"""Characters of a turn that are kept."""
MAX_TURNS = 40
MAX_TEXT = 24_000
"""Characters of a trajectory that are kept."""
MAX_SYSTEM = 20_000
MAX_SYSTEMS = 8
"""System prompts that are kept; MAT's records share one."""
EXCERPT_BYTES = 1500
"""Bytes of a rejected record that are kept."""


class ShownTurn(msgspec.Struct, frozen=True):
    """A turn of an example.

    Attributes:
        role: user or assistant.
        text: The beginning of its text.
        left_out: Characters that follow.
        images: The paths that its placeholders stand for, below ``images/``.
    """

    role: str
    text: str
    left_out: int
    images: tuple[str, ...]


class Example(msgspec.Struct, frozen=True):
    """An accepted record to show.

    Attributes:
        id, source, index: As in the sample.
        system: Number of its system prompt in `Findings.systems`, or None.
        turns: The first of its turns.
        left_out: Turns that follow.
        images: How many images it has.
        tokens: What they take.
        tools: The tools that it calls.
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
    """The file's content; see docs/outputs.md.

    Attributes:
        records: Of the records.
        images: Of the images.
        systems: System prompts of the examples.
        examples: Accepted records, for `records.samples`.
        rejects: Rejected records with the beginning of each.
    """

    records: Statistics
    images: ImageStatistics
    systems: tuple[str, ...]
    examples: tuple[Example, ...]
    rejects: tuple[Reject, ...]


def find(records: Statistics, images: ImageStatistics, prefixes: Prefixes) -> Findings:
    """Reads the sampled records, and nothing else, from the shards.

    Args:
        records: What was counted of the records, all chunks together.
        images: What was counted of the images.
        prefixes: As they were when the records were accepted.

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
        # Of the same bytes and prefixes the workers have made a trajectory.
        assert not isinstance(found, Fault), found
        yield _example(sample, found, systems)


def _example(sample: Sample, trajectory: Trajectory, systems: dict[str, int]) -> Example:
    turns = tuple(_turns(trajectory))
    return Example(
        id=sample.id,
        source=sample.source,
        index=sample.index,
        system=_number(trajectory.system, systems),
        turns=turns,
        left_out=len(trajectory.turns) - len(turns),
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
        marks = placeholders(turn.content) if turn.role == "user" else []
        images = tuple(next(paths) for _ in marks)
        yield ShownTurn(turn.role, text, len(turn.content) - len(text), images)


def _number(system: str, systems: dict[str, int]) -> int | None:
    if not system:
        return None
    shown = system if len(system) <= MAX_SYSTEM else system[:MAX_SYSTEM] + "…"
    if shown not in systems and len(systems) == MAX_SYSTEMS:
        return None
    return systems.setdefault(shown, len(systems))


def _rejects(rejects: Sequence[Reject]) -> Iterator[Reject]:
    bodies = files.read_ranges(map(_beginning, rejects))
    for reject, body in zip(rejects, bodies, strict=True):
        text = body.decode("utf-8", "backslashreplace")
        cut = len(body) < reject.end - reject.start
        yield msgspec.structs.replace(reject, record=text, record_truncated=cut)


def _beginning(reject: Reject) -> files.Range:
    return reject.source, reject.start, min(reject.end, reject.start + EXCERPT_BYTES)
