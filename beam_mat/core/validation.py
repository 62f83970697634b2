"""Accepts or rejects the records of a chunk once the result of every image is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Set

import msgspec

from beam_mat.core.layout import split_of
from beam_mat.core.raw import RawRecord
from beam_mat.core.record import Fault, Trajectory, parse
from beam_mat.core.references import ImageOutcome
from beam_mat.core.reject import Reason, Reject
from beam_mat.core.results import RejectCount
from beam_mat.core.settings import Settings
from beam_mat.core.statistics import Statistics


class ChunkResult:
    """The accepted and the rejected records of a chunk.

    Attributes:
        trajectories: For each split, the accepted records with images and those without, in order.
            Their `images` are files below the output folder.
        rejects: The rejected records, in order.
        respelled: Number of words that were respelled in accepted records.
        image_uses: Number of images in accepted records; repeated images count each time.
        counting: Collects the statistics of the records.
    """

    def __init__(self) -> None:
        self.trajectories: dict[str, tuple[list[Trajectory], list[Trajectory]]] = {}
        self.rejects: list[Reject] = []
        self.respelled = 0
        self.image_uses = 0
        self.counting = Statistics()

    @property
    def accepted(self) -> int:
        """Number of accepted records."""
        return sum(len(some) for pair in self.trajectories.values() for some in pair)

    def counts(self) -> tuple[RejectCount, ...]:
        """Returns number and first reject for each reason, in the order of `Reason`."""
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
        records: The records of one chunk, in order.
        outcomes: The result of every image that the chunk uses, by path.
        repeated: Indexes of records to drop because an earlier record has the same id.
        settings: Path prefixes and the split.

    Raises:
        KeyError: The result of an image is missing.
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
        files = tuple(outcomes[path].file for path in verdict.images)
        accepted = msgspec.structs.replace(verdict, images=files)
        (with_images if files else text_only).append(accepted)
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
        detail = f"an earlier record has the same id, {parsed.id!r}"
        return Fault(Reason.DUPLICATE_ID, detail, parsed.id)
    for path in parsed.images:
        fault = outcomes[path].fault
        if fault:
            return Fault(fault.reason, fault.detail, parsed.id)
    return parsed
