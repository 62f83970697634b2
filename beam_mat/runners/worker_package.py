"""What cloud workers install: this package and its requirements, staged with the graph.

A worker without a public address can reach the job's bucket, but no package index. So Beam is given
a project to pack (``--setup_file``) with the files of this package, and wheels of all requirements
in the versions that are installed here: other versions of the image and Parquet libraries would
write other bytes. On the worker, the boot program of Beam's container
(`sdks/python/container/piputil.go`) looks for requirements among the staged files first.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import beam_mat
from beam_mat.core.errors import ConfigError
from beam_mat.storage.stores import DRIVERS

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions

PLATFORMS = ("manylinux2014_x86_64", *(f"manylinux_2_{minor}_x86_64" for minor in range(17, 37)))
"""Platforms whose wheels run in Beam's containers: Debian 12 with glibc 2.36."""

_PROJECT = """\
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "beam-mat"
version = "{version}"
dependencies = {requirements}

[tool.setuptools.packages.find]
include = ["beam_mat*"]

[tool.setuptools.package-data]
"*" = ["*"]
"""


@contextlib.contextmanager
def staged(options: PipelineOptions, protocols: Iterable[str]) -> Iterator[None]:
    """Points `options` to the package until the block ends; Beam must stage it in the block.

    Workers read and write addresses with these `protocols`, such as ``gs``. If the user names a
    setup file or a container, it must contain everything. Raises a ConfigError if a requirement
    cannot be found or fetched.
    """
    from apache_beam.options.pipeline_options import SetupOptions, WorkerOptions

    setup = options.view_as(SetupOptions)
    if setup.setup_file:
        # Beam changes to the file's folder, and a bare name has none.
        setup.setup_file = str(Path(setup.setup_file).resolve())
    if setup.setup_file or options.view_as(WorkerOptions).sdk_container_image:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="beam-mat-") as name:
        folder, needed = Path(name), requirements(protocols)
        setup.setup_file = str(write_project(folder / "project", needed))
        if not setup.requirements_file:
            pinned = folder / "requirements.txt"
            pinned.write_text("\n".join(pins(needed)) + "\n", encoding="utf-8")
            setup.requirements_file = str(pinned)
            wheels = _download(pinned, folder / "wheels")
            setup.files_to_stage = [*(setup.files_to_stage or []), *wheels]
            # Otherwise Beam would fetch them again one by one, for one platform only.
            setup.requirements_cache = "skip"
        yield


def requirements(protocols: Iterable[str]) -> list[Requirement]:
    """The requirements of this package, with those of its extras that these protocols need.

    Raises a ConfigError if the package is not installed.
    """
    drivers = {DRIVERS[protocol][0] for protocol in protocols if protocol in DRIVERS}
    try:
        known = [Requirement(text) for text in metadata.requires("beam-mat") or ()]
    except metadata.PackageNotFoundError:
        fault = (
            "beam-mat is not installed, so the requirements of workers are unknown; install it "
            "with pip, or give --setup_file or --sdk_container_image"
        )
        raise ConfigError([fault]) from None
    needed = []
    for requirement in known:
        if "extra" not in str(requirement.marker):
            needed.append(requirement)
        elif requirement.name in drivers:
            requirement.marker = None
            needed.append(requirement)
    return needed


def write_project(folder: Path, needed: Iterable[Requirement]) -> Path:
    """Writes a project with this package to a new folder, and returns its pyproject.toml."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(beam_mat.__file__).parent, folder / "beam_mat", ignore=ignored)
    project = folder / "pyproject.toml"
    listed = json.dumps([str(requirement) for requirement in needed])
    text = _PROJECT.format(version=beam_mat.__version__, requirements=listed)
    project.write_text(text, encoding="utf-8")
    return project


def pins(needed: Iterable[Requirement]) -> list[str]:
    """The requirements and everything that they require, as ``name==version`` as installed here.

    Apache Beam is left out: a worker's container has the same version. Raises a ConfigError if one
    of them is not installed.
    """
    versions: dict[str, str] = {}
    done = set()
    waiting = [one for one in needed if one.name != "apache-beam" and _applies(one)]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if (name, *sorted(requirement.extras)) in done:
            continue
        done.add((name, *sorted(requirement.extras)))
        try:
            found = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            fault = f"{name} is not installed, but workers need it: pip install '{requirement}'"
            raise ConfigError([fault]) from None
        versions[name] = found.version
        required = map(Requirement, found.requires or ())
        waiting += [one for one in required if _applies(one, requirement.extras)]
    return [f"{name}=={version}" for name, version in sorted(versions.items())]


def _applies(requirement: Requirement, extras: Iterable[str] = ()) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras))


def _download(requirements_file: Path, folder: Path) -> list[str]:
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary", ":all:", "--requirement", str(requirements_file)]
    command += ["--dest", str(folder), "--python-version", python, "--implementation", "cp"]
    for abi in (f"cp{python.replace('.', '')}", "abi3", "none"):
        command += ["--abi", abi]
    for platform in PLATFORMS:
        command += ["--platform", platform]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        why = re.findall("^ERROR: (.*)$", ended.stderr, re.MULTILINE) or ["pip failed"]
        fault = (
            f"the wheels for the workers cannot be fetched ({why[-1]}); submit from a machine "
            "where pip can, or give --sdk_container_image"
        )
        raise ConfigError([fault])
    return sorted(map(str, folder.iterdir()))
