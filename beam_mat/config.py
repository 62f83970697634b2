"""From options to a job: every value checked, every fault told at once."""

from __future__ import annotations

import os
from collections.abc import Sequence

import msgspec
from apache_beam.options.pipeline_options import (
    DirectOptions,
    PipelineOptions,
    StandardOptions,
    _BeamArgumentParser,
)

from beam_mat.core import layout
from beam_mat.core.chunk import Shard
from beam_mat.core.errors import ConfigError, SourceError
from beam_mat.core.geometry import Budget
from beam_mat.core.notes import Source
from beam_mat.core.resizer import resizer_name
from beam_mat.core.settings import JSONL, PARQUET, Settings
from beam_mat.options import ConvertOptions
from beam_mat.storage import catalog, files, shards

IN_PROCESS = "FnApiRunner"
PRISM = "PrismRunner"


class Job(msgspec.Struct, frozen=True):
    """A checked conversion.

    Attributes:
        shards: The JSON input, in order.
        sources: The images, in order of precedence.
        settings: What the steps need.
        limit: Records to convert, or None for all.
        max_rejected: Greatest share of rejected records, or None.
        runner: The runner's name; `IN_PROCESS` for the one inside this process, `PRISM`.
    """

    shards: tuple[Shard, ...]
    sources: tuple[Source, ...]
    settings: Settings
    limit: int | None
    max_rejected: float | None
    runner: str


def parser(*own: type[PipelineOptions]) -> _BeamArgumentParser:
    """The parser of everything that Beam knows, and of options of this project's `own`."""
    whole = _BeamArgumentParser(allow_abbrev=False, add_help=False)
    for options in (*_beam_options(PipelineOptions), *own):
        if "_add_argparse_args" in options.__dict__:
            options._add_argparse_args(whole)
    return whole


def _beam_options(kind: type[PipelineOptions]) -> list[type[PipelineOptions]]:
    known: dict[type[PipelineOptions], None] = {}
    for child in kind.__subclasses__():
        if child.__module__.startswith("apache_beam.options."):
            known[child] = None
            known.update(dict.fromkeys(_beam_options(child)))
    return list(known)


def resolve(options: PipelineOptions, unknown: Sequence[str] = ()) -> Job:
    """Checks the options and looks the inputs up.

    Args:
        options: As typed.
        unknown: Words on the command line that no option took.

    Raises:
        ConfigError: With every fault that was found.
    """
    typed = options.view_as(ConvertOptions)
    faults = [f"{word}: no such option; see beam-mat convert --help" for word in unknown]
    budget = Budget(
        whole_number(faults, "--max-pixels", typed.max_pixels, 28 * 28) or 0,
        whole_number(faults, "--min-pixels", typed.min_pixels, 1) or 0,
    )
    if not faults and budget.min_pixels > budget.max_pixels:
        faults.append(f"--min-pixels {budget.min_pixels} is more than --max-pixels")
    val_fraction = _fraction(faults, "--val-fraction", typed.val_fraction) or 0.0
    limit = typed.limit and whole_number(faults, "--limit", typed.limit, 1)
    max_rejected = typed.max_rejected and _fraction(faults, "--max-rejected", typed.max_rejected)
    formats = _formats(faults, typed.formats)
    prefixes = _prefixes(faults, typed.rewrite)
    _one_of(faults, "--duplicates", typed.duplicates, ("keep", "drop"))
    _one_of(faults, "--exif", typed.exif, ("ignore", "apply"))
    found = _shards(faults, typed.json)
    sources = _sources(faults, typed.images)
    output = _output(faults, typed.output, typed.overwrite, [source.uri for source in sources])
    if faults:
        raise ConfigError(faults)
    settings = Settings(
        output=output,
        budget=budget,
        prefixes=prefixes,
        formats=formats,
        val_fraction=val_fraction,
        drop_duplicates=typed.duplicates == "drop",
        apply_exif=typed.exif == "apply",
        resizer=resizer_name(),
        image_threads=image_threads(options),
    )
    return Job(
        shards=_limited(found, limit),
        sources=tuple(sources),
        settings=settings,
        limit=limit,
        max_rejected=max_rejected,
        runner=runner_of(options),
    )


def is_local(runner: str) -> bool:
    """Whether the job's workers run on this machine."""
    return runner in (IN_PROCESS, PRISM)


def runner_of(options: PipelineOptions) -> str:
    """The name of the runner that the options mean; see `Job`."""
    # Beam's DirectRunner would first try to download Prism. Without a place to take it from, the
    # runner inside this process is meant; it needs nothing and is the quickest to start.
    asked = str(options.view_as(StandardOptions).runner or "DirectRunner")
    match asked.lower():
        case "direct" | "directrunner":
            return PRISM if options.get_all_options().get("prism_location") else IN_PROCESS
        case "prism" | "prismrunner":
            return PRISM
        case "fnapirunner":
            return IN_PROCESS
    return asked


