"""The driver's last step: writes the registry and the report, and last the manifest.

A dataset is there when its manifest is. Until then a reader finds nothing to trust, and the same
command goes on from the notes that there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import msgspec

from beam_mat import earlier, report
from beam_mat.config import Job
from beam_mat.core import layout
from beam_mat.core.chunk import Shard
from beam_mat.core.errors import SourceError
from beam_mat.core.notes import Part, Source, UnusedNote
from beam_mat.core.reject import Reason
from beam_mat.core.settings import FORMAT, JSONL, Ground, Settings
from beam_mat.earlier import Plan
from beam_mat.manifest import Manifest, configuration, inputs_of, made_by
from beam_mat.storage import files, generations, images, inputs, notes
from beam_mat.totals import Totals

_DRIVERS_FILES = (layout.DATASET_INFO, layout.REPORT, layout.STATISTICS, layout.IMAGE_TABLE)
_FLAT_FOLDERS = (layout.IMAGES, layout.REJECTS, *layout.PART_FOLDERS)
_NOTES = (
    layout.SHARD_NOTES,
    layout.REQUEST_NOTES,
    layout.CHUNK_NOTES,
    layout.SHARD_TOTALS,
    layout.UNUSED_NOTES,
    layout.BATCH_NOTES,
    layout.TEXT_ONLY,
    layout.MIXED_NOTES,
)

_REMOVED_AT_ONCE = 16

_TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "observation_tag": "observation",
    "function_tag": "function_call",
    "system_tag": "system",
}


def dataset_info(parts: Iterable[Part]) -> dict[str, Any]:
    """LLaMA-Factory's registry: `mat` for JSONL, `mat_parquet`, and the same with `_val`.

    Once columns or tags are given, LLaMA-Factory takes every one that is not for absent: all are.
    """
    entries = {}
    for format, split in sorted({(part.format, part.split) for part in parts}):
        name = "mat" + ("" if format == JSONL else f"_{format}")
        name += "" if split == layout.TRAIN else f"_{split}"
        entries[name] = {
            "file_name": layout.part_folder(format, split),
            "formatting": "sharegpt",
            "columns": {"messages": "messages", "images": "images", "system": "system"},
            "tags": _TAGS,
        }
    return entries


def prepare(plan: Plan) -> None:
    """Makes the output folder ready for a job: from then on it holds a job and no dataset.

    The job is written down first, so that a run that breaks off is known for what it is.
    """
    settings = plan.job.settings
    _remove_scratch(settings)
    if plan.clear:
        _clear(settings)
    elif settings.again:
        # Of an earlier job with the same generation: what has been done since is not in them.
        _remove(settings, (layout.SHARD_TOTALS,))
    elif settings.ground is not Ground.EMPTY:
        _remove(settings, _NOTES)  # nothing says which job left them
    _write(settings, layout.JOB, _pretty(earlier.describe(plan.job)))
    _remove_files(settings, (layout.MANIFEST, *_DRIVERS_FILES))


def _clear(settings: Settings) -> None:
    # The job that was begun last is forgotten last: until then what is left is its ruins.
    _remove(settings, (layout.MANIFEST, *_DRIVERS_FILES, *_FLAT_FOLDERS, *_NOTES))
    _remove(settings, (layout.GENERATIONS, layout.REPLACED, layout.WATCH))
    _remove(settings, (layout.VERIFIED, layout.JOB))


def hold_inputs(job: Job) -> None:
    """Makes sure that every input is what it was when the job began.

    What notes tell of one that is not is forgotten: it may come back with the same version.

    Raises:
        SourceError: One has changed or is gone.
    """
    faults = inputs.changed([*job.shards, *job.sources])
    for place, _ in faults:
        _forget(job.settings, place)
    if faults:
        more = f"; so have {len(faults) - 1} more" if len(faults) > 1 else ""
        raise SourceError(
            f"{faults[0][1]}{more}; nothing was published: run the same command again"
        )


def _forget(settings: Settings, place: Shard | Source) -> None:
    if isinstance(place, Source):
        _remove(settings, (f"{layout.BATCH_NOTES}/{settings.generation}", layout.SHARD_TOTALS))
        return
    stem = place.stem(settings.digest())
    told = (layout.SHARD_NOTES, layout.REQUEST_NOTES, layout.CHUNK_NOTES, layout.SHARD_TOTALS)
    for folder in told:
        for name, file in files.find(files.join(settings.output, folder)):
            if name.startswith(stem):
                files.remove_file(file.uri)


def publish(job: Job, totals: Totals) -> None:
    """Makes the dataset visible: registry, statistics and report, then manifest.

    What the manifest does not list is removed from the folders that readers read whole.
    """
    settings = job.settings
    logged = _logged(settings)
    for path in totals.replaced - totals.work:
        _take_away(settings, path, logged)
    if settings.ground is not Ground.EMPTY:
        tidy(settings, totals, logged)
    if settings.again:
        _remove(settings, (layout.UNUSED_NOTES,))
    _write(settings, layout.DATASET_INFO, _pretty(dataset_info(totals.parts)))
    made = manifest(job, totals)
    found = report.find(totals.statistics, totals.images.statistics, settings.prefixes)
    report.write(settings.output, made, found)
    _write(settings, layout.MANIFEST, _pretty(made))
    _remove_scratch(settings)


def begin_watch(job: Job) -> None:
    """Writes down that a watch has begun on a folder; its dataset stays what it is."""
    _write(job.settings, layout.JOB, _pretty(earlier.describe(job)))


def follow(job: Job, totals: Totals, generation: int) -> None:
    """Makes registry and manifest say what a generation of a watched dataset says."""
    settings = job.settings
    _write(settings, layout.DATASET_INFO, _pretty(dataset_info(totals.parts)))
    _write(settings, layout.MANIFEST, _pretty(manifest(job, totals, generation)))


def manifest(job: Job, totals: Totals, generation: int | None = None) -> Manifest:
    """What the dataset is made of and how: a function of input and configuration alone."""
    return Manifest(
        format=FORMAT,
        made_by=made_by(job),
        inputs=inputs_of(job, totals.shard_records),
        configuration=configuration(job),
        counts=counts_of(totals),
        parts=tuple(totals.parts),
        rejects=tuple(totals.rejects),
        image_table=totals.images.table,
        generation=generation,
    )


def counts_of(totals: Totals) -> dict[str, Any]:
    """The manifest's counts."""
    return {
        "records": totals.records,
        "accepted": totals.accepted,
        "rejected": totals.rejected_records,
        "rejected_by_reason": {
            reason.value: totals.rejected[reason].count
            for reason in Reason
            if reason in totals.rejected
        },
        "respelled_words": totals.respelled,
        "image_uses": totals.image_uses,
        "images": totals.images.status,
        "image_source_bytes": totals.images.source_bytes,
        "image_bytes": totals.images.bytes,
    }


