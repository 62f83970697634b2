"""The runner that Beam's options ask for, and whether it can do the job with its inputs and output.

Does not import Beam. Functions that take `faults` add to them what is wrong.

Options are kept as typed, one word each: ``--runner=PrismRunner`` or ``--streaming``.
"""

from __future__ import annotations

import contextlib
import difflib
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata, resources
from typing import TYPE_CHECKING

import msgspec

from beam_mat.core import layout
from beam_mat.core.credentials import secrets_in, without_credentials
from beam_mat.core.errors import ConfigError, StoreError
from beam_mat.core.job import DATAFLOW, IN_PROCESS, PRISM
from beam_mat.core.pattern import reaches
from beam_mat.storage import files, stores
from beam_mat.work.workers import usable_cores

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions

OPTIONS = msgspec.json.decode(
    resources.files(__package__ or "").joinpath("beam_options.json").read_bytes(),
    type=dict[str, str | tuple[str, ...]],
)
"""Each option of Beam with the kind of its value; scripts/beam_options.py writes the file.

The kinds are "flag" for none, "optional" for one that may be left out, "text", "int" or "float", or
the values that Beam accepts.
"""

RUNNERS = frozenset(
    "bundlebaseddirect dataflow direct flink fnapi interactive kafkastreams portable prism spark "
    "switchingdirect testdataflow testdirect".split()
)
"""Beam's runners (``StandardOptions.ALL_KNOWN_RUNNERS``), in lower case, without "Runner"."""


def given(beam: Sequence[str], name: str) -> str | None:
    """The value of an option, "" for a flag, or None where it was not typed.

    >>> given(["--runner=PrismRunner", "--streaming"], "runner")
    'PrismRunner'
    """
    for word in reversed(beam):
        option, _, value = word.partition("=")
        if option == f"--{name}":
            return value
    return None


def runner_of(beam: Sequence[str]) -> str:
    """The name of the runner; see `beam_mat.core.job.Job`.

    >>> runner_of([]), runner_of(["--prism_location=prism"])
    ('FnApiRunner', 'PrismRunner')
    """
    # Beam's DirectRunner would first try to download Prism. Unless a place for Prism is named, the
    # runner inside this process is used: it needs nothing and starts fastest.
    asked = given(beam, "runner") or "DirectRunner"
    match asked.lower():
        case "direct" | "directrunner":
            return PRISM if given(beam, "prism_location") else IN_PROCESS
        case "prism" | "prismrunner":
            return PRISM
        case "fnapirunner":
            return IN_PROCESS
        case "dataflow" | "dataflowrunner":
            return DATAFLOW
    return asked


def is_local(runner: str) -> bool:
    """Whether the job's workers run on this machine."""
    return runner in (IN_PROCESS, PRISM)


def has_own_options(runner: str) -> bool:
    """Whether the runner may have options that Beam does not know, as Flink's job server has."""
    return not is_local(runner) and runner != DATAFLOW


def installed_version(package: str) -> str:
    """The version of a package that is installed, "" for none."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def missing_for_dataflow() -> list[str]:
    """The packages that submitting a job to Dataflow needs, and that are not installed."""
    needed = ("google-cloud-dataflow-client", "build", "gcsfs")
    return [package for package in needed if not installed_version(package)]


def image_workers(beam: Sequence[str]) -> int:
    """The number of image workers for each process of the runner, 0 for the cores that it may use.

    By default, an engine starts one process for each core of a machine.
    """
    runner = runner_of(beam)
    if not is_local(runner):
        alone = "no_use_multiple_sdk_containers"
        return 0 if any(word.startswith("--experiments") and alone in word for word in beam) else 1
    processes = 1
    if given(beam, "direct_running_mode") == "multi_processing":
        processes = int(given(beam, "direct_num_workers") or 1) or usable_cores()
    return max(1, usable_cores() // processes)


def pipeline_options(beam: Sequence[str]) -> PipelineOptions:
    """Beam's options. Imports Beam, and raises a ConfigError if Beam rejects a value."""
    from apache_beam.options.pipeline_options import PipelineOptions

    printed = io.StringIO()
    try:
        with contextlib.redirect_stderr(printed):
            options = PipelineOptions(list(beam))
            options.get_all_options()  # parses them
            return options
    except SystemExit:  # what argparse does after printing pages of usage
        *_, last = printed.getvalue().splitlines() or ["Apache Beam rejects the options"]
        fault = last.partition("error: ")[2] or last
        raise ConfigError([f"{fault.removeprefix('argument ')}; correct the value"]) from None


