"""Converts and checks one JSON shard under limits: a program, because limits hold for a process.

Usage: ``python -m tests.fuzz.read_json SHARD OUTPUT CPU_SECONDS MIB``. Prints one line of JSON: the
number of accepted and rejected records, and the CPU seconds and the MiB of memory that it took.
No Beam: these are the plain functions that each step of a graph calls, one after the other.
"""

from __future__ import annotations

import json
import resource
import sys
from collections import Counter

from beam_mat.core.chunk import Shard
from beam_mat.core.contract.entry import Entry
from beam_mat.core.contract.examine import Examiner, Rules
from beam_mat.core.contract.unit import DatasetFile, FileNote
from beam_mat.core.errors import ShardError, SourceError
from beam_mat.core.reject import Reason
from beam_mat.core.results import ChunkFact, ImageFault, ImageOutcome
from beam_mat.core.settings import Settings
from beam_mat.storage.files import info
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


def main(path: str, output: str, seconds: str, mib: str) -> None:
    found = info(path)
    shard = Shard(found.uri, 0, found.size, found.version)
    before = usage()
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds) + 1))
    limit = address_space() + (int(mib) << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    took = {}
    counts = convert(shard, output)
    took["convert"] = usage()
    rows = check(shard)
    took["check"] = usage()
    sys.stdout.write(json.dumps({"counts": counts, "rows": rows, "before": before, **took}))


def usage() -> tuple[float, int]:
    """CPU seconds, and the largest MiB of memory so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return round(used.ru_utime + used.ru_stime, 2), used.ru_maxrss >> 10


def address_space() -> int:
    """Bytes of address space of this process. Libraries take much of it without using it."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


if __name__ == "__main__":
    main(*sys.argv[1:])
