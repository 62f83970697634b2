"""Pictures of which some make their decoder misbehave, and what must come of them."""

from __future__ import annotations

import os
from pathlib import Path

from tests import outputs
from tests.command import ROOT
from tests.making import image_record, picture, write_shard, write_zip

CRASHING = ROOT / "tests" / "crashing"
ENVIRONMENT = {"PYTHONPATH": os.pathsep.join(map(str, (CRASHING, ROOT)))}
CRASHES = {
    "abort": "the decoder was ended by SIGABRT",
    "fault": "the decoder was ended by SIGSEGV",
    "exit": "the decoder exited with code 3",
    "allocate": "it needs more than 2048 MiB of memory",
}
GOOD = {f"good/{number}.jpg": picture(seed=number) for number in range(40)}


def bad(*orders: str) -> dict[str, bytes]:
    """Returns pictures on which the decoder misbehaves, by the order that they contain."""
    return {
        f"good/{n}-{order}.jpg": picture() + f"misbehave:{order};".encode()
        for n, order in enumerate(orders)
    }


def write_inputs(folder: Path, *orders: str) -> tuple[Path, Path]:
    """Writes a shard and a zip with bad pictures between good ones."""
    pictures = dict(sorted({**GOOD, **bad(*orders)}.items()))
    shard = write_shard(folder / "in.json", [image_record(path, path) for path in pictures])
    return shard, write_zip(folder / "in.zip", pictures)


def faults(output: Path) -> dict[str, tuple[str, str]]:
    """Returns reason and detail of each rejected record, by id."""
    return {one["id"]: (one["reason"], one["detail"]) for one in outputs.rejects(output)}


def check(output: Path, *orders: str) -> None:
    """Checks that bad pictures cost their own records, and nothing else."""
    assert faults(output) == {
        path: ("image_crashes_decoder", f"{path!r}: {CRASHES[order]}")
        for path, order in zip(bad(*orders), orders, strict=True)
    }
    table = outputs.image_table(output)
    assert {path for path, row in table.items() if row["file"]} == set(GOOD)
    assert len(outputs.rows(output)) == len(outputs.parquet_rows(output)) == len(GOOD)