def runner_faults(
    beam: Sequence[str], uris: Mapping[str, Sequence[str]], *, detach: bool
) -> list[str]:
    """Why the runner cannot do the job, a sentence for each reason.

    `uris` has the places that workers read and write, by the option that names them; `detach` is
    whether the command exits after it has submitted the job.
    """
    runner = runner_of(beam)
    if runner == DATAFLOW:
        from beam_mat.runners import dataflow

        return dataflow.faults(pipeline_options(beam), uris)
    faults = []
    # A name with a dot is that of a class, which Beam imports.
    if "." not in runner and runner.lower().removesuffix("runner") not in RUNNERS:
        near = difflib.get_close_matches(runner, [PRISM, DATAFLOW, "FlinkRunner", "SparkRunner"], 1)
        meant = f"did you mean {near[0]}?" if near else f"give {PRISM}, {DATAFLOW} or FlinkRunner"
        faults.append(f"--runner {runner}: unknown runner; {meant}")
    if detach:
        faults.append("--detach: only a service continues on its own; add --runner DataflowRunner")
    return faults


def usable(faults: list[str], option: str, uris: Sequence[str]) -> Iterator[str]:
    """Yields the addresses that can be used at all; nothing is looked up."""
    for uri in uris:
        if fault := stores.fault_of(uri):
            faults.append(f"{option} {without_credentials(uri)}: {fault}")
        else:
            yield uri


FOLDER = "is a folder; give a pattern for the files in it, such as {0} '{1}/*.{2}'"
"""What is wrong if a folder is given instead of files, for an option, a folder and a suffix."""


def normalized(uris: Sequence[str]) -> list[str]:
    """The addresses that can be used, in their one spelling."""
    found = []
    for uri in usable([], "", uris):
        with contextlib.suppress(OSError, ValueError, StoreError):  # reported where it is looked up
            found.append(files.normalize(uri))
    return found


def output_folder(faults: list[str], uri: str | None, sources: Sequence[str]) -> str:
    """The URI of the output folder, "" where it cannot be used.

    `uri` is as typed, or None if it is missing, which has been reported. The output must not
    overlap the inputs in `sources`: files, folders and patterns.
    """
    if not uri or not list(usable(faults, "--output", [uri])):
        return ""
    try:
        output = files.normalize(uri)
        if files.is_read_only(output):
            faults.append(
                f"--output {uri}: beam-mat only reads from the hub; name a folder on a disk or an "
                "object store, and upload the dataset from there"
            )
            return ""
        if re.search(r"@(\d+|latest)$", output):
            faults.append(
                f"--output {uri}: what follows the @ names a generation, and a commit makes a new "
                "one; name the folder alone"
            )
        if files.exists(output) and not files.is_folder(output):
            faults.append(f"--output {uri}: this is a file; name a folder")
            return output
        faults += [
            f"--output {uri}: overlaps the input {source}, so the files would mix; name another "
            "folder"
            for source in dict.fromkeys(sources)
            if f"{output}/".startswith(f"{source}/")
            or f"{source}/".startswith(f"{output}/")
            or reaches(source, output)
        ]
        ours = (files.join(output, name) for name in (layout.MANIFEST, layout.WORK))
        if not any(map(files.exists, ours)) and files.find(output):
            faults.append(
                f"--output {uri}: contains other files that are not part of a dataset of beam-mat; "
                "name a new or empty folder"
            )
    except StoreError as error:
        faults.append(f"--output {error}")
        return ""
    except (OSError, ValueError) as error:
        faults.append(f"--output {uri}: cannot be used ({error}); name another folder")
        return ""
    return output


def storage_for_workers(faults: list[str], text: str, runner: str) -> str:
    """Applies ``--storage-options`` to this process; returns `core.settings.Settings.storage`."""
    options: stores.Options = {}
    if text:
        try:
            options = stores.parse(text)
        except ValueError as error:
            faults.append(f"--storage-options: {error}")
    stores.use(options)
    if is_local(runner):
        return ""  # workers here have this process's environment
    if stores.is_inline(text):
        faults += [
            f"--storage-options: {name} looks like a secret, and everyone who may look at the job "
            "would see it; give it to the workers by their identity or environment, or name a "
            "file that they can read"
            for name in secrets_in(options)
        ]
    return text
