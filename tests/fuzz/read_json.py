"""Converts and checks JSON shards under limits: a program, because limits hold for a process.

Usage: ``python -m tests.fuzz.read_json FOLDER OUTPUT CPU_SECONDS MIB``. The limits are those of one
shard. Prints a line of JSON for each shard of the folder, see `Took`. No Beam: these are the plain
functions that each step of a graph calls, one after the other.
"""

from __future__ import annotations

import resource
import sys
from collections import Counter

import msgspec

from beam_mat.core.chunk import Shard
from beam_mat.core.contract.entry import Entry
from beam_mat.core.contract.examine import Examiner, Rules
from beam_mat.core.contract.unit import DatasetFile, FileNote
from beam_mat.core.errors import ShardError, SourceError
from beam_mat.core.image import ImageFault
from beam_mat.core.reject import Reason
from beam_mat.core.results import ChunkFact, ImageOutcome
from beam_mat.core.settings import Settings
from beam_mat.storage import files
from beam_mat.work import chunks, data_files

ENTRY = Entry(
    "mat",
    "",
    {"messages": "messages", "images": "images", "system": "system"},
    {"role_tag": "role", "content_tag": "content"},
)


def convert(shard: Shard, output: str) -> Counter[str]:
    """Splits a shard and writes its chunks. All images are missing. Counts accepted and reasons."""
    settings, counts = Settings(output), Counter[str]()
    lost = ImageFault(Reason.IMAGE_MISSING, "lost")
    try:
        for chunk in chunks.split(settings, shard):
            wanted = chunks.request(settings, chunk)
            facts = [ChunkFact(chunk=chunk)]
            outcomes = tuple(ImageOutcome(path, lost) for path in wanted.images)
            facts.append(ChunkFact(outcomes=outcomes))
            _, made = chunks.write(settings, facts)
            counts["accepted"] += made.accepted
            counts.update({one.reason.value: one.count for one in made.rejected})
    except ShardError:
        counts["no_shard"] += 1
    return counts


def check(shard: Shard) -> int:
    """Checks a file as if it were a dataset, and reads all its rows as `show` does."""
    file = DatasetFile(0, 0, shard.uri, shard.size, shard.version, "json")
    rows = 0
    for unit in data_files.units(FileNote(file)):
        examiner = Examiner(unit, ENTRY, Rules(1 << 18), lambda images: [])
        data_files.examine(examiner)
        rows += examiner.note().rows
        sum(1 for _ in examiner.uses())
    try:
        for row in data_files.rows(file):
            row.load()
    except SourceError:
        pass  # a row that is no JSON is named
    return rows


class Took(msgspec.Struct):
    """What became of the records of a shard, the rows that were checked, and what both took.

    `seconds` are those of the CPU, and `mib` by how much the peak of memory is above its beginning.
    """

    name: str
    counts: dict[str, int]
    rows: int
    seconds: float
    mib: int


def main(folder: str, output: str, seconds: str, mib: str) -> None:
    limit = address_space() + (int(mib) << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    _, least = usage()
    for name, found in files.find(folder):
        before, _ = usage()
        resource.setrlimit(
            resource.RLIMIT_CPU, (int(before) + int(seconds), resource.RLIM_INFINITY)
        )
        shard = Shard(found.uri, 0, found.size, found.version)
        counts = convert(shard, output)
        rows = check(shard)
        after, peak = usage()
        took = Took(name, dict(counts), rows, round(after - before, 2), peak - least)
        sys.stdout.write(msgspec.json.encode(took).decode() + "\n")
        sys.stdout.flush()


def usage() -> tuple[float, int]:
    """CPU seconds, and the largest MiB of memory so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime, used.ru_maxrss >> 10


def address_space() -> int:
    """Bytes of address space of this process. Libraries take much of it without using it."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


if __name__ == "__main__":
    main(*sys.argv[1:])
