"""Runs the command line, in this process or in another one."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from beam_mat.cli.entry import main

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = (sys.executable, "-c", "from beam_mat.cli import main; raise SystemExit(main())")


@dataclass(frozen=True)
class Ran:
    """Exit code and output of a command."""

    code: int
    out: str
    err: str


def run(*words: object) -> Ran:
    """Runs the command in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(word) for word in words])
    return Ran(code, out.getvalue(), err.getvalue())


def spawn(*words: object, environment: Mapping[str, str] | None = None) -> Ran:
    """Runs the command in a new process. `environment` is added to that of this process."""
    # The path is needed if the package is not installed.
    ended = subprocess.run(
        [*PROGRAM, *map(str, words)],
        env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    return Ran(ended.returncode, ended.stdout, ended.stderr)


def convert_words(
    json: Path | Iterable[Path], images: Path | Iterable[Path], output: Path
) -> list[str]:
    """Returns the arguments of a conversion, to which options can be added."""
    shards = [json] if isinstance(json, Path) else list(json)
    sources = [images] if isinstance(images, Path) else list(images)
    words = ["convert", "--json", *shards, "--images", *sources, "--output", output]
    return [str(word) for word in words]


def converted(
    json: Path | Iterable[Path], images: Path | Iterable[Path], output: Path, *options: object
) -> Path:
    """Converts in this process, expects success, and returns the output folder."""
    ran = run(*convert_words(json, images, output), *options)
    assert ran.code == 0, ran.err
    return output
