"""Reads hostile input of each kind in a process with limits, and prints a table.

Usage: ``scripts/fuzz [KIND ...] [--mib N] [--mutations N] [--seed N]``. A kind is a row of `KINDS`.
Exits with 1 if anything fails: an exception, too much memory or time, or results that differ
between two runs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from tests.fuzz import pictures

Named = Iterator[tuple[str, bytes]]
ROOT = Path(__file__).parents[2]
AT_ONCE = 500
"""Files that are on disk at the same time."""


class Kind(NamedTuple):
    """A kind of input: its generators, and the program that reads it.

    The program gets a folder, CPU seconds and MiB for each file, and prints a line of JSON for each
    one: file, verdict, digest, cpu, mib.
    """

    hostile: Callable[[int], Named]
    mutations: Callable[[int, int], Named]
    program: str
    cpu_seconds: int
    mib: int


KINDS = {
    "pictures": Kind(pictures.hostile, pictures.mutations, "tests.fuzz.read_pictures", 10, 2048),
}


class Read(NamedTuple):
    """What a program found out about a file."""

    file: str
    verdict: str
    digest: str
    cpu: float
    mib: int


def read(kind: Kind, named: Named, dirt: int = 0) -> Iterator[Read]:
    """Lets the program of a kind read files. It finds `dirt` in all memory that it gets."""
    with tempfile.TemporaryDirectory() as folder:
        for name, data in named:
            Path(folder, name).write_bytes(data)
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        if dirt:
            environment["MALLOC_PERTURB_"] = str(dirt)
        ran = subprocess.run(
            [sys.executable, "-m", kind.program, folder, str(kind.cpu_seconds), str(kind.mib)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=True,
            text=True,
        )
    for line in ran.stdout.splitlines():
        yield Read(**json.loads(line))


def compared(kind: Kind, named: Named) -> Iterator[Read]:
    """Reads files twice, with other memory. What differs gets a verdict that says so."""
    files = list(named)
    first = read(kind, iter(files), 85)
    second = read(kind, iter(files), 170)
    for one, two in zip(first, second, strict=True):
        same = (one.verdict, one.digest) == (two.verdict, two.digest)
        yield one if same else one._replace(verdict="FAILED: two runs differ")


def _in_pieces(named: Named) -> Iterator[Named]:
    held = []
    for one in named:
        held.append(one)
        if len(held) == AT_ONCE:
            yield iter(held)
            held = []
    if held:
        yield iter(held)


def main(arguments: list[str]) -> int:
    """Prints the table, and returns the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=__doc__)
    parser.add_argument("kind", nargs="*", choices=[*KINDS, []], help="default: all")
    parser.add_argument(
        "--mib", type=int, default=16, help="of hostile files; 0: none (default: 16)"
    )
    parser.add_argument("--mutations", type=int, default=5000, help="number (default: 5000)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the mutations (default: 0)")
    chosen = parser.parse_args(arguments)
    failed = 0
    for name in chosen.kind or KINDS:
        kind = KINDS[name]
        print(f"{name}: files of {chosen.mib} MiB\n{'':44}{'CPU s':>8}{'MiB':>8}")
        for one in kind.hostile(chosen.mib << 20) if chosen.mib else ():
            for found in read(kind, iter([one])):
                print(f"{found.file:44}{found.cpu:8.2f}{found.mib:8}  {found.verdict}", flush=True)
                failed += found.verdict.startswith("FAILED")
        print(f"\n{name}: {chosen.mutations} mutations, each read twice")
        verdicts: dict[str, Counter[str]] = defaultdict(Counter)
        worst: dict[str, tuple[float, int]] = defaultdict(lambda: (0.0, 0))
        for piece in _in_pieces(kind.mutations(chosen.mutations, chosen.seed)):
            for found in compared(kind, piece):
                source = found.file.split(",")[0]
                verdicts[source][found.verdict] += 1
                worst[source] = max(worst[source][0], found.cpu), max(worst[source][1], found.mib)
                if found.verdict.startswith("FAILED"):
                    failed += 1
                    print(f"{found.file}: {found.verdict}", flush=True)
        for source, counts in sorted(verdicts.items()):
            words = ", ".join(f"{verdict} {count}" for verdict, count in counts.most_common())
            print(f"{source:44}{worst[source][0]:8.2f}{worst[source][1]:8}  {words}")
    print(f"\n{failed} failures")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
