"""Bytes of image files: coalesced reads, each member checked."""

from __future__ import annotations

from collections.abc import Iterator

from beam_mat.core.image import ImageFault
from beam_mat.core.member import Member, Packing, coalesce, unpack
from beam_mat.storage import files


def fetch(members: list[Member]) -> Iterator[tuple[Member, memoryview | ImageFault]]:
    """Reads members' entries, run by run (`coalesce`). Members with a fault are not read.

    Yields:
        Each member with its entry's bytes, still to be unpacked, or with its fault.
    """
    for member in members:
        if member.fault:
            yield member, member.fault
    for run in coalesce(member for member in members if not member.fault):
        first = run[0]
        if first.packing is Packing.FILE:
            yield first, memoryview(files.read_range(first.source, 0, first.size))
            continue
        start = first.offset
        block = memoryview(files.read_range(first.source, start, max(member.end for member in run)))
        # The largest first: then no thread is left with one when the others are done.
        for member in sorted(run, key=lambda member: -member.packed):
            yield member, block[member.offset - start : member.end - start]


def load(member: Member, found: memoryview | ImageFault) -> bytes | ImageFault:
    """The member's file, or why it cannot be had."""
    return found if isinstance(found, ImageFault) else unpack(member, found)
