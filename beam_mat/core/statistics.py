"""Statistics of records and images, and a sample of the records for the report.

Each worker writes the statistics of its work next to its other results. They are small, and their
sums do not depend on the order in which they are merged.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, TypeVar

import msgspec

from beam_mat.core.chunk import RawRecord
from beam_mat.core.reject import Reason, Reject
from beam_mat.core.trajectory import Trajectory

MAX_TOOLS = 200
MAX_KEYS = 200
"""Unknown keys that are counted by name."""
SAMPLED_WITH_IMAGES = 24
SAMPLED_TEXT_ONLY = 8
SAMPLED_A_TOOL = 3
SAMPLED_A_REASON = 4
MAX_SAMPLES = 120
"""Records that the report shows."""
MAX_KEPT = 1000
"""Records that are kept to choose from. Only hostile records call so many tools."""
SHOWN_PIXEL_BOXES = 3
_TYPEABLE = re.compile(r"[^\x00-\x1f\x7f]{1,100}")
"""Ids that can be arguments of a command."""
MAX_DETAIL = 500
"""Characters of a reject's `detail` that are kept."""

# MAT's system prompts list the tools, and its answers call them in Python.
_MAX_NAME = 64
_LISTED = re.compile(rf"^- `?([A-Za-z_]\w{{0,{_MAX_NAME - 1}}})`?[:(]", re.MULTILINE)
_CALLED = re.compile(r"(?<![\w.])([A-Za-z_]\w*)\Z")
_FENCE = "```"
_LANGUAGES = ("", "py", "python")

Histogram = dict[int, int]
"""Maps the lowest value of each bucket to the number of values in the bucket."""

Tokens = tuple[int, int]
"""Number of image tokens: for Qwen2-VL and Qwen2.5-VL, and for Qwen3-VL."""


def bucket(value: int, bits: int = 6) -> int:
    """The lowest value of a value's bucket: the value with all but its first `bits` bits cleared.

    Buckets below 64 hold one value, and larger ones are about three percent wide. Common limits
    such as 2048 and 10240 are bucket boundaries, so values can be counted against them.

    >>> bucket(40), bucket(1000), bucket(10240)
    (40, 992, 10240)
    """
    shift = max(0, value.bit_length() - bits)
    return value >> shift << shift


class ToolUse(msgspec.Struct, frozen=True, array_like=True):
    """The number of records that call a tool, and the total number of calls."""

    records: int
    calls: int

    def __add__(self, other: ToolUse) -> ToolUse:
        return ToolUse(self.records + other.records, self.calls + other.calls)


class Amount(msgspec.Struct, frozen=True, array_like=True):
    """A number of files and their total size in bytes."""

    files: int = 0
    bytes: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.files + other.files, self.bytes + other.bytes)


class PixelBoxes(msgspec.Struct, frozen=True, array_like=True):
    """The number of records whose boxes may not fit their resized images, and a few of their ids.

    See `core.boxes.has_pixel_box`.
    """

    records: int = 0
    examples: tuple[str, ...] = ()

    def __add__(self, other: PixelBoxes) -> PixelBoxes:
        ids = {id for id in self.examples + other.examples if _TYPEABLE.fullmatch(id)}
        examples = sorted(ids, key=key_of)[:SHOWN_PIXEL_BOXES]
        return PixelBoxes(self.records + other.records, tuple(examples))


_Key = TypeVar("_Key", int, str)
_Value = TypeVar("_Value", int, ToolUse, Amount)


def _add(sums: dict[_Key, _Value], more: Mapping[_Key, _Value]) -> None:
    for key, value in more.items():
        sums[key] = sums[key] + value if key in sums else value


