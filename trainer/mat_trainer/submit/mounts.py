"""The volumes of a job, and whether the run's folders are on them."""

from __future__ import annotations

import os.path
from collections.abc import Sequence
from pathlib import PurePosixPath

import msgspec

from mat_trainer.submit.job import Job


class Mount(msgspec.Struct, frozen=True):
    """A volume: its name or URI, and its path on the nodes."""

    source: str
    path: str


def parse(texts: Sequence[str], found: list[str]) -> tuple[Mount, ...]:
    """Reads texts of the form SOURCE=PATH; adds their faults to `found`."""
    mounts = []
    for text in texts:
        source, _, path = text.rpartition("=")
        place = os.path.normpath(path)
        if not source or not os.path.isabs(path) or not place.strip("/"):
            found.append(f"--mount {text}: must be SOURCE=PATH, such as training-data=/data")
            continue
        mounts.append(Mount(source, place))
    paths = [mount.path for mount in mounts]
    found += [
        f"--mount: {path} is given twice; use another path for each source"
        for path in sorted({path for path in paths if paths.count(path) > 1})
    ]
    return tuple(mounts)


def faults(job: Job, mounts: Sequence[Mount]) -> list[str]:
    """Folders on no volume, which would be lost or missing, one sentence each."""
    found = []
    for option, path, why in (
        ("--output-dir", job.output_dir, "checkpoints would be lost with the machine"),
        ("--dataset", job.dataset, "the machine would not find it"),
    ):
        if "://" not in path and not any(is_below(path, mount.path) for mount in mounts):
            there = ", ".join(mount.path for mount in mounts) or "none are given"
            found.append(
                f"{option} {path}: not on a mounted volume ({there}), so {why}; see --mount"
            )
    return found


def is_below(path: str, folder: str) -> bool:
    """Whether a path on the nodes is a folder or in it."""
    pure = PurePosixPath(path)
    return ".." not in pure.parts and pure.is_relative_to(folder)
