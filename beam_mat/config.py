"""From options to a job: every value checked, every fault told at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NoReturn

import msgspec
from apache_beam.options.pipeline_options import (
    DirectOptions,
    PipelineOptions,
    StandardOptions,
    _BeamArgumentParser,
)

from beam_mat.command_line import explained, no_such_option
from beam_mat.core import layout
from beam_mat.core.chunk import Shard
from beam_mat.core.errors import ConfigError, SourceError, StoreError
from beam_mat.core.geometry import Budget
from beam_mat.core.notes import Source
from beam_mat.core.resizer import resizer_name
from beam_mat.core.secrecy import secrets_in, without_credentials
from beam_mat.core.settings import JSONL, PARQUET, Settings
from beam_mat.options import ConvertOptions
from beam_mat.storage import catalog, files, inputs, shards, stores

IN_PROCESS = "FnApiRunner"
PRISM = "PrismRunner"
DATAFLOW = "DataflowRunner"


class Job(msgspec.Struct, frozen=True):
    """A checked conversion.

    Attributes:
        shards: The JSON input, in order.
        sources: The images, in order of precedence.
        settings: What the steps need.
        limit: Records to convert, or None for all.
        max_rejected: Greatest share of rejected records, or None.
        runner: The runner's name: `IN_PROCESS` for the one inside this process, `PRISM`,
            `DATAFLOW` or another.
        detach: Whether to leave the submitted job to itself.
        overwrite: Whether what is in the output folder is to be replaced rather than gone on from.
    """

    shards: tuple[Shard, ...]
    sources: tuple[Source, ...]
    settings: Settings
    limit: int | None
    max_rejected: float | None
    runner: str
    detach: bool = False
    overwrite: bool = False


class _Parser(_BeamArgumentParser):
    """Tells of a fault in one sentence, without the usage of hundreds of options."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError([explained(message, self.prog)])


def parser(*own: type[PipelineOptions], command: str = "convert") -> _BeamArgumentParser:
    """The parser of everything that Beam knows, and of options of this project's `own`."""
    whole = _Parser(allow_abbrev=False, add_help=False, prog=command)
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
    runner = runner_of(options)
    faults = unknown_words(runner, unknown, "convert", ConvertOptions)
    rules = checked_rules(faults, typed)
    limit = typed.limit and whole_number(faults, "--limit", typed.limit, 1)
    max_rejected = typed.max_rejected and _fraction(faults, "--max-rejected", typed.max_rejected)
    storage = take_storage(faults, typed.storage_options or "", runner)
    # A runner keeps and shows the options of its jobs.
    typed.storage_options = None
    found = _shards(faults, typed.json)
    sources = _sources(faults, typed.images)
    output = checked_output(faults, typed.output, [source.uri for source in sources])
    faults += runner_faults(options, typed)
    if faults:
        raise ConfigError(faults)
    settings = msgspec.structs.replace(
        rules, output=output, image_threads=image_threads(options), storage=storage
    )
    return Job(
        shards=_limited(found, limit),
        sources=tuple(sources),
        settings=settings,
        limit=limit,
        max_rejected=max_rejected,
        runner=runner,
        detach=typed.detach,
        overwrite=typed.overwrite,
    )


def unknown_words(
    runner: str, unknown: Sequence[str], command: str, *own: type[PipelineOptions]
) -> list[str]:
    """A fault for each word that no option took, of Beam's or of this project's `own`."""
    if not is_local(runner) and runner != DATAFLOW:
        return []  # a job server, as Flink's, has options of its own
    known = parser(*own)._option_string_actions
    return [no_such_option(word, command, known) for word in unknown]


