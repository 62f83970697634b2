"""Splits shards into chunks, lists their images, writes their parts, and summarises shards."""

import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Set

import msgspec

from beam_mat.core import layout
from beam_mat.core.chunk import Chunk, RawRecord, Shard
from beam_mat.core.inline import addresses
from beam_mat.core.member import BATCH_BYTES, INLINE_ORDER, Member, Packing
from beam_mat.core.mix import interleave, surplus
from beam_mat.core.record import decode, parse
from beam_mat.core.reject import Reason
from beam_mat.core.results import (
    ChunkFact,
    ChunkOutput,
    ChunkRequest,
    ImageOutcome,
    Part,
    ShardSplit,
    ShardSummary,
    Unit,
    Written,
    outcomes_digest,
    summarise,
)
from beam_mat.core.schemas.detect import Detector
from beam_mat.core.settings import Settings
from beam_mat.core.trajectory import INLINE, FaultyError, Trajectory
from beam_mat.core.validation import ChunkResult, validate
from beam_mat.storage import files, inputs, parts
from beam_mat.work import results


def split(settings: Settings, shard: Shard) -> Iterator[Chunk]:
    """Yields the chunks of a shard in order. A shard that was scanned before is not read again.

    A compressed shard is decompressed into its copy. Raises ShardError if the file is no shard, and
    SourceError if the shard changed while it was read.
    """
    stem, copy = shard.stem(settings.digest()), copy_of(settings.output, shard)
    found = results.find(settings, layout.SPLITS, stem, ShardSplit)
    if found:
        for chunk in found.chunks:
            # The stored shard may have another order, and the folder another name.
            yield msgspec.structs.replace(chunk, shard=shard, copy=copy if chunk.copy else "")
        return
    detector = Detector(shard.read_as or settings.schema)
    chunks, held = list[Chunk](), list[Chunk]()
    reading = inputs.reading(shard, settings.records, copy)
    for chunk in inputs.chunks(reading, settings.digest()):
        held.append(chunk)
        if _look(detector, chunk):
            yield from _release(detector, held, chunks)
    yield from _release(detector, held, chunks)
    inputs.require_unchanged(shard)
    schema, why = detector.result()
    made = ShardSplit(
        records=sum(chunk.count for chunk in chunks),
        chunks=tuple(chunks),
        schema=schema,
        why=why,
        compression=reading.compression,
        key=reading.found.key,
        broken=reading.broken(chunks),
    )
    results.write(settings, layout.SPLITS, stem, made)


def _release(detector: Detector, held: list[Chunk], chunks: list[Chunk]) -> list[Chunk]:
    """Moves chunks from `held` to `chunks`, with the schema of their shard. Returns them."""
    schema, _ = detector.result()
    ready = [msgspec.structs.replace(chunk, schema=schema) for chunk in held]
    held.clear()
    chunks += ready
    return ready


def _look(detector: Detector, chunk: Chunk) -> bool:
    """Looks at the records of a chunk until the schema is decided. Returns whether it is."""
    if detector.decided or chunk.fault:
        return detector.decided is not None
    for record in inputs.records(chunk):
        if detector.is_vain(record.data):
            continue
        with contextlib.suppress(FaultyError):
            if detector.look(record.index, decode(record.data)):
                return True
    return False


def copy_of(output: str, shard: Shard) -> str:
    """The URI of the decompressed text of a compressed shard, while the shard is converted."""
    whole = msgspec.structs.replace(shard, limit=None)
    return files.join(output, layout.UNPACKED, f"{whole.stem('')}.json")


