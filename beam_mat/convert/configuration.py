"""Makes a job from checked arguments: checks inputs and output and collects all errors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import msgspec

from beam_mat.core.chunk import Shard
from beam_mat.core.errors import ConfigError, SourceError, StoreError
from beam_mat.core.job import Job
from beam_mat.core.references import Source
from beam_mat.core.settings import Settings
from beam_mat.runners import choose
from beam_mat.runners.addresses import output_folder, usable
from beam_mat.storage import catalog, files, inputs, shards


class ConvertArguments(msgspec.Struct, frozen=True, kw_only=True):
    """A user's arguments. Each value is valid in itself, but files may not exist.

    Attributes:
        json: Addresses of JSON shards.
        images: Addresses of zips and folders.
        output: Address of the output folder, or None.
        rules: Settings without locations.
        limit, max_rejected, overwrite, detach, keep: As in `core.job.Job`.
        storage_options: As typed, "" for none.
        beam: Beam's options; see `beam_mat.runners.choose`.
    """

    json: Sequence[str]
    images: Sequence[str]
    output: str | None
    rules: Settings
    limit: int | None = None
    max_rejected: float | None = None
    overwrite: bool = False
    detach: bool = False
    keep: int | None = None
    storage_options: str = ""
    beam: Sequence[str] = ()


def resolve(asked: ConvertArguments, faults: Iterable[str] = ()) -> Job:
    """Checks inputs and output.

    Args:
        asked: The arguments.
        faults: Errors that are known already; they are reported together with the others.

    Raises:
        ConfigError: There are errors; it contains them all.
    """
    faults = list(faults)
    runner = choose.runner_of(asked.beam)
    storage = choose.storage_for_workers(faults, asked.storage_options, runner)
    found = _shards(faults, asked.json)
    sources = _sources(faults, asked.images)
    output = output_folder(faults, asked.output, [source.uri for source in sources])
    uris = {
        "--json": asked.json,
        "--images": asked.images,
        "--output": [asked.output] if asked.output else [],
    }
    faults += choose.runner_faults(asked.beam, uris, detach=asked.detach)
    if faults:
        raise ConfigError(faults)
    settings = msgspec.structs.replace(
        asked.rules,
        output=output,
        image_threads=choose.image_threads(asked.beam),
        storage=storage,
    )
    return Job(
        shards=_limited(found, asked.limit),
        sources=tuple(sources),
        settings=settings,
        limit=asked.limit,
        max_rejected=asked.max_rejected,
        runner=runner,
        detach=asked.detach,
        overwrite=asked.overwrite,
        keep=asked.keep,
    )


def _shards(faults: list[str], uris: Sequence[str]) -> list[Shard]:
    found: dict[str, files.FileInfo] = {}
    for uri, looked in _looked_up(usable(faults, "--json", uris), _readable):
        try:
            for file in looked.result():
                found.setdefault(file.uri, file)
        except FileNotFoundError:
            faults.append(f"--json {uri}: there is no such file; check the path or glob")
        except (SourceError, StoreError) as error:
            faults.append(f"--json {error}")
        except (OSError, ValueError) as error:
            faults.append(f"--json {uri}: cannot be read ({error}); give a readable file")
    return [
        Shard(file.uri, order, file.size, file.version) for order, file in enumerate(found.values())
    ]


def _sources(faults: list[str], uris: Sequence[str]) -> list[Source]:
    found: dict[str, files.FileInfo] = {}
    for uri, looked in _looked_up(usable(faults, "--images", uris), _zips_or_folder):
        try:
            found.update((file.uri, file) for file in looked.result())
        except FileNotFoundError:
            faults.append(f"--images {uri}: there is no such file or folder; check the path")
        except (SourceError, StoreError) as error:
            faults.append(f"--images {error}")
        except (OSError, ValueError) as error:
            faults.append(
                f"--images {uri}: cannot be read ({error}); give a readable zip or folder"
            )
    return [
        Source(file.uri, order, file.size, file.version)
        for order, file in enumerate(found.values())
    ]


def _looked_up(
    uris: Iterable[str], look: Callable[[str], list[files.FileInfo]]
) -> list[tuple[str, Future[list[files.FileInfo]]]]:
    """Looks up each URI in a thread."""
    with ThreadPoolExecutor(inputs.LOOKS_AT_ONCE) as pool:
        return [(uri, pool.submit(look, uri)) for uri in uris]


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


def _limited(found: list[Shard], limit: int | None) -> tuple[Shard, ...]:
    """Returns the shards with the first `limit` records. The last one has a limit."""
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
