"""Looks for members that missing images could be, and stores the missing images in groups."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from beam_mat.core import layout
from beam_mat.core.errors import SourceError
from beam_mat.core.member import Member, Packing
from beam_mat.core.nearest import ARCHIVES, MOST, SLOTS, Near, keys, slot
from beam_mat.core.proposal import Group, Groups, group, merge
from beam_mat.core.results import Source, Wanted
from beam_mat.core.settings import Settings
from beam_mat.storage import catalog
from beam_mat.work import results


def candidates(source: Source, is_wanted: Callable[[int], bool]) -> Iterator[tuple[int, Near]]:
    """Yields the members of a source, and of archives in it, by each of their keys that is wanted.

    Instead of the members above `MOST` with a key, yields once one without a path.
    """
    counts = np.zeros(SLOTS, np.uint8)  # of keys, so that memory does not grow with the members
    for near in _members(source):
        for key in dict.fromkeys(keys(near.path)):
            if is_wanted(key) and counts[slot(key)] <= MOST:
                counts[slot(key)] += 1
                is_last = counts[slot(key)] > MOST
                yield key, Near(source.order, "", source.uri) if is_last else near


def _members(source: Source) -> Iterator[Near]:
    archives = []
    for member in catalog.members(source.uri, source.order, prefix=source.prefix):
        yield Near(source.order, member.path, source.uri)
        if member.packing is Packing.FILE and member.path.lower().endswith(ARCHIVES):
            archives.append(member)
    for archive in archives:
        yield from _inside(archive)


def _inside(archive: Member) -> Iterator[Near]:
    try:
        for member in catalog.members(archive.source, archive.order):
            yield Near(archive.order, member.path, archive.source, inside=True)
    except SourceError:
        return  # nobody asked for this archive, so what is wrong with it is of no interest


def write_groups(settings: Settings, batch: str, wanted: Sequence[Wanted]) -> None:
    """Writes the groups of a batch of missing images."""
    made = group((item.path, item.near) for item in wanted)
    name = f"{settings.fingerprint}/{batch}"
    results.write(settings, layout.MISSING, name, Groups(made))


def read_groups(settings: Settings) -> tuple[Group, ...]:
    """Returns the groups of all missing images of a job, in the order of `merge`."""
    folder = f"{layout.MISSING}/{settings.fingerprint}"
    found: Iterable[Groups] = results.collect(settings, folder, Groups)
    return merge(one for batch in found for one in batch.groups)