def checked_rules(faults: list[str], typed: ConvertOptions) -> Settings:
    """The rules that were typed: settings without places. Adds what is wrong to `faults`."""
    budget = Budget(
        whole_number(faults, "--max-pixels", typed.max_pixels, 28 * 28) or 0,
        whole_number(faults, "--min-pixels", typed.min_pixels, 1) or 0,
    )
    if not faults and budget.min_pixels > budget.max_pixels:
        faults.append(
            f"--min-pixels {budget.min_pixels} is more than --max-pixels {budget.max_pixels}; "
            "lower the one or raise the other"
        )
    val_fraction = _fraction(faults, "--val-fraction", typed.val_fraction) or 0.0
    formats = _formats(faults, typed.formats)
    prefixes = _prefixes(faults, typed.rewrite)
    _one_of(faults, "--duplicates", typed.duplicates, ("keep", "drop"))
    _one_of(faults, "--exif", typed.exif, ("ignore", "apply"))
    return Settings(
        output="",
        budget=budget,
        prefixes=prefixes,
        formats=formats,
        val_fraction=val_fraction,
        drop_duplicates=typed.duplicates == "drop",
        apply_exif=typed.exif == "apply",
        resizer=resizer_name(),
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
        case "dataflow" | "dataflowrunner":
            return DATAFLOW
    return asked


def runner_faults(options: PipelineOptions, typed: ConvertOptions) -> list[str]:
    """What keeps the runner from taking the job."""
    if runner_of(options) == DATAFLOW:
        from beam_mat import dataflow

        output = [typed.output] if typed.output else []
        uris = {"--json": typed.json or [], "--images": typed.images or [], "--output": output}
        return dataflow.faults(options, uris)
    if typed.detach:
        return ["--detach: only a service goes on by itself; say --runner DataflowRunner as well"]
    return []


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


def take_storage(faults: list[str], text: str, runner: str) -> str:
    """Takes storage options as typed into use.

    Args:
        faults: What is wrong with them is added here.
        text: ``--storage-options``, "" for none.
        runner: See `Job`.

    Returns:
        What travels with the graph, see `Settings.storage`.
    """
    given: stores.Options = {}
    if text:
        try:
            given = stores.parse(text)
        except ValueError as error:
            faults.append(f"--storage-options: {error}")
    stores.use(given)
    if is_local(runner):
        return ""  # workers here have this process's environment
    if stores.is_inline(text):
        faults += [
            f"--storage-options: {name} looks like a secret, which would travel with the job for "
            "everyone to see who may look at it; leave it to the workers' identity or environment, "
            "or name a file that they can read"
            for name in secrets_in(given)
        ]
    return text


def _shards(faults: list[str], uris: Sequence[str] | None) -> list[Shard]:
    if not uris:
        faults.append("--json is missing: name the JSON shards, such as --json mat_train.json")
        return []
    found: dict[str, files.FileInfo] = {}
    for uri, looked in _looked(_usable(faults, "--json", uris), _readable):
        try:
            for file in looked.result():
                found.setdefault(file.uri, file)
        except FileNotFoundError:
            faults.append(f"--json {uri}: there is no such file; check the path or glob")
        except (SourceError, StoreError) as error:
            faults.append(f"--json {error}")
        except (OSError, ValueError) as error:
            faults.append(f"--json {uri}: cannot be read ({error}); name a file that can")
    return [
        Shard(file.uri, order, file.size, file.version) for order, file in enumerate(found.values())
    ]


def _readable(uri: str) -> list[files.FileInfo]:
    found = files.expand(uri)
    for _ in files.read_ranges((file.uri, 0, min(1, file.size)) for file in found):
        pass
    return found


def _zips_or_folder(uri: str) -> list[files.FileInfo]:
    zipped = files.file_at(uri)
    if not zipped and files.is_folder(uri):
        return [inputs.look(uri)]
    found = [zipped] if zipped else files.expand(uri)
    for file in found:
        catalog.directory_bytes(file)
    return found


def _looked(
    uris: Iterable[str], look: Callable[[str], list[files.FileInfo]]
) -> list[tuple[str, Future[list[files.FileInfo]]]]:
    """What a look at each uri found, or raised; several are looked at at once."""
    with ThreadPoolExecutor(inputs.LOOKS_AT_ONCE) as pool:
        return [(uri, pool.submit(look, uri)) for uri in uris]


def _usable(faults: list[str], name: str, uris: Sequence[str]) -> Iterator[str]:
    for uri in uris:
        if fault := stores.fault_of(uri):
            faults.append(f"{name} {without_credentials(uri)}: {fault}")
        else:
            yield uri


def _sources(faults: list[str], uris: Sequence[str] | None) -> list[Source]:
    if not uris:
        faults.append("--images is missing: name zips or folders, such as --images files.zip")
        return []
    found: dict[str, files.FileInfo] = {}
    for uri, looked in _looked(_usable(faults, "--images", uris), _zips_or_folder):
        try:
            found.update((file.uri, file) for file in looked.result())
        except FileNotFoundError:
            faults.append(f"--images {uri}: there is no such file or folder; check the path")
        except (SourceError, StoreError) as error:
            faults.append(f"--images {error}")
        except (OSError, ValueError) as error:
            faults.append(f"--images {uri}: cannot be read ({error}); name one that can")
    return [
        Source(file.uri, order, file.size, file.version)
        for order, file in enumerate(found.values())
    ]


def checked_output(faults: list[str], uri: str | None, sources: list[str]) -> str:
    """The output folder's uri. `sources` are folders and zips that it must not meet."""
    if not uri:
        faults.append("--output is missing: name a folder for the dataset, such as --output out")
        return ""
    if not list(_usable(faults, "--output", [uri])):
        return ""
    try:
        output = files.normalize(uri)
        if files.is_read_only(output):
            faults.append(
                f"--output {uri}: the hub is read only here; name a folder on a disk or an object "
                "store, and upload it from there"
            )
            return ""
        if files.exists(output) and not files.is_folder(output):
            faults.append(f"--output {uri}: this is a file; name a folder")
            return output
        for source in sources:
            if f"{output}/".startswith(f"{source}/") or f"{source}/".startswith(f"{output}/"):
                faults.append(
                    f"--output {uri}: keep it apart from the images in {source}, or the two would "
                    "be mixed; name a folder beside them"
                )
        ours = (files.join(output, name) for name in (layout.MANIFEST, layout.WORK))
        if not any(map(files.exists, ours)) and files.find(output):
            faults.append(
                f"--output {uri}: holds files that are no dataset of beam-mat, which it would mix "
                "with its own; name a new or an empty folder"
            )
    except StoreError as error:
        faults.append(f"--output {error}")
        return ""
    except (OSError, ValueError) as error:
        faults.append(f"--output {uri}: cannot be used ({error}); name another folder")
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
