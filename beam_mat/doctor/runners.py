"""Which of Beam's runners work here. The in-process runner is tried."""

from __future__ import annotations

import importlib.util
import io
import shutil
import time
from collections.abc import Iterator

from beam_mat.doctor.finding import Finding, State
from beam_mat.runners import find_prism

_DATAFLOW = ("google.cloud.dataflow", "build", "gcsfs")


def runners() -> Iterator[Finding]:
    """Examines the in-process runner, image conversion, Prism and Dataflow."""
    yield _in_process()
    yield _images()
    yield _prism()
    missing = [module for module in _DATAFLOW if not _is_there(module)]
    if missing:
        cure = "Google Cloud needs it: pip install 'beam-mat[gcp]'"
        yield Finding("Dataflow", State.ABSENCE, f"{', '.join(missing)} not installed", cure)
    else:
        found = "the packages for submitting jobs are installed"
        yield Finding("Dataflow", State.GOOD, found)


def _in_process() -> Finding:
    what = "in this process"
    begin = time.monotonic()
    try:
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions

        from beam_mat.core.job import IN_PROCESS
        from beam_mat.runners.run import run_graph

        def add(pipeline: beam.Pipeline) -> None:
            numbers = pipeline | beam.Create([1, 2, 3]) | beam.Reshuffle()
            _ = numbers | beam.CombineGlobally(sum) | beam.Map(_hold_to_six)

        run_graph(IN_PROCESS, PipelineOptions([]), add, ())
    # Anything may go wrong, and is reported.
    except Exception as error:  # noqa: BLE001
        text = " ".join(str(error).split())[-300:]
        cure = "pip install --force-reinstall beam-mat, into an environment of its own"
        return Finding(what, State.FAULT, f"{type(error).__name__}: {text}", cure)
    return Finding(what, State.GOOD, f"ran a pipeline in {time.monotonic() - begin:.1f} s")


def _hold_to_six(total: int) -> None:
    if total != 6:
        raise ValueError(f"the sum of 1, 2 and 3 is {total}")


def _images() -> Finding:
    try:
        from PIL import Image

        from beam_mat.core.geometry import Budget
        from beam_mat.core.image import Picture, prepare

        file = io.BytesIO()
        Image.new("RGB", (600, 600), "teal").save(file, "JPEG")
        made = prepare(file.getvalue(), Budget())
        if isinstance(made, Picture):
            return Finding("images", State.GOOD, "decoded, resized and encoded one")
        text = made.detail
    except Exception as error:  # noqa: BLE001  # see above
        text = f"{type(error).__name__}: {error}"
    cure = "pip install --force-reinstall pillow cykooz-resizer"
    return Finding("images", State.FAULT, text, cure)


def _prism() -> Finding:
    broken = ""
    for place in find_prism.places():
        if find_prism.is_prism(place.path):
            use = f"--runner PrismRunner --prism_location {place.path}"
            return Finding("Prism", State.GOOD, f"found ({place.found}): {use}")
        if place.found != "from PATH":  # another program may have the name
            broken = f"{place.path} ({place.found}) does not run; "
    go = "scripts/prism builds it" if shutil.which("go") else "install Go and run scripts/prism"
    return Finding(
        "Prism",
        State.ABSENCE,
        f"{broken}not found",
        f"{go}; with internet access Beam downloads it; only beam-mat watch needs it",
    )


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