def tidy(settings: Settings, totals: Totals, logged: Set[str] = frozenset()) -> None:
    """Removes what an earlier job left that this one has no use for.

    The graph has noted which images of an earlier dataset these are. Of what a job wrote that broke
    off no note may tell: then all images are listed, and their paths are held in memory. Where the
    dataset has been watched no image goes: older generations have rows with them.
    """
    listed = {part.path for part in (*totals.parts, *totals.rejects)}
    for folder in (layout.REJECTS, *layout.PART_FOLDERS):
        _keep_only(settings, folder, listed, logged)
    if not generations.numbers(settings.output):
        _tidy_images(settings)
    for folder in _NOTES:
        if folder not in (layout.BATCH_NOTES, layout.UNUSED_NOTES):
            _keep_only(settings, folder, totals.work)
    for name, file in files.find(files.join(settings.output, layout.BATCH_NOTES)):
        if not name.startswith(f"{settings.generation}/"):
            files.remove_file(file.uri)
    files.prune(files.join(settings.output, layout.BATCH_NOTES))


def _tidy_images(settings: Settings) -> None:
    if settings.ground is Ground.RUINS:
        used = {path for path, _, _ in images.written(settings.output)}
        _keep_only(settings, layout.IMAGES, used)
    else:
        _remove_unused(settings)


def _remove_unused(settings: Settings) -> None:
    folder = f"{layout.UNUSED_NOTES}/{settings.generation}"
    with ThreadPoolExecutor(_REMOVED_AT_ONCE) as pool:
        for note in notes.collect(settings, folder, UnusedNote):
            list(pool.map(partial(images.remove, settings), note.paths))


def _logged(settings: Settings) -> Set[str]:
    """Files of the last generation, where the dataset has been watched."""
    contents = generations.load(settings.output)
    return {part.path for part in (*contents.parts(), *contents.rejects())}


def _take_away(settings: Settings, path: str, logged: Set[str]) -> None:
    if path in logged:
        generations.retire(settings.output, (path,))
    else:
        files.remove_file(files.join(settings.output, path))


def _keep_only(
    settings: Settings, folder: str, paths: Set[str], logged: Set[str] = frozenset()
) -> None:
    found = (f"{folder}/{name}" for name, _ in files.find(files.join(settings.output, folder)))
    for path in [path for path in found if path not in paths]:
        _take_away(settings, path, logged)
    files.prune(files.join(settings.output, folder))


def _remove_scratch(settings: Settings) -> None:
    if files.is_near(settings.output):  # stores have no use for it
        files.remove(files.join(settings.output, layout.SCRATCH))


def _remove_files(settings: Settings, paths: Iterable[str]) -> None:
    for path in paths:
        files.remove_file(files.join(settings.output, path))


def _remove(settings: Settings, paths: Iterable[str]) -> None:
    for path in paths:
        files.remove(files.join(settings.output, path))


def _pretty(value: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def _write(settings: Settings, path: str, data: bytes) -> None:
    scratch = files.join(settings.output, layout.SCRATCH)
    files.write_bytes(files.join(settings.output, path), data, scratch)
