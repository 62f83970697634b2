"""Plans mixes, and rewrites parts so that text-only rows alternate with image rows.

See `core.mix`.
"""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from beam_mat.core import layout
from beam_mat.core.mix import mixed, plan
from beam_mat.core.results import MixJob, MixOutput, ShardSummary, Unit
from beam_mat.core.settings import PARQUET, Settings
from beam_mat.storage import files
from beam_mat.storage.parts import (
    GROUP_ROWS,
    all_there,
    location,
    open_part,
    parquet_writer,
    part_of,
    place,
    schema_of,
)
from beam_mat.work import results


def plan_mixes(
    shards: Iterable[ShardSummary], mixes: Iterable[MixOutput] = ()
) -> tuple[dict[str, MixOutput], list[MixJob]]:
    """Plans the mixes of a dataset, which may have some already.

    Mixes that are still valid are kept, so that a commit replaces few files. Text-only units that
    are in no mix are mixed with image units that are in no mix. If there is no such image unit, all
    mixes of the split are planned again. An image unit that comes out of a mix gets a mix of its
    own: perhaps its rows are in no other file. Returns the mixes to keep, by name, and those to
    make.
    """
    units = {(*unit.group, unit.name): unit for one in shards for unit in one.units}
    before = {mix.job.name: mix for mix in mixes}
    bases = {mix.job.base for mix in before.values()}
    valid = [
        mix.job
        for mix in before.values()
        if all(units.get((*unit.group, unit.name)) == unit for unit in mix.job.inputs())
    ]
    jobs: list[MixJob] = []
    for group in sorted({unit.group for unit in units.values()}):
        here = [unit for unit in units.values() if unit.group == group]
        has_images = any(unit.image_rows for unit in here)
        # Text-only units that were mixed without images can now be mixed with images.
        stay = [
            job
            for job in valid
            if job.group == group and job.texts and (job.base or not has_images)
        ]
        free = _outside(stay, here)
        if has_images and free and not any(unit.image_rows for unit in free):
            stay, free = [], here
        stay += plan(free)
        jobs += stay + [MixJob(unit, ()) for unit in _outside(stay, here) if unit in bases]
    kept = {job.name: before[job.name] for job in jobs if job.name in before}
    return kept, [job for job in jobs if job.name not in kept]


def _outside(jobs: Iterable[MixJob], units: Iterable[Unit]) -> list[Unit]:
    """Returns the units that are in no job."""
    used = {unit for job in jobs for unit in job.inputs()}
    return [unit for unit in units if unit not in used]


def mix(settings: Settings, job: MixJob, before: Iterable[MixOutput] = ()) -> MixOutput:
    """Writes the parts of a job in every format, unless an earlier run has written them.

    The parts that they replace are not moved or removed here. A commit does that. If the parts of a
    unit were removed, its rows are read from the mix in `before` that has them. Raises
    FileNotFoundError if they do not exist.
    """
    before = list(before)
    found = results.find(settings, layout.MIXES, job.name, MixOutput)
    if found and all_there(settings, found.parts):
        return found
    replaced, parts = [], []
    for format in settings.formats:
        replaced += [place(format, unit) for unit in job.inputs()]
        some = [_read(settings, format, unit, before) for unit in job.inputs()]
        rows: Any = pa.concat_tables(some) if format == PARQUET else list(chain.from_iterable(some))
        for unit, order in mixed(job):
            path = layout.part(format, unit.subset, unit.split, unit.name)
            with open_part(settings, path) as file:
                if format == PARQUET:
                    with parquet_writer(file, schema_of(unit.subset)) as writer:
                        for start in range(0, len(order), GROUP_ROWS):
                            writer.write_table(rows.take(order[start : start + GROUP_ROWS]))
                else:
                    for row in order:
                        file.write(rows[row])
            parts.append(part_of(path, format, unit, file))
    output = MixOutput(job, tuple(replaced), tuple(parts))
    results.write(settings, layout.MIXES, job.name, output)
    return output


def _read(
    settings: Settings, format: str, unit: Unit, before: Sequence[MixOutput]
) -> pa.Table | list[bytes]:
    """Returns the rows of a unit: a table of Parquet, or the lines of JSON."""
    uris = [location(settings.output, place(format, unit))]
    order = None
    if not files.exists(uris[0]):
        uris, order = _in_mix(settings, format, unit, before) or (uris, None)
    if format == PARQUET:
        table = pa.concat_tables([_read_table(uri) for uri in uris])
        return table if order is None else table.take(order)
    lines = [line for uri in uris for line in files.read_bytes(uri).splitlines(keepends=True)]
    return lines if order is None else [lines[at] for at in order]


def _in_mix(
    settings: Settings, format: str, unit: Unit, before: Iterable[MixOutput]
) -> tuple[list[str], list[int]] | None:
    """Returns the parts of a mix that has a unit, and the indexes of the unit's rows in them."""
    for one in before:
        inputs = one.job.inputs()
        if unit in inputs:
            first = sum(other.rows for other in inputs[: inputs.index(unit)])
            rows = (row for _, order in mixed(one.job) for row in order)
            at = {row: number for number, row in enumerate(rows)}
            paths = (part.path for part in one.parts if part.format == format)
            uris = [location(settings.output, path) for path in paths]
            return uris, [at[row] for row in range(first, first + unit.rows)]
    return None


def _read_table(uri: str) -> pa.Table:
    with files.open_binary(uri) as file:
        return pq.read_table(file)
