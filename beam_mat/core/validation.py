"""Accepts or rejects the records of a chunk once the result of every image is known."""

from collections.abc import Iterable, Mapping, Set

import msgspec

from beam_mat.core.boxes import has_pixel_box, scale_box
from beam_mat.core.chunk import RawRecord
from beam_mat.core.layout import split_of
from beam_mat.core.limits import MAX_RECORD_IMAGE_BYTES
from beam_mat.core.record import parse
from beam_mat.core.reject import Reason, Reject
from beam_mat.core.results import ImageOutcome, RejectCount, sum_rejected
from beam_mat.core.schemas.messages import BOX, written
from beam_mat.core.settings import Settings
from beam_mat.core.statistics import PixelBoxes, Statistics
from beam_mat.core.trajectory import Fault, Trajectory, Turn


class ChunkResult(msgspec.Struct):
    """The accepted and the rejected records of a chunk.

    `trajectories` has for each subset and split the accepted records with images and those without,
    in order. Their `images` are files below the output folder. For the numbers see
    `results.ChunkOutput`.
    """

    trajectories: dict[tuple[str, str], tuple[list[Trajectory], list[Trajectory]]] = {}
    rejects: list[Reject] = []
    respelled: int = 0
    image_uses: int = 0
    statistics: Statistics = msgspec.field(default_factory=Statistics)

    @property
    def accepted(self) -> int:
        """Number of accepted records."""
        return sum(len(some) for pair in self.trajectories.values() for some in pair)

    def counts(self) -> tuple[RejectCount, ...]:
        """The number of rejects and the first one for each reason, in the order of `Reason`."""
        bare = (msgspec.structs.replace(reject, record="") for reject in self.rejects)
        return tuple(sum_rejected(RejectCount(one.reason, 1, one) for one in bare).values())


def validate(
    records: Iterable[RawRecord],
    outcomes: Mapping[str, ImageOutcome],
    repeated: Set[int],
    settings: Settings,
) -> ChunkResult:
    """Accepts or rejects each record of a chunk.

    `outcomes` has the result of every image that the chunk uses, by path; a missing one raises
    KeyError. `repeated` are the indexes of records whose id an earlier record has.
    """
    result = ChunkResult()
    for record in records:
        found = _validate(record, outcomes, repeated, settings)
        if isinstance(found, Fault):
            reject = record.reject(found.reason, found.detail, found.id)
            result.rejects.append(reject)
            result.statistics.reject(reject)
            continue
        qwen2, qwen3 = zip((0, 0), *(outcomes[path].tokens for path in found.images), strict=True)
        result.statistics.accept(record, found, (sum(qwen2), sum(qwen3)))
        resized = {outcomes[path].original for path in found.images if outcomes[path].resized}
        turns = found.turns + found.answers
        if has_pixel_box((turn.content for turn in turns), resized):
            named = () if found.id is None else (found.id,)
            result.statistics.pixel_boxes += PixelBoxes(1, named)
        result.respelled += found.respelled
        result.image_uses += len(found.images)
        split = split_of(record.identity(found.id), settings.val_fraction)
        group = found.subset, split
        with_images, text_only = result.trajectories.setdefault(group, ([], []))
        files = tuple(outcomes[path].file for path in found.images)
        accepted = msgspec.structs.replace(fill_boxes(found, outcomes), images=files)
        (with_images if files else text_only).append(accepted)
    return result


def fill_boxes(found: Trajectory, outcomes: Mapping[str, ImageOutcome]) -> Trajectory:
    """Writes the boxes of a trajectory into its turns, scaled as their images were."""
    if not found.boxes:
        return found
    texts = []
    for box in found.boxes:
        outcome = outcomes[found.images[box.image]]
        texts.append(written(scale_box(box.numbers, outcome.original, outcome.written)))
    coming = iter(texts)
    turns = (Turn(turn.role, BOX.sub(lambda _: next(coming), turn.content)) for turn in found.turns)
    return msgspec.structs.replace(found, turns=tuple(turns), boxes=())


def _validate(
    record: RawRecord,
    outcomes: Mapping[str, ImageOutcome],
    repeated: Set[int],
    settings: Settings,
) -> Trajectory | Fault:
    if record.chunk.fault:
        return Fault(record.chunk.fault, record.chunk.detail)
    chunk = record.chunk
    parsed = parse(record.data, settings.reading(chunk.schema, chunk.shard.prefix))
    if isinstance(parsed, Fault):
        return parsed
    if record.index in repeated:
        same = "is the same" if parsed.id is None else f"has the same id, {parsed.id!r}"
        detail = f"an earlier record {same}"
        return Fault(Reason.DUPLICATE_ID, detail, parsed.id)
    for path in parsed.images:
        fault = outcomes[path].fault
        if fault:
            return Fault(fault.reason, fault.detail, parsed.id)
    size = sum(outcomes[path].bytes for path in parsed.images)
    if size > MAX_RECORD_IMAGE_BYTES:
        detail = (
            f"the images of the record have {size} bytes; the limit is {MAX_RECORD_IMAGE_BYTES}"
        )
        return Fault(Reason.RECORD_TOO_LARGE, detail, parsed.id)
    return parsed
