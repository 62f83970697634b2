"""Describes the machine and the versions for the report."""

import datetime
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

PACKAGES = ("beam-mat", "apache-beam", "pillow", "cykooz-resizer", "pyarrow")


def machine() -> str:
    """Cores, memory, processor and system, on one line."""
    memory = psutil.virtual_memory().total / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, {_processor()}, {platform.system()}"


def versions() -> str:
    """The date and the relevant versions, on one line."""
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    found = [f"{package} {_version(package)}" for package in PACKAGES]
    python = f"Python {platform.python_version()}"
    return ", ".join([today, python, *found])


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