def most_frequent(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Adds up counts, and returns those of the `MAX_KEYS` most frequent keys, the highest first."""
    sums: dict[str, int] = {}
    for some in counts:
        _add(sums, some)
    return dict(sorted(sums.items(), key=lambda item: (-item[1], item[0]))[:MAX_KEYS])


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """A reference to an accepted record that the report may show.

    `key` is a hash of the id; records with the lowest keys are chosen. `index`, `start` and `end`
    are the position in the shard `source`. `tokens` are those of the images, `tools` the names of
    the tools that the record calls.
    """

    key: str
    id: str | None
    source: str
    index: int
    start: int
    end: int
    images: int
    tokens: Tokens
    tools: tuple[str, ...]

    def groups(self) -> Iterable[tuple[str, int]]:
        """The groups of which it can be an example, and how many examples each group needs."""
        yield ("images", SAMPLED_WITH_IMAGES) if self.images else ("text", SAMPLED_TEXT_ONLY)
        for tool in self.tools:
            yield f"tool {tool}", SAMPLED_A_TOOL


def choose(samples: Iterable[Sample]) -> list[Sample]:
    """Chooses the ids with the lowest keys from each group, and of each its first record there.

    Choosing from the samples of several parts gives the same result as choosing from all records.
    """
    in_order = sorted(samples, key=lambda one: (one.key, one.source, one.index))
    taken: dict[str, set[str]] = {}
    chosen = []
    for sample in in_order:
        wanted = False
        for group, most in sample.groups():
            ids = taken.setdefault(group, set())
            if len(ids) < most and sample.key not in ids:
                ids.add(sample.key)
                wanted = True
        if wanted:
            chosen.append(sample)
    return chosen[:MAX_KEPT]


def shown(samples: Iterable[Sample]) -> list[Sample]:
    """Returns the records to show: of each id the first one, and at most `MAX_SAMPLES`."""
    by_id: dict[str, Sample] = {}
    for sample in choose(samples):
        by_id.setdefault(sample.key, sample)
    return list(by_id.values())[:MAX_SAMPLES]


def choose_rejects(rejects: Iterable[Reject]) -> list[Reject]:
    """Chooses a few rejects of each reason, each id once, in the order of `Reason`."""
    chosen: dict[Reason, dict[str, Reject]] = {reason: {} for reason in Reason}
    for reject in sorted(rejects, key=lambda one: (key_of(_name(one)), one.source, one.index)):
        known = chosen[reject.reason]
        if len(known) < SAMPLED_A_REASON:
            known.setdefault(_name(reject), reject)
    return [reject for known in chosen.values() for reject in known.values()]


def _name(reject: Reject) -> str:
    return reject.id if reject.id is not None else f"{reject.source}\n{reject.index}"


def key_of(name: str) -> str:
    """The hash by which records are chosen: 16 hexadecimal digits."""
    # This differs from the hash that decides on the split. Otherwise all samples would come from
    # the same split.
    return hashlib.sha256(f"sample\n{name}".encode()).hexdigest()[:16]


def offered(system: str) -> frozenset[str]:
    r"""The names of the tools that a system prompt lists, one per line.

    >>> sorted(offered("Your tools:\n- visualizer: looks.\n- search(query: str) -> str: finds."))
    ['search', 'visualizer']
    """
    return _offered(system) if len(system) <= _CACHED else _listed(system)


def _listed(system: str) -> frozenset[str]:
    return frozenset(_LISTED.findall(system))


_offered = functools.lru_cache(maxsize=16)(_listed)
_CACHED = 1 << 16
"""Characters of a prompt that is remembered. The cache takes a few MB, whatever the prompts are."""


def calls(system: str, answers: Iterable[str]) -> Counter[str]:
    r"""Counts the calls of each listed tool in the code blocks of the answers.

    For speed, the code is not parsed: what looks like a call in a string or a comment counts too.
    At most `MAX_TOOLS` tools are returned, the most called first.

    >>> calls("- search: finds.", ["Thought: search(1)\n```py\nprint(search(2))\n```"])
    Counter({'search': 1})
    """
    tools = offered(system)
    if not tools:
        return Counter()
    ends = {" ", "\t", *(name[-1] for name in tools)}
    found = Counter[str]()
    for answer in answers:
        for start, end in _code(answer):
            at = answer.find("(", start, end)
            while at >= 0:
                # A cheap test first: few parentheses follow the name of a tool.
                if at > start and answer[at - 1] in ends:
                    before = answer[max(start, at - _MAX_NAME - 9) : at].rstrip(" \t")
                    called = _CALLED.search(before)
                    if called and called[1] in tools:
                        found[called[1]] += 1
                at = answer.find("(", at + 1, end)
    if len(found) > MAX_TOOLS:
        by_use = sorted(found.items(), key=lambda item: (-item[1], item[0]))
        return Counter(dict(by_use[:MAX_TOOLS]))
    return found


def _code(answer: str) -> Iterator[tuple[int, int]]:
    """Yields start and end of the Python code in each code block. The last one may be open."""
    start = answer.find(_FENCE)
    while start >= 0:
        start += len(_FENCE)
        end = answer.find(_FENCE, start)
        stop = len(answer) if end < 0 else end
        line = answer.find("\n", start, stop)
        if line >= 0 and answer[start:line].strip() in _LANGUAGES:
            yield line + 1, stop
        start = answer.find(_FENCE, stop + len(_FENCE)) if end >= 0 else -1


class Statistics(msgspec.Struct):
    """Histograms, tools and a sample of the accepted records, and examples of rejected records.

    The histograms are of numbers per record: user and assistant turns, characters including the
    system prompt, images, and image tokens. `unknown_keys` and `changes` are numbers of records,
    see `Trajectory`. The `record` of `rejects` is empty. `pixel_boxes` are the records whose boxes
    may not fit their resized images.
    """

    turns: Histogram = {}  # msgspec copies mutable defaults
    text: Histogram = {}
    images: Histogram = {}
    qwen2_vl_tokens: Histogram = {}
    qwen3_vl_tokens: Histogram = {}
    tools: dict[str, ToolUse] = {}
    unknown_keys: dict[str, int] = {}
    changes: dict[str, int] = {}
    samples: list[Sample] = []
    rejects: list[Reject] = []
    pixel_boxes: PixelBoxes = PixelBoxes()

    def accept(self, record: RawRecord, trajectory: Trajectory, tokens: Tokens) -> None:
        """Adds an accepted record. `tokens` is the number of tokens of its images."""
        turns = trajectory.turns + trajectory.answers
        answers = [turn.content for turn in turns if turn.role == "assistant"]
        called = calls(trajectory.system, answers)
        _add(self.tools, {name: ToolUse(1, often) for name, often in called.items()})
        text = len(trajectory.system) + sum(len(turn.content) for turn in turns)
        values = (len(turns), text, len(trajectory.images), *tokens)
        for histogram, value in zip(self._histograms(), values, strict=True):
            _add(histogram, {bucket(value): 1})
        _add(self.unknown_keys, dict.fromkeys(trajectory.unknown, 1))
        _add(self.changes, dict.fromkeys(trajectory.changes, 1))
        name = trajectory.id
        if name is None:
            name = f"{record.chunk.shard.uri}\n{record.index}"
        self.samples.append(
            Sample(
                key=key_of(name),
                id=trajectory.id,
                source=record.chunk.shard.uri,
                index=record.index,
                start=record.span.start,
                end=record.span.end,
                images=len(trajectory.images),
                tokens=tokens,
                tools=tuple(sorted(called)),
            )
        )

    def reject(self, reject: Reject) -> None:
        detail = reject.detail[:MAX_DETAIL] + ("…" if len(reject.detail) > MAX_DETAIL else "")
        self.rejects.append(msgspec.structs.replace(reject, record="", detail=detail))

    def merge(self, other: Statistics) -> None:
        for mine, theirs in zip(self._histograms(), other._histograms(), strict=True):
            _add(mine, theirs)
        for name in ("tools", "unknown_keys", "changes"):
            _add(getattr(self, name), getattr(other, name))
        self.samples = choose(self.samples + other.samples)
        self.rejects = choose_rejects(self.rejects + other.rejects)
        self.pixel_boxes += other.pixel_boxes

    def ordered(self) -> Statistics:
        """A copy in the order of files, with a sample of the records that were added.

        It has at most `MAX_TOOLS` tools, the most used first.
        """
        by_use = sorted(self.tools.items(), key=lambda item: (-item[1].records, item[0]))
        made = Statistics(
            tools=dict(by_use[:MAX_TOOLS]),
            unknown_keys=most_frequent([self.unknown_keys]),
            changes=most_frequent([self.changes]),
            samples=choose(self.samples),
            rejects=choose_rejects(self.rejects),
            pixel_boxes=self.pixel_boxes,
        )
        for histogram, mine in zip(made._histograms(), self._histograms(), strict=True):
            histogram.update(sorted(mine.items()))
        return made

    def _histograms(self) -> tuple[Histogram, ...]:
        return self.turns, self.text, self.images, self.qwen2_vl_tokens, self.qwen3_vl_tokens


class ImageFile(NamedTuple):
    """Format, width and height in pixels, and size in bytes of one image file."""

    format: str
    width: int
    height: int
    bytes: int


class ImageStatistics(msgspec.Struct):
    """Statistics of a dataset's usable images as read and as written, each counted once.

    There are files and bytes by format, and histograms of width times height.
    """

    formats_before: dict[str, Amount] = {}
    formats_after: dict[str, Amount] = {}
    pixels_before: Histogram = {}
    pixels_after: Histogram = {}

    def add(self, before: ImageFile, after: ImageFile) -> None:
        _add(self.formats_before, {before.format: Amount(1, before.bytes)})
        _add(self.formats_after, {after.format: Amount(1, after.bytes)})
        _add(self.pixels_before, {bucket(before.width * before.height): 1})
        _add(self.pixels_after, {bucket(after.width * after.height): 1})

    def merge(self, other: ImageStatistics) -> None:
        theirs = msgspec.structs.astuple(other)
        for mine, more in zip(msgspec.structs.astuple(self), theirs, strict=True):
            _add(mine, more)

    def ordered(self) -> ImageStatistics:
        """A copy with all keys sorted, which is the order in files."""
        tables = msgspec.structs.astuple(self)
        return ImageStatistics(*(dict(sorted(table.items())) for table in tables))