def request(settings: Settings, chunk: Chunk) -> ChunkRequest:
    """Returns the images and ids of a chunk. A chunk that was read before is not read again."""
    found = results.find(settings, layout.REQUESTS, chunk.name, ChunkRequest)
    if found:
        return found
    paths: dict[str, None] = {}
    ids = []
    inline: dict[str, Member] = {}
    for record, trajectory in trajectories(settings, chunk):
        paths.update(dict.fromkeys(trajectory.images))
        if any(map(INLINE.fullmatch, trajectory.images)):
            inline |= {one.path: one for one in _inline(record)}
        if settings.drop_duplicates:
            ids.append((record.index, record.identity(trajectory.id)))
    made = ChunkRequest(tuple(paths), tuple(ids), tuple(inline.values()))
    results.write(settings, layout.REQUESTS, chunk.name, made)
    return made


def _inline(record: RawRecord) -> Iterator[Member]:
    """Yields the images inside a record, for which its shard is the source."""
    shard = record.chunk.shard
    for path, size, start, end in addresses(record.data):
        yield Member(
            path=path,
            source=record.chunk.copy or shard.uri,
            order=INLINE_ORDER + shard.order,
            offset=record.span.start + start,
            end=record.span.start + end,
            size=size,
            packed=end - start,
            packing=Packing.INLINE,
            batch=(record.span.start + start) // BATCH_BYTES,
            version=shard.version,
        )


def ids(settings: Settings, chunk: Chunk) -> Iterator[tuple[int, str]]:
    """Yields index and id of each valid record."""
    found = results.find(settings, layout.REQUESTS, chunk.name, ChunkRequest)
    if found:
        yield from found.ids
    else:
        valid = trajectories(settings, chunk)
        yield from ((record.index, record.identity(one.id)) for record, one in valid)


def trajectories(settings: Settings, chunk: Chunk) -> Iterator[tuple[RawRecord, Trajectory]]:
    """Yields the valid records of a chunk."""
    if chunk.fault:
        return
    reading = settings.reading(chunk.schema, chunk.shard.prefix)
    for record in inputs.records(chunk):
        parsed = parse(record.data, reading)
        if isinstance(parsed, Trajectory):
            yield record, parsed


def write(settings: Settings, facts: Iterable[ChunkFact]) -> tuple[Written, ChunkOutput]:
    """Writes the parts and the rejects of a chunk.

    Nothing is written if the files of an earlier run with the same outcomes exist. `facts` are the
    chunk, and the outcome of each image that it requests.
    """
    chunk, outcomes, repeated, made = _joined(facts)
    output = results.find(settings, layout.OUTPUTS, made.output, ChunkOutput)
    if output is None or not parts.all_there(settings, output.files()):
        checked = _checked(settings, chunk, outcomes, repeated)
        # The nearest member of a missing image changes the rejects, but not the parts.
        plain = outcomes_digest([one.without_near() for one in outcomes], repeated)
        stem = f"{chunk.name}-{plain[:16]}"
        units, written = _write(settings, stem, checked)
        rejects = checked.rejects
        refused = parts.write_rejects(settings, made.output, rejects) if rejects else None
        output = _output(chunk, checked, outcomes, units, written, refused)
        results.write(settings, layout.OUTPUTS, made.output, output)
    return made, output


def count(settings: Settings, facts: Iterable[ChunkFact]) -> tuple[Written, ChunkOutput]:
    """Counts the records of a chunk as `write`, but writes no parts and no rejects."""
    chunk, outcomes, repeated, made = _joined(facts)
    checked = _checked(settings, chunk, outcomes, repeated)
    output = _output(chunk, checked, outcomes)
    results.write(settings, layout.OUTPUTS, made.output, output)
    return made, output


def _joined(facts: Iterable[ChunkFact]) -> tuple[Chunk, list[ImageOutcome], set[int], Written]:
    """The chunk of some facts, the outcomes of its images, its repeated ids, and its names."""
    facts = list(facts)
    (chunk,) = (fact.chunk for fact in facts if fact.chunk)
    outcomes = [outcome for fact in facts for outcome in fact.outcomes]
    repeated = {fact.repeated for fact in facts if fact.repeated is not None}
    name = f"{chunk.name}-{outcomes_digest(outcomes, repeated)[:16]}"
    tables = tuple(sorted({fact.table for fact in facts if fact.table}))
    return chunk, outcomes, repeated, Written(chunk.name, name, tables)


