"""Which of Beam's runners work here. The one in this process is tried."""

from __future__ import annotations

import importlib.util
import io
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from beam_mat.doctor.finding import Finding, State

CHECKOUT = Path(__file__).resolve().parents[2]
_DATAFLOW = ("google.cloud.dataflow", "build", "gcsfs")
_ANSWER_SECONDS = 10


def runners() -> Iterator[Finding]:
    """The in-process runner, the work on images, Prism and Dataflow."""
    yield _in_process()
    yield _images()
    yield _prism()
    yield _dataflow()


def _in_process() -> Finding:
    what = "in this process"
    begin = time.monotonic()
    try:
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions

        from beam_mat.config import IN_PROCESS
        from beam_mat.run import run_graph

        def add(pipeline: beam.Pipeline) -> None:
            numbers = pipeline | beam.Create([1, 2, 3]) | beam.Reshuffle()
            _ = numbers | beam.CombineGlobally(sum) | beam.Map(_hold_to_six)

        run_graph(IN_PROCESS, PipelineOptions([]), add, ())
    # Whatever goes wrong is what was asked about.
    except Exception as error:  # noqa: BLE001
        told = " ".join(str(error).split())[-300:]
        cure = "pip install --force-reinstall beam-mat, into an environment of its own"
        return Finding(what, State.FAULT, f"{type(error).__name__}: {told}", cure)
    return Finding(what, State.GOOD, f"ran a pipeline in {time.monotonic() - begin:.1f} s")


def _hold_to_six(total: int) -> None:
    if total != 6:
        raise ValueError(f"1 + 2 + 3 came out as {total}")


def _images() -> Finding:
    try:
        from PIL import Image

        from beam_mat.core.geometry import Budget
        from beam_mat.core.image import Picture, prepare

        file = io.BytesIO()
        Image.new("RGB", (600, 600), "teal").save(file, "JPEG")
        made = prepare(file.getvalue(), Budget())
        if isinstance(made, Picture):
            return Finding("images", State.GOOD, "decoded, resized and written one")
        told = made.detail
    except Exception as error:  # noqa: BLE001  # see above
        told = f"{type(error).__name__}: {error}"
    cure = "pip install --force-reinstall pillow cykooz-resizer"
    return Finding("images", State.FAULT, told, cure)


def _prism() -> Finding:
    broken = ""
    for path in _prism_places():
        try:
            # It has no word that prints its version, and other programs have its name.
            ran = subprocess.run(
                [path, "-h"], capture_output=True, timeout=_ANSWER_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            broken = f"{path} does not run; "
            continue
        if b"job_port" not in ran.stdout + ran.stderr:
            continue
        use = f"--runner PrismRunner --prism_location {path}"
        return Finding("Prism", State.GOOD, f"found: {use}")
    go = "scripts/prism builds it" if shutil.which("go") else "install Go and run scripts/prism"
    return Finding(
        "Prism",
        State.ABSENCE,
        f"{broken}not found",
        f"{go}; with internet --runner PrismRunner downloads it; only streaming needs it",
    )


def _prism_places() -> list[str]:
    on_path = shutil.which("prism")
    downloaded = Path("~/.apache_beam/cache/prism/bin").expanduser()
    places = [CHECKOUT / ".cache/prism/prism", Path(".cache/prism/prism").absolute()]
    if downloaded.is_dir():
        places += sorted(downloaded.iterdir())
    runs = [str(place) for place in places if place.is_file() and os.access(place, os.X_OK)]
    return [*([on_path] if on_path else []), *runs]


def _dataflow() -> Finding:
    missing = [module for module in _DATAFLOW if not _is_there(module)]
    if not missing:
        return Finding("Dataflow", State.GOOD, "what submits jobs is installed")
    cure = "Google Cloud needs it: pip install 'beam-mat[gcp]'"
    return Finding("Dataflow", State.ABSENCE, f"{', '.join(missing)} not installed", cure)


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
