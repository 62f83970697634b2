"""Plans which text-only units are mixed with which image units; see `core.mix`."""

from __future__ import annotations

from collections.abc import Iterable

from beam_mat.core.mix import plan
from beam_mat.core.results import MixJob, MixOutput, ShardSummary, Unit


def all_jobs(shards: Iterable[ShardSummary]) -> list[MixJob]:
    """Returns the mixes of a dataset, as the graph of a conversion plans them."""
    by_split: dict[str, list[Unit]] = {}
    for unit in (unit for one in shards for unit in one.units):
        by_split.setdefault(unit.split, []).append(unit)
    return [job for split in sorted(by_split) for job in plan(by_split[split])]


def plan_mixes(
    shards: Iterable[ShardSummary], mixes: Iterable[MixOutput]
) -> tuple[dict[str, MixOutput], list[MixJob]]:
    """Plans the mixes of a dataset that has some already.

    Mixes that are still valid are kept, so that a commit replaces few files. Text-only units that
    are in no mix are mixed with image units that are in no mix. If there is no such image unit, all
    mixes of the split are planned again. An image unit that comes out of a mix gets a mix of its
    own: perhaps its rows are in no other file.

    Args:
        shards: The shards of the dataset.
        mixes: Its current mixes.

    Returns:
        The mixes to keep, by name, and the mixes to make.
    """
    before = {mix.job.name: mix for mix in mixes}
    mixed = {(mix.job.split, mix.job.base.name) for mix in before.values() if mix.job.base}
    units = {(unit.split, unit.name): unit for one in shards for unit in one.units}
    jobs: list[MixJob] = []
    for split in sorted({split for split, _ in units}):
        here = [unit for unit in units.values() if unit.split == split]
        has_images = any(unit.image_rows for unit in here)
        # Text-only units that were mixed without images can now be mixed with images.
        stay = [
            mix.job
            for mix in before.values()
            if mix.job.split == split
            and mix.job.texts
            and (mix.job.base or not has_images)
            and _is_valid(mix.job, units)
        ]
        free = _without(here, stay)
        if not all(unit.image_rows for unit in free):
            if has_images and not any(unit.image_rows for unit in free):
                stay, free = [], here
            stay += plan(free)
        stay += [MixJob(unit, ()) for unit in _without(free, stay) if (split, unit.name) in mixed]
        jobs += stay
    kept = {job.name: before[job.name] for job in jobs if job.name in before}
    return kept, [job for job in jobs if job.name not in kept]


def _without(units: Iterable[Unit], jobs: Iterable[MixJob]) -> list[Unit]:
    """Returns the units that are in no job."""
    used = {unit for job in jobs for unit in job.inputs()}
    return [unit for unit in units if unit not in used]


def _is_valid(job: MixJob, units: dict[tuple[str, str], Unit]) -> bool:
    return all(units.get((unit.split, unit.name)) == unit for unit in job.inputs())