def _checked(
    settings: Settings, chunk: Chunk, outcomes: Iterable[ImageOutcome], repeated: Set[int]
) -> ChunkResult:
    by_path = {outcome.path: outcome for outcome in outcomes}
    checked = validate(inputs.records(chunk), by_path, repeated, settings)
    if not chunk.fault and any(one.reason is Reason.MALFORMED_JSON for one in checked.rejects):
        # In a shard that was replaced, records may begin and end elsewhere.
        inputs.require_unchanged(chunk.shard)
    return checked


def _write(settings: Settings, stem: str, checked: ChunkResult) -> tuple[list[Unit], list[Part]]:
    units, written = list[Unit](), list[Part]()
    for (subset, split), (with_images, text_only) in sorted(checked.trajectories.items()):
        stay = len(text_only) - surplus(len(with_images), len(text_only))
        for name, images, texts in (
            (stem, with_images, text_only[:stay]),
            (f"{stem}-text", [], text_only[stay:]),
        ):
            if images or texts:
                unit = Unit(name, split, len(images), len(images) + len(texts), subset)
                rows = [parts.row_of(trajectory) for trajectory in interleave(images, texts)]
                written += parts.write_unit(settings, unit, rows)
                units.append(unit)
    return units, written


def _output(
    chunk: Chunk,
    checked: ChunkResult,
    outcomes: Iterable[ImageOutcome],
    units: Iterable[Unit] = (),
    written: Iterable[Part] = (),
    rejects: Part | None = None,
) -> ChunkOutput:
    faults = ((one.path, one.fault) for one in outcomes)
    missing = (path for path, fault in faults if fault and fault.reason is Reason.IMAGE_MISSING)
    return ChunkOutput(
        records=chunk.count,
        accepted=checked.accepted,
        respelled=checked.respelled,
        image_uses=checked.image_uses,
        rejected=checked.counts(),
        units=tuple(units),
        parts=tuple(written),
        rejects=rejects,
        missing=tuple(sorted(missing)),
        statistics=checked.statistics.ordered(),
    )


def image_paths(settings: Settings, shard: Shard) -> set[str]:
    """Returns the published paths of all images that the records of a shard request.

    The shard is read again if results of its split are lost. Raises SourceError if it has changed,
    and FileNotFoundError if it was removed.
    """
    stem = shard.stem(settings.digest())
    try:
        (found,) = results.read(settings, layout.SPLITS, [stem], ShardSplit)
        names = (chunk.name for chunk in found.chunks)
        requests = list(results.read(settings, layout.REQUESTS, names, ChunkRequest))
    except FileNotFoundError:
        requests = [request(settings, chunk) for chunk in split(settings, shard)]
    return {path for made in requests for path in made.images}


def summary(settings: Settings, shard: Shard, written: Iterable[Written]) -> ShardSummary:
    """Returns the summary of a written shard. Raises LostRecordError if numbers do not add up."""
    written = list(written)
    stem = shard.stem(settings.digest())
    (found,) = results.read(settings, layout.SPLITS, [stem], ShardSplit)
    names = (one.output for one in written)
    outputs = results.read(settings, layout.OUTPUTS, names, ChunkOutput)
    by_chunk = {one.chunk: output for one, output in zip(written, outputs, strict=True)}
    tables = {table for one in written for table in one.tables}
    return summarise(shard, stem, found, by_chunk, tables)


def write_summary(settings: Settings, summed: ShardSummary, *, exact: bool) -> str:
    """Writes a shard's summary and returns its name.

    If `exact`, the name has a hash of the summary. Otherwise there is one summary per shard and
    fingerprint, and the driver knows its name.
    """
    name = f"{settings.fingerprint}/{summed.stem}"
    if exact:
        name += f"-{hashlib.sha256(msgspec.json.encode(summed)).hexdigest()[:16]}"
    results.write(settings, layout.SUMMARIES, name, summed)
    return name
