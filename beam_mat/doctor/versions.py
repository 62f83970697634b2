"""Versions of what is installed, compared with what this package requires."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib import metadata

import beam_mat
from beam_mat.doctor.finding import Finding, State

NEEDED = ("apache-beam", "fsspec", "msgspec", "pillow", "pyarrow")
DRIVERS = {"gcsfs": ("gs://", "gcp"), "s3fs": ("s3://", "s3"), "huggingface_hub": ("hf://", "hf")}
"""Each with the addresses that it reads, and the extra of this package that installs it."""


def versions() -> Iterator[Finding]:
    """Examines this package, Python, and the libraries that conversions need."""
    yield Finding("beam-mat", State.GOOD, beam_mat.__version__)
    python = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    yield Finding("python", State.GOOD, python)
    wanted = _wanted()
    for name in NEEDED:
        yield _package(name, wanted.get(name, ""))
    yield _resizer()


def drivers() -> Iterator[Finding]:
    """Examines the drivers for object stores."""
    for name, (address, extra) in DRIVERS.items():
        found = _version(name)
        if found:
            yield Finding(name, State.GOOD, f"{found}, for {address}")
        else:
            cure = f"{address} needs it: pip install 'beam-mat[{extra}]'"
            yield Finding(name, State.ABSENCE, "not installed", cure)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _wanted() -> dict[str, str]:
    """The versions that this package requires, by name; empty if it is not installed."""
    try:
        from packaging.requirements import Requirement

        listed = map(Requirement, metadata.requires("beam-mat") or ())
    except (metadata.PackageNotFoundError, ImportError):
        return {}
    return {
        requirement.name: str(requirement.specifier)
        for requirement in listed
        if not requirement.extras and "extra" not in str(requirement.marker)
    }


def _package(name: str, wanted: str) -> Finding:
    found = _version(name)
    cure = f"pip install '{name}{wanted}'"
    if found is None:
        return Finding(name, State.FAULT, "not installed", cure)
    if wanted:
        from packaging.specifiers import SpecifierSet

        if not SpecifierSet(wanted).contains(found, prereleases=True):
            return Finding(name, State.FAULT, f"{found}, {wanted} is needed", cure)
    return Finding(name, State.GOOD, found)


def _resizer() -> Finding:
    try:
        from beam_mat.core.image import resizer_name

        return Finding("resizer", State.GOOD, resizer_name())
    except Exception as error:  # noqa: BLE001  # a broken wheel may raise anything
        return Finding("resizer", State.FAULT, str(error), "pip install --force-reinstall beam-mat")
