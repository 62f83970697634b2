"""The records that the page shows: read and shortened for statistics.json, and then drawn.

The page shows turns in pieces, thumbnails, and as many records as fit.
"""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from beam_mat.core.errors import BeamMatError, WorkerLostError
from beam_mat.core.record import parse
from beam_mat.core.reject import Reject
from beam_mat.core.results import ShardSummary
from beam_mat.core.statistics import ImageStatistics, Sample, Statistics, Tokens, shown
from beam_mat.core.thumbnail import Thumbnail, thumbnail
from beam_mat.core.trajectory import IMAGE, Fault, Prefixes, Reading, Trajectory
from beam_mat.dataset import image_table
from beam_mat.storage import files, inputs
from beam_mat.work.images import image_workers

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

MAX_PICTURES = 4
"""Images of a trajectory that the page shows. For the others it shows only the path."""
SIDE = 176
"""Pixels of a thumbnail's longer side. The page shows it at most this large."""
MAX_BYTES = 3_500_000
"""The limit for all examples. It keeps the whole page below 5 MB for any records."""

_PIECE = re.compile(r"```(?:py|python)?[ \t]*\n(?P<code>.*?)(?:\n[ \t]*```|\Z)|<image>", re.DOTALL)
_OBSERVATION = re.compile(r"\s*\[OUTPUT OF STEP \d+\]|\s*Observation:")


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


def find(
    records: Statistics,
    images: ImageStatistics,
    rewrites: Prefixes,
    shards: Mapping[str, ShardSummary],
) -> Findings:
    """Reads the sampled records from the shards, with the rewrites of their acceptance.

    `shards` are by URI. Raises SourceError if a shard has changed since.
    """
    records = records.ordered()
    systems: dict[str, int] = {}
    examples = tuple(_examples(shown(records.samples), rewrites, systems, shards))
    rejects = tuple(_rejects(records.rejects, shards))
    return Findings(records, images, tuple(systems), examples, rejects)


def _examples(
    samples: Sequence[Sample],
    rewrites: Prefixes,
    systems: dict[str, int],
    shards: Mapping[str, ShardSummary],
) -> Iterator[Example]:
    bodies = inputs.excerpts((shards[one.source], one.start, one.end) for one in samples)
    for sample, body in zip(samples, bodies, strict=True):
        shard = shards[sample.source]
        found = parse(body, Reading(shard.schema, rewrites, shard.prefix))
        # The workers have parsed the same bytes in the same way without a fault.
        assert not isinstance(found, Fault), found
        turns = tuple(_turns(found))
        yield Example(
            id=sample.id or "",
            source=sample.source,
            index=sample.index,
            system=_number(found.system, systems),
            turns=turns,
            left_out=len(found.turns + found.answers) - len(turns),
            images=sample.images,
            tokens=sample.tokens,
            tools=sample.tools,
        )


def _turns(trajectory: Trajectory) -> Iterator[ShownTurn]:
    room = MAX_TEXT
    paths = iter(trajectory.images)
    for turn in (trajectory.turns + trajectory.answers)[:MAX_TURNS]:
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


def _rejects(rejects: Sequence[Reject], shards: Mapping[str, ShardSummary]) -> Iterator[Reject]:
    bodies = inputs.excerpts(
        (shards[one.source], one.start, min(one.end, one.start + EXCERPT_BYTES)) for one in rejects
    )
    for reject, body in zip(rejects, bodies, strict=True):
        text = body.decode("utf-8", "backslashreplace")
        cut = len(body) < reject.end - reject.start
        yield msgspec.structs.replace(reject, record=text, record_truncated=cut)


def speaker(turn: ShownTurn) -> str:
    """The speaker: user, assistant or observation. MAT puts the output of tools in user turns."""
    if turn.role == "user" and _OBSERVATION.match(turn.text):
        return "observation"
    return turn.role


def pieces(turn: ShownTurn) -> Iterator[tuple[str, str]]:
    """Splits a turn into pieces: text, code or image, and the text or the image's path.

    Images whose placeholders were truncated come last.
    """
    paths = iter(turn.images)
    at = 0
    for found in _PIECE.finditer(turn.text):
        code = found["code"]
        if code is None and turn.role != "user":
            continue  # part of the model's answer, not a placeholder
        yield from _text(turn.text[at : found.start()])
        at = found.end()
        if code is not None:
            yield "code", code
        marks = 1 if code is None else code.count(IMAGE) if turn.role == "user" else 0
        for path in itertools.islice(paths, marks):
            yield "image", path
    yield from _text(turn.text[at:])
    for path in paths:
        yield "image", path


def _text(text: str) -> Iterator[tuple[str, str]]:
    text = text.strip()
    if text:
        yield "text", text


def draw(
    found: Findings, thumbnails: Mapping[str, Thumbnail], card: Any
) -> tuple[list[str], dict[str, Thumbnail]]:
    """Renders as many accepted records as fit, and then all rejected records, which are few.

    Returns their HTML and the thumbnails that they show. `card` is the module of card.html.
    """
    rejected = [card.rejected(reject) for reject in found.rejects]
    room = MAX_BYTES - sum(map(_size, rejected))
    accepted: list[str] = []
    pictures: dict[str, Thumbnail] = {}
    # Records with images come first because they are the most interesting.
    for example in sorted(found.examples, key=lambda example: example.images == 0):
        own = {path: thumbnails[path] for path in _images_of(example) if path in thumbnails}
        html = card.accepted(example, own)
        new = own.keys() - pictures.keys()
        size = _size(html) + sum(len(own[path].url) + 100 for path in new)
        if size <= room:
            room -= size
            pictures |= own
            accepted.append(html)
    return accepted + rejected, pictures


def _size(text: str) -> int:
    return len(text.encode("utf-8", "backslashreplace"))


def _images_of(example: Example) -> list[str]:
    """The paths of the images that the page shows of an example, each once."""
    paths = dict.fromkeys(path for turn in example.turns for path in turn.images)
    return list(paths)[:MAX_PICTURES]


def thumbnails(output: str, examples: Sequence[Example]) -> dict[str, Thumbnail]:
    """Makes thumbnails of the images of the examples that can be read, by path.

    The dataset at `output` must have its images, but no manifest yet.
    """
    paths = list(dict.fromkeys(path for example in examples for path in _images_of(example)))
    named = image_table.find_files(output, paths)

    def read(path: str) -> bytes | None:
        try:
            uri = files.join(output, named[path])
            files.refuse_links(uri, output)  # the page must not contain a picture from elsewhere
            return files.read_bytes(uri)
        except (KeyError, OSError, BeamMatError):  # `verify` reports damaged images
            return None

    def readable() -> Iterator[tuple[str, int, bytes]]:
        reads = files.in_order((output, 0, partial(read, path)) for path in paths)
        for path, data in zip(paths, reads, strict=True):
            if data is not None:
                yield path, len(data), data

    try:
        made = dict(image_workers().map(thumbnail, SIDE, readable()))
    except WorkerLostError:  # a page without pictures is better than a job that fails
        return {}
    found = ((path, made.get(path)) for path in paths)
    return {path: small for path, small in found if isinstance(small, Thumbnail)}
