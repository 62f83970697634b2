"""What a dataset's records are like, in numbers and in a sample: small, and added up by chunks.

Every worker leaves the statistics of its chunk in the chunk's note.
"""

from __future__ import annotations

from collections import Counter

import msgspec

from beam_mat.core.histogram import Histogram, count, merge, ordered
from beam_mat.core.raw import RawRecord
from beam_mat.core.record import Trajectory
from beam_mat.core.reject import Reject
from beam_mat.core.sampling import (
    MAX_DETAIL,
    Sample,
    Tokens,
    choose,
    choose_rejects,
    key_of,
)
from beam_mat.core.tools import calls

MAX_TOOLS = 200


class ToolUse(msgspec.Struct, frozen=True, array_like=True):
    """How many records call a tool, and how often they do."""

    records: int
    calls: int


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
            merge(mine, theirs)
        for name, use in other.tools.items():
            known = self.tools.get(name, ToolUse(0, 0))
            self.tools[name] = ToolUse(known.records + use.records, known.calls + use.calls)
        self.samples = choose(self.samples + other.samples)
        self.rejects = choose_rejects(self.rejects + other.rejects)

    def ordered(self) -> Statistics:
        """The same, in the order in which it is written down; of too many tools the most used."""
        by_use = sorted(self.tools.items(), key=lambda item: (-item[1].records, item[0]))
        return Statistics(
            ordered(self.turns),
            ordered(self.text),
            ordered(self.images),
            ordered(self.qwen2_vl_tokens),
            ordered(self.qwen3_vl_tokens),
            dict(by_use[:MAX_TOOLS]),
            self.samples,
            self.rejects,
        )

    def histograms(self) -> tuple[Histogram, ...]:
        """All of them, as the attributes name them."""
        return self.turns, self.text, self.images, self.qwen2_vl_tokens, self.qwen3_vl_tokens


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
            count(histogram, value)
        self._samples.append(
            Sample(
                key=key_of(trajectory.id),
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
