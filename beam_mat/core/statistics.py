"""What a dataset's records are like, in numbers and in a sample: small, and added up by chunks.

Every worker leaves the statistics of its chunk in the chunk's note. The sample holds references to
records, and is chosen by a hash of their ids: the same records give the same sample, in whatever
order they are added up.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple, TypeVar

import msgspec

from beam_mat.core.raw import RawRecord
from beam_mat.core.record import Trajectory
from beam_mat.core.reject import Reason, Reject
from beam_mat.core.tools import calls

SAMPLED_WITH_IMAGES = 24
SAMPLED_TEXT_ONLY = 8
SAMPLED_A_TOOL = 3
SAMPLED_A_REASON = 4
MAX_SAMPLES = 120
MAX_TOOLS = 200
MAX_DETAIL = 500
"""Characters of what was found in a rejected record."""

K = TypeVar("K", int, str)
V = TypeVar("V")

Histogram = dict[int, int]
"""How many values fall into each bucket, by the least value of the bucket."""

Tokens = tuple[int, int]
"""Tokens of images: for Qwen2-VL and Qwen2.5-VL, and for Qwen3-VL."""


def bucket(value: int, bits: int = 6) -> int:
    """The least value of a value's bucket: the value with all but its first `bits` bits cleared.

    So buckets are exact below 64 and about three percent wide above, and their bounds hold every
    number like 2048 or 10240 against which one wants to count.

    >>> bucket(40), bucket(1000), bucket(10240)
    (40, 992, 10240)
    """
    shift = max(0, value.bit_length() - bits)
    return value >> shift << shift


def _count(histogram: Histogram, value: int) -> None:
    least = bucket(value)
    histogram[least] = histogram.get(least, 0) + 1


class ToolUse(msgspec.Struct, frozen=True, array_like=True):
    """How many records call a tool, and how often they do."""

    records: int
    calls: int


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """A reference to an accepted record that may be shown.

    Attributes:
        key: A hash of its id; the least keys are taken.
        id: Its id.
        source: URI of its shard.
        index: Its place in the shard, from 0.
        start, end: Its bytes in the shard.
        images: How many images it has.
        tokens: What they take.
        tools: The tools that it calls.
    """

    key: str
    id: str
    source: str
    index: int
    start: int
    end: int
    images: int
    tokens: Tokens
    tools: tuple[str, ...]

    def groups(self) -> Iterable[tuple[str, int]]:
        """The groups that it can stand for, and how many of each are wanted."""
        yield ("images", SAMPLED_WITH_IMAGES) if self.images else ("text", SAMPLED_TEXT_ONLY)
        for tool in self.tools:
            yield f"tool {tool}", SAMPLED_A_TOOL


class Statistics(msgspec.Struct):
    """Of accepted records, histograms, tools and a sample; of rejected ones, examples.

    Attributes:
        turns: User and assistant turns of a record.
        text: Characters of a record, its system prompt included.
        images: Images of a record.
        qwen2_vl_tokens, qwen3_vl_tokens: Tokens that a record's images take.
        tools: By name.
        samples: Accepted records to show.
        rejects: Rejected records to show, without the records themselves.
    """

    turns: Histogram = {}  # msgspec copies it, like those below
    text: Histogram = {}
    images: Histogram = {}
    qwen2_vl_tokens: Histogram = {}
    qwen3_vl_tokens: Histogram = {}
    tools: dict[str, ToolUse] = {}
    samples: list[Sample] = []
    rejects: list[Reject] = []

    def merge(self, other: Statistics) -> None:
        """Adds those of other records."""
        for mine, theirs in zip(self.histograms(), other.histograms(), strict=True):
            for least, count in theirs.items():
                mine[least] = mine.get(least, 0) + count
        for name, use in other.tools.items():
            known = self.tools.get(name, ToolUse(0, 0))
            self.tools[name] = ToolUse(known.records + use.records, known.calls + use.calls)
        self.samples = choose(self.samples + other.samples)
        self.rejects = choose_rejects(self.rejects + other.rejects)

    def ordered(self) -> Statistics:
        """The same, in the order in which it is written down; of too many tools the most used."""
        by_use = sorted(self.tools.items(), key=lambda item: (-item[1].records, item[0]))
        return Statistics(
            _sorted(self.turns),
            _sorted(self.text),
            _sorted(self.images),
            _sorted(self.qwen2_vl_tokens),
            _sorted(self.qwen3_vl_tokens),
            dict(by_use[:MAX_TOOLS]),
            self.samples,
            self.rejects,
        )

    def histograms(self) -> tuple[Histogram, ...]:
        """All of them, as the attributes name them."""
        return self.turns, self.text, self.images, self.qwen2_vl_tokens, self.qwen3_vl_tokens


def _sorted(by_key: dict[K, V]) -> dict[K, V]:
    return dict(sorted(by_key.items()))


class ImageFile(NamedTuple):
    """One image file."""

    format: str
    width: int
    height: int
    bytes: int


class ConvertedImage(NamedTuple):
    """A usable image as it came and as it was written."""

    before: ImageFile
    after: ImageFile


class Amount(msgspec.Struct, frozen=True, array_like=True):
    """So many files with so many bytes in all."""

    files: int = 0
    bytes: int = 0


class ImageStatistics(msgspec.Struct):
    """Of a dataset's usable images, each counted once.

    Attributes:
        formats_before, formats_after: Files and bytes by format.
        pixels_before, pixels_after: Width times height.
    """

    formats_before: dict[str, Amount] = {}  # msgspec copies it, like those below
    formats_after: dict[str, Amount] = {}
    pixels_before: Histogram = {}
    pixels_after: Histogram = {}

    def add(self, image: ConvertedImage) -> None:
        """Counts an image."""
        for file, formats, pixels in (
            (image.before, self.formats_before, self.pixels_before),
            (image.after, self.formats_after, self.pixels_after),
        ):
            known = formats.get(file.format, Amount())
            formats[file.format] = Amount(known.files + 1, known.bytes + file.bytes)
            _count(pixels, file.width * file.height)

    def ordered(self) -> ImageStatistics:
        """The same, in the order in which it is written down."""
        return ImageStatistics(
            _sorted(self.formats_before),
            _sorted(self.formats_after),
            _sorted(self.pixels_before),
            _sorted(self.pixels_after),
        )


class Counting:
    """Takes in the records of one chunk, one after the other."""

    def __init__(self) -> None:
        self._found = Statistics()
        self._records = Counter[str]()
        self._calls = Counter[str]()
        self._samples: list[Sample] = []
        self._rejects: list[Reject] = []

    def accept(self, record: RawRecord, trajectory: Trajectory, tokens: Tokens) -> None:
        """An accepted record, and what its images take."""
        answers = [turn.content for turn in trajectory.turns if turn.role == "assistant"]
        called = calls(trajectory.system, answers)
        for name, often in called.items():
            self._records[name] += 1
            self._calls[name] += often
        text = len(trajectory.system) + sum(len(turn.content) for turn in trajectory.turns)
        values = (len(trajectory.turns), text, len(trajectory.images), *tokens)
        for histogram, value in zip(self._found.histograms(), values, strict=True):
            _count(histogram, value)
        self._samples.append(
            Sample(
                key=_key(trajectory.id),
                id=trajectory.id,
                source=record.chunk.shard.uri,
                index=record.index,
                start=record.start,
                end=record.end,
                images=len(trajectory.images),
                tokens=tokens,
                tools=tuple(sorted(called)),
            )
        )

    def reject(self, reject: Reject) -> None:
        """A rejected record."""
        detail = reject.detail
        if len(detail) > MAX_DETAIL:
            detail = detail[:MAX_DETAIL] + "…"
        self._rejects.append(msgspec.structs.replace(reject, record="", detail=detail))

    def result(self) -> Statistics:
        """Of all records so far."""
        found = self._found
        found.tools = {
            name: ToolUse(self._records[name], self._calls[name]) for name in self._calls
        }
        found.samples = choose(self._samples)
        found.rejects = choose_rejects(self._rejects)
        return found.ordered()


def choose(samples: Iterable[Sample]) -> list[Sample]:
    """The first of each group by key, each id once.

    What is dropped of some records is not among the first of all, so that choosing among what was
    chosen of the parts gives what choosing among all would give.
    """
    chosen: list[Sample] = []
    taken = Counter[str]()
    ids = set[str]()
    for sample in sorted(samples, key=lambda one: (one.key, one.source, one.index)):
        if sample.id in ids or len(chosen) == MAX_SAMPLES:
            continue
        wanted = [group for group, most in sample.groups() if taken[group] < most]
        if wanted:
            ids.add(sample.id)
            chosen.append(sample)
        taken.update(group for group, _ in sample.groups())
    return chosen


def choose_rejects(rejects: Iterable[Reject]) -> list[Reject]:
    """Some of each reason, each id once, in the order of `Reason`."""
    chosen: dict[Reason, dict[str, Reject]] = {reason: {} for reason in Reason}
    for reject in sorted(rejects, key=_reject_key):
        known = chosen[reject.reason]
        if len(known) < SAMPLED_A_REASON:
            known.setdefault(_name(reject), reject)
    return [reject for known in chosen.values() for reject in known.values()]


def _reject_key(reject: Reject) -> tuple[str, str, int]:
    return _key(_name(reject)), reject.source, reject.index


def _name(reject: Reject) -> str:
    return reject.id if reject.id is not None else f"{reject.source}\n{reject.index}"


def _key(name: str) -> str:
    # Not the hash that decides on the split, or all that is shown would be of one side.
    return hashlib.sha256(f"sample\n{name}".encode()).hexdigest()[:16]