def image_threads(options: PipelineOptions) -> int:
    """Threads in a worker process that work on images."""
    if not is_local(runner_of(options)):
        return 1  # the engine runs as many bundles side by side as a worker has cores
    direct = options.view_as(DirectOptions)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    workers = direct.direct_num_workers if direct.direct_running_mode == "multi_processing" else 1
    return max(1, (cores or 1) // (workers or cores or 1))


def whole_number(faults: list[str], name: str, text: str, least: int) -> int | None:
    """A whole number that was typed, or None and a fault where it is not at least `least`."""
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if number >= least:
        return number
    faults.append(f"{name} {text}: give a whole number of at least {least}")
    return None


def _fraction(faults: list[str], name: str, text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if 0 <= number <= 1:
        return number
    faults.append(f"{name} {text}: give a number from 0 to 1")
    return None


def _one_of(faults: list[str], name: str, text: str, known: Sequence[str]) -> None:
    if text not in known:
        faults.append(f"{name} {text}: give {' or '.join(known)}")


def _formats(faults: list[str], text: str) -> tuple[str, ...]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        _one_of(faults, "--formats", name, (JSONL, PARQUET))
    if not names:
        faults.append("--formats is empty: give jsonl, parquet or both")
    return tuple(name for name in (JSONL, PARQUET) if name in names)


def _prefixes(faults: list[str], pairs: Sequence[str]) -> tuple[tuple[str, str], ...]:
    prefixes = []
    for pair in pairs:
        old, sign, new = pair.partition("=")
        if not sign or not old:
            faults.append(f"--rewrite {pair}: give OLD=NEW, such as data/=tongagent/")
        prefixes.append((old, new))
    return tuple(prefixes)


def _shards(faults: list[str], uris: Sequence[str] | None) -> list[Shard]:
    if not uris:
        faults.append("--json is missing: name the JSON shards, such as --json mat_train.json")
        return []
    found: dict[str, files.FileInfo] = {}
    for uri in uris:
        try:
            for file in files.expand(uri):
                files.read_range(file.uri, 0, min(1, file.size))
                found.setdefault(file.uri, file)
        except FileNotFoundError:
            faults.append(f"--json {uri}: there is no such file; check the path or glob")
        except (OSError, ValueError, ImportError) as error:
            faults.append(f"--json {uri}: cannot be read: {error}")
    return [
        Shard(file.uri, order, file.size, file.version) for order, file in enumerate(found.values())
    ]


def _sources(faults: list[str], uris: Sequence[str] | None) -> list[Source]:
    if not uris:
        faults.append("--images is missing: name zips or folders, such as --images files.zip")
        return []
    found: dict[str, None] = {}
    for uri in uris:
        try:
            if files.is_folder(uri):
                found[files.normalize(uri)] = None
                continue
            for file in files.expand(uri):
                catalog.directory_bytes(file.uri)
                found[file.uri] = None
        except FileNotFoundError:
            faults.append(f"--images {uri}: there is no such file or folder; check the path")
        except SourceError as error:
            faults.append(f"--images {error}")
        except (OSError, ValueError, ImportError) as error:
            faults.append(f"--images {uri}: cannot be read: {error}")
    return [Source(uri, order) for order, uri in enumerate(found)]


def _output(faults: list[str], uri: str | None, overwrite: bool, sources: list[str]) -> str:
    if not uri:
        faults.append("--output is missing: name a folder for the dataset, such as --output out")
        return ""
    try:
        output = files.normalize(uri)
        if files.exists(output) and not files.is_folder(output):
            faults.append(f"--output {uri}: this is a file; name a folder")
            return output
        for source in sources:
            if f"{output}/".startswith(f"{source}/") or f"{source}/".startswith(f"{output}/"):
                faults.append(f"--output {uri}: keep it apart from the images in {source}")
        if files.exists(files.join(output, layout.MANIFEST)):
            if not overwrite:
                faults.append(
                    f"--output {uri}: holds a dataset; name another folder or say --overwrite"
                )
        elif files.find(output) and not files.exists(files.join(output, layout.WORK)):
            faults.append(
                f"--output {uri}: holds files that are no dataset of beam-mat, which it would mix "
                "with its own; name a new or an empty folder"
            )
    except (OSError, ValueError, ImportError) as error:
        faults.append(f"--output {uri}: {error}")
        return ""
    return output


def _limited(found: list[Shard], limit: int | None) -> tuple[Shard, ...]:
    """The shards that hold the first `limit` records, the last of them cut short."""
    if limit is None:
        return tuple(found)
    kept: list[Shard] = []
    for shard in found:
        count = shards.count_records(shard, limit)
        kept.append(msgspec.structs.replace(shard, limit=min(count, limit)))
        limit -= count
        if limit <= 0:
            break
    return tuple(kept)
