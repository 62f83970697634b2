"""Reads image files: nearby members in one read, and each member is checked."""

from __future__ import annotations

from collections.abc import Iterator

from beam_mat.core.image import ImageFault
from beam_mat.core.member import Member, Packing, coalesce, unpack
from beam_mat.storage import files


def fetch(members: list[Member]) -> Iterator[tuple[Member, memoryview | ImageFault]]:
    """Reads the entries of members, run by run (`coalesce`). Members with a fault are not read.

    Yields:
        Each member with the packed bytes of its entry, or with its fault.
    """
    for member in members:
        if member.fault:
            yield member, member.fault
    runs = list(coalesce(member for member in members if not member.fault))
    for run, data in zip(runs, files.read_ranges(map(_range, runs)), strict=True):
        block = memoryview(data)
        start = run[0].offset if run[0].packing is not Packing.FILE else 0
        # The largest come first, so that all threads finish at about the same time.
        for member in sorted(run, key=lambda member: -member.packed):
            if member.packing is Packing.FILE:
                yield member, block
            else:
                yield member, block[member.offset - start : member.end - start]


def _range(run: list[Member]) -> files.Range:
    first = run[0]
    if first.packing is Packing.FILE:
        return first.source, 0, first.size
    return first.source, first.offset, max(member.end for member in run)


def load(member: Member, found: memoryview | ImageFault) -> bytes | ImageFault:
    """Returns the bytes of the member's file, or its fault."""
    if isinstance(found, ImageFault):
        return found
    data = unpack(member, found)
    if isinstance(data, ImageFault) and not files.is_near(member.source):
        # The data may have been damaged during the transfer, so the member is read again.
        again = files.read_range(member.source, member.offset, member.end)
        return unpack(member, memoryview(again))
    return data
