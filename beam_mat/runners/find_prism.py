"""Where Prism, Apache Beam's local runner, is on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from beam_mat.core.errors import ConfigError
from beam_mat.core.job import PRISM
from beam_mat.runners import choose
from beam_mat.runners.choose import given

CHECKOUT = Path(__file__).resolve().parents[2]
ANSWER_SECONDS = 10


class Place(NamedTuple):
    """A program that may be Prism, and how it was found."""

    path: str
    found: str


def placed(beam: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """Names Prism where no runner and no place for it were given.

    Args:
        beam: Beam's options as typed.

    Returns:
        The options with ``--runner`` and ``--prism_location``, and a sentence that says which Prism
        is used; the options as they were, and "", where they name another runner or a place.

    Raises:
        ConfigError: $PRISM names a program that is not Prism.
    """
    named = given(beam, "prism_location") or given(beam, "job_endpoint")
    asked = (given(beam, "runner") or "DirectRunner").lower()
    if named or asked not in ("direct", "directrunner", "prism", "prismrunner"):
        return tuple(beam), ""
    by_runner = (*beam, f"--runner={PRISM}")
    variable = os.environ.get("PRISM")
    for place in places():
        if is_prism(place.path):
            used = f"Using Prism at {place.path} ({place.found})"
            return (*by_runner, f"--prism_location={place.path}"), used
        if place.path == variable:
            raise ConfigError(
                [
                    f"PRISM={variable}: this is not Beam's Prism; correct the variable, or unset "
                    "it to have Prism searched for"
                ]
            )
    return by_runner, (
        f"Prism was not found on this machine; Beam downloads it to {beams_cache()} unless it is "
        "there"
    )


def places() -> Iterator[Place]:
    """Programs that may be Prism, the first choice first."""
    if variable := os.environ.get("PRISM"):
        yield Place(variable, "from the variable PRISM")
    if on_path := shutil.which("prism"):
        yield Place(on_path, "from PATH")
    for folder in dict.fromkeys((CHECKOUT, Path.cwd())):
        built = folder / ".cache" / "prism" / "prism"
        if _is_program(built):
            yield Place(str(built), "built by scripts/prism")
    cache = beams_cache()
    if cache.is_dir():
        version = choose.beam_version()
        for path in sorted(cache.iterdir(), reverse=True):
            if f"v{version}-" in path.name and _is_program(path):
                yield Place(str(path), "from Beam's cache")


def beams_cache() -> Path:
    """The folder where Beam keeps the Prism that it downloads: `PrismJobServer.BIN_CACHE`."""
    return Path("~/.apache_beam/cache/prism/bin").expanduser()


def is_prism(path: str) -> bool:
    """Whether the program is Prism: it cannot print its version, and others have its name."""
    try:
        ran = subprocess.run([path, "-h"], capture_output=True, timeout=ANSWER_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return b"job_port" in ran.stdout + ran.stderr


def _is_program(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
