"""Makes a job from checked arguments: checks inputs and output and collects all errors."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec

from beam_mat.core.chunk import Shard
from beam_mat.core.errors import ConfigError, SourceError, StoreError
from beam_mat.core.job import Job
from beam_mat.core.results import Source
from beam_mat.core.settings import Settings
from beam_mat.runners import choose
from beam_mat.storage import catalog, files, inputs, requests, stores
from beam_mat.storage.files import FileInfo


class ConvertArguments(msgspec.Struct, frozen=True, kw_only=True):
    """A user's arguments. Each value is valid in itself, but files may not exist.

    `rules` are the settings without locations; `beam` are Beam's options. The others are as in
    `core.job.Job`, or as typed.
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
    """Checks inputs and output. Raises a ConfigError with all errors, after `faults`."""
    faults = list(faults)
    runner = choose.runner_of(asked.beam)
    storage = choose.storage_for_workers(faults, asked.storage_options, runner)
    json = _files(faults, "--json", asked.json, _expanded)
    faults += _shard_faults(json, asked.rules.records)
    images = _files(faults, "--images", asked.images, _archives_or_folder)
    named = choose.normalized((*asked.json, *asked.images))
    found = [one.uri for one in (*json, *images)]
    output = choose.output_folder(faults, asked.output, [*found, *named])
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
        image_workers=asked.rules.image_workers or choose.image_workers(asked.beam),
        storage=storage,
    )
    shards = [Shard(one.uri, order, one.size, one.version) for order, one in enumerate(json)]
    return Job(
        shards=tuple(_limited(shards, asked.limit, settings.records)),
        sources=tuple(
            Source(one.uri, order, one.size, one.version) for order, one in enumerate(images)
        ),
        settings=settings,
        limit=asked.limit,
        max_rejected=asked.max_rejected,
        runner=runner,
        detach=asked.detach,
        overwrite=asked.overwrite,
        keep=asked.keep,
    )


_CURES = {
    "--json": ("file; check the path or glob", "file"),
    "--images": ("file or folder; check the path", "zip, tar or folder"),
}
"""What to say if there is no such file, and what to give if it cannot be read."""


def _files(
    faults: list[str], name: str, uris: Sequence[str], look: Callable[[str], list[FileInfo]]
) -> list[FileInfo]:
    """Returns the files of an option, each once, and adds to `faults`.

    Each URI is looked up in a thread, by `look`, which raises an error if it finds no file.
    """
    with ThreadPoolExecutor(requests.REQUESTS) as pool:
        looked = [(uri, pool.submit(look, uri)) for uri in choose.usable(faults, name, uris)]
    found: dict[str, FileInfo] = {}
    missing, readable = _CURES[name]
    for uri, future in looked:
        try:
            for file in future.result():
                if fault := stores.name_fault(file.uri):
                    faults.append(f"{name} {file.uri}: {fault}")
                else:
                    found.setdefault(file.uri, file)
        except IsADirectoryError:
            faults.append(f"{name} {uri}: {choose.FOLDER.format(name, uri.rstrip('/'), 'json')}")
        except FileNotFoundError:
            faults.append(f"{name} {uri}: there is no such {missing}")
        except (SourceError, StoreError) as error:
            faults.append(f"{name} {error}")
        except (OSError, ValueError) as error:
            faults.append(f"{name} {uri}: cannot be read ({error}); give a readable {readable}")
    return list(found.values())


def _expanded(uri: str) -> list[FileInfo]:
    try:
        return files.expand(uri)
    except FileNotFoundError:
        if files.is_folder(uri):
            raise IsADirectoryError(uri) from None
        raise


def _shard_faults(found: Sequence[FileInfo], records: str) -> list[str]:
    """Why files are no JSON shards, a sentence for each: what a file is, and what to do about it.

    The beginning of each file is read, and all of a file that is one object.
    """
    with ThreadPoolExecutor(requests.REQUESTS) as pool:
        faults = list(pool.map(lambda file: _shard_fault(file, records), found))
    return [
        f"--json {file.uri}: {fault}" for file, fault in zip(found, faults, strict=True) if fault
    ]


def _shard_fault(file: FileInfo, records: str) -> str | None:
    try:
        return inputs.fault(Shard(file.uri, 0, file.size, file.version), records)
    except (OSError, SourceError, StoreError) as error:
        why = str(error).removeprefix(f"{file.uri}: ")
        return f"cannot be read ({why}); give a readable file"


def _archives_or_folder(uri: str) -> list[FileInfo]:
    if not files.file_at(uri) and files.is_folder(uri):
        return [inputs.identify(uri)]
    return catalog.look(uri)


def _limited(found: Iterable[Shard], limit: int | None, records: str) -> Iterator[Shard]:
    """Yields the shards with the first `limit` records. The last one has a limit."""
    if limit is None:
        yield from found
        return
    for shard in found:
        count = inputs.count_records(shard, limit, records)
        yield msgspec.structs.replace(shard, limit=min(count, limit))
        limit -= count
        if limit <= 0:
            break
