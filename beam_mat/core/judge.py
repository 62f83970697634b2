"""Decides on the records of a chunk, now that the outcome of every image is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Set

import msgspec

from beam_mat.core.layout import split_of
from beam_mat.core.notes import ImageOutcome, RejectCount
from beam_mat.core.raw import RawRecord
from beam_mat.core.record import Fault, Trajectory, parse
from beam_mat.core.reject import Reason, Reject
from beam_mat.core.settings import Settings
from beam_mat.core.statistics import Counting


class ChunkResult:
    """The records of a chunk, sorted out.

    Attributes:
        trajectories: By split, the accepted records with images and those without, in order.
        rejects: The others, in order.
        respelled: Words respelled in accepted records.
        image_uses: Images of accepted records, repetitions counted.
        counting: What the records are like.
    """

    def __init__(self) -> None:
        self.trajectories: dict[str, tuple[list[Trajectory], list[Trajectory]]] = {}
        self.rejects: list[Reject] = []
        self.respelled = 0
        self.image_uses = 0
        self.counting = Counting()

    @property
    def accepted(self) -> int:
        """Number of accepted records."""
        return sum(len(some) for pair in self.trajectories.values() for some in pair)

    def counts(self) -> tuple[RejectCount, ...]:
        """The rejects by reason, in the order of `Reason`."""
        numbers = Counter(reject.reason for reject in self.rejects)
        firsts: dict[Reason, Reject] = {}
        for reject in self.rejects:
            firsts.setdefault(reject.reason, reject)
        return tuple(
            RejectCount(reason, numbers[reason], msgspec.structs.replace(firsts[reason], record=""))
            for reason in Reason
            if reason in firsts
        )


def judge(
    records: Iterable[RawRecord],
    outcomes: Mapping[str, ImageOutcome],
    repeated: Set[int],
    settings: Settings,
) -> ChunkResult:
    """Accepts or rejects each record.

    Args:
        records: Of one chunk, in order.
        outcomes: Of every image that the chunk asked for, by path.
        repeated: Indexes of records whose id an earlier one has, when those are to be dropped.
        settings: Path prefixes and the split.

    Raises:
        KeyError: The outcome of an image is not known. A record is never accepted on a guess.
    """
    result = ChunkResult()
    for record in records:
        verdict = _verdict(record, outcomes, repeated, settings)
        if isinstance(verdict, Fault):
            reject = record.reject(verdict.reason, verdict.detail, verdict.id)
            result.rejects.append(reject)
            result.counting.reject(reject)
            continue
        qwen2, qwen3 = zip((0, 0), *(outcomes[path].tokens for path in verdict.images), strict=True)
        result.counting.accept(record, verdict, (sum(qwen2), sum(qwen3)))
        result.respelled += verdict.respelled
        result.image_uses += len(verdict.images)
        split = split_of(verdict.id, settings.val_fraction)
        with_images, text_only = result.trajectories.setdefault(split, ([], []))
        (with_images if verdict.images else text_only).append(verdict)
    return result


def _verdict(
    record: RawRecord,
    outcomes: Mapping[str, ImageOutcome],
    repeated: Set[int],
    settings: Settings,
) -> Trajectory | Fault:
    if record.chunk.fault:
        return Fault(record.chunk.fault, record.chunk.detail)
    parsed = parse(record.data, settings.prefixes)
    if isinstance(parsed, Fault):
        return parsed
    if record.index in repeated:
        detail = f"id {parsed.id!r} stands in an earlier record"
        return Fault(Reason.DUPLICATE_ID, detail, parsed.id)
    for path in parsed.images:
        fault = outcomes[path].fault
        if fault:
            return Fault(fault.reason, fault.detail, parsed.id)
    return parsed
