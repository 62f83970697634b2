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
    mixes of the split are planned again.

    Args:
        shards: The shards of the dataset.
        mixes: Its current mixes.

    Returns:
        The mixes to keep, by name, and the mixes to make.
    """
    units = {(unit.split, unit.name): unit for one in shards for unit in one.units}
    kept = {mix.job.name: mix for mix in mixes if _is_valid(mix.job, units)}
    jobs: list[MixJob] = []
    for split in sorted({split for split, _ in units}):
        here = [unit for unit in units.values() if unit.split == split]
        mixed = {name: mix.job for name, mix in kept.items() if mix.job.split == split}
        has_images = any(unit.image_rows for unit in here)
        # Text-only units that were mixed without images can now be mixed with images.
        stay = {name: job for name, job in mixed.items() if job.base or not has_images}
        used = {unit for job in stay.values() for unit in job.inputs()}
        free = [unit for unit in here if unit not in used]
        if not all(unit.image_rows for unit in free):
            if has_images and not any(unit.image_rows for unit in free):
                stay, free = {}, here
            jobs += plan(free)
        for name in mixed.keys() - stay.keys():
            del kept[name]
    return kept, jobs


def _is_valid(job: MixJob, units: dict[tuple[str, str], Unit]) -> bool:
    return all(units.get((unit.split, unit.name)) == unit for unit in job.inputs())
