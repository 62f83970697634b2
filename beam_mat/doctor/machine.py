"""The machine's cores, memory and disk space."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.filesize import decimal

from beam_mat.doctor.finding import Finding, State

CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def machine() -> Iterator[Finding]:
    """Cores that this process may use, memory, and free disk here and for temporary files."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Finding("cores", State.GOOD, str(usable or 1))
    memory = _memory()
    yield Finding("memory", State.GOOD, decimal(memory) if memory else "unknown on this system")
    yield _disk("disk, this folder", Path.cwd())
    yield _disk("disk, temporary files", Path(tempfile.gettempdir()))


def _memory() -> int | None:
    """Bytes that all processes here may use: the machine's memory, or a container's limit."""
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None
    for limit in CGROUP_LIMITS:
        try:
            total = min(total, int(Path(limit).read_text(encoding="ascii")))
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return total


def _disk(what: str, folder: Path) -> Finding:
    try:
        free = decimal(shutil.disk_usage(folder).free)
        with tempfile.TemporaryFile(dir=folder):
            return Finding(what, State.GOOD, f"{free} free in {folder}")
    except OSError as error:
        # Workers need the folder for temporary files; the output can be elsewhere.
        state = State.FAULT if "temporary" in what else State.ABSENCE
        cure = "set TMPDIR to a writable folder" if "temporary" in what else ""
        return Finding(what, state, f"cannot write to {folder}: {error.strerror}", cure)
