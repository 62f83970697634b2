"""Statistics and a sample of a dataset's records. They are small and can be merged.

Each worker writes the statistics of a chunk next to the chunk's other results.
"""

from __future__ import annotations

import msgspec

from beam_mat.core.histogram import Histogram, count, merge, ordered
from beam_mat.core.raw import RawRecord
from beam_mat.core.record import Trajectory
from beam_mat.core.reject import Reject
from beam_mat.core.sampling import MAX_DETAIL, Sample, Tokens, choose, choose_rejects, key_of
from beam_mat.core.tools import calls

MAX_TOOLS = 200


class ToolUse(msgspec.Struct, frozen=True, array_like=True):
    """The number of records that call a tool, and the total number of calls."""

    records: int
    calls: int


class Statistics(msgspec.Struct):
    """Histograms, tools and a sample of the accepted records, and examples of rejected records.

    Attributes:
        turns: User and assistant turns per record.
        text: Characters per record, including the system prompt.
        images: Images per record.
        qwen2_vl_tokens, qwen3_vl_tokens: Image tokens per record.
        tools: The use of each tool, by name.
        samples: Accepted records to show.
        rejects: Rejected records to show. Their `record` is empty.
    """

    turns: Histogram = {}  # msgspec copies mutable defaults
    text: Histogram = {}
    images: Histogram = {}
    qwen2_vl_tokens: Histogram = {}
    qwen3_vl_tokens: Histogram = {}
    tools: dict[str, ToolUse] = {}
    samples: list[Sample] = []
    rejects: list[Reject] = []

    def accept(self, record: RawRecord, trajectory: Trajectory, tokens: Tokens) -> None:
        """Adds an accepted record. `tokens` is the number of tokens of its images."""
        answers = [turn.content for turn in trajectory.turns if turn.role == "assistant"]
        called = calls(trajectory.system, answers)
        for name, often in called.items():
            self._use(name, ToolUse(1, often))
        text = len(trajectory.system) + sum(len(turn.content) for turn in trajectory.turns)
        values = (len(trajectory.turns), text, len(trajectory.images), *tokens)
        for histogram, value in zip(self.histograms(), values, strict=True):
            count(histogram, value)
        self.samples.append(
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
        """Adds a rejected record."""
        detail = reject.detail
        if len(detail) > MAX_DETAIL:
            detail = detail[:MAX_DETAIL] + "…"
        self.rejects.append(msgspec.structs.replace(reject, record="", detail=detail))

    def merge(self, other: Statistics) -> None:
        """Adds the statistics of other records."""
        for mine, theirs in zip(self.histograms(), other.histograms(), strict=True):
            merge(mine, theirs)
        for name, use in other.tools.items():
            self._use(name, use)
        self.samples = choose(self.samples + other.samples)
        self.rejects = choose_rejects(self.rejects + other.rejects)

    def _use(self, tool: str, use: ToolUse) -> None:
        known = self.tools.get(tool, ToolUse(0, 0))
        self.tools[tool] = ToolUse(known.records + use.records, known.calls + use.calls)

    def ordered(self) -> Statistics:
        """A copy in the order of files, with a sample of the records that were added.

        It has at most `MAX_TOOLS` tools, the most used first.
        """
        by_use = sorted(self.tools.items(), key=lambda item: (-item[1].records, item[0]))
        return Statistics(
            ordered(self.turns),
            ordered(self.text),
            ordered(self.images),
            ordered(self.qwen2_vl_tokens),
            ordered(self.qwen3_vl_tokens),
            dict(by_use[:MAX_TOOLS]),
            choose(self.samples),
            choose_rejects(self.rejects),
        )

    def histograms(self) -> tuple[Histogram, ...]:
        """All histograms, in the order of the attributes."""
        return self.turns, self.text, self.images, self.qwen2_vl_tokens, self.qwen3_vl_tokens
