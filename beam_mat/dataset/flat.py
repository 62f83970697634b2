"""The flat folders have the files of the newest generation, and ``replaced/`` has older files.

Moves the files, and reads the rows of a part wherever it is. `live` is the set of paths of the
newest generation's files.
"""

import contextlib
from collections.abc import Iterable, Iterator, Set
from typing import Any, TypeVar

import msgspec
import pyarrow.parquet as pq

from beam_mat.core import layout
from beam_mat.core.results import Part, ShardSummary
from beam_mat.core.settings import PARQUET
from beam_mat.dataset.commit import Commit, Snapshot
from beam_mat.storage import files
from beam_mat.storage.parts import location, schema_of


def arrange(output: str, snapshot: Snapshot, *, keep: bool) -> list[str]:
    """Makes the flat folders contain exactly the files of a snapshot.

    With `keep`, other files are moved to ``replaced/`` instead of removed. Returns the paths of the
    snapshot's files that are missing.
    """
    live, there = snapshot.files(), _listed(output)
    lost = _restore_all(output, live - there)
    for path in sorted(there - live):
        _retire(output, path) if keep else files.remove_file(files.join(output, path))
    for folder in folders(output):
        files.prune(files.join(output, folder))
    return lost


def complete(output: str, snapshot: Snapshot) -> list[str]:
    """As `arrange`, but leaves other files where they are."""
    return _restore_all(output, snapshot.files() - _listed(output))


def folders(output: str) -> list[str]:
    """Returns the flat folders that exist. Most datasets have few of them."""
    found = files.entries(output) if files.is_folder(output) else []
    there = {name for name, file in found if file is None}
    return [folder for folder in layout.FLAT_FOLDERS if folder in there]


def _listed(output: str) -> set[str]:
    return {
        f"{folder}/{name}"
        for folder in folders(output)
        for name, _ in files.find(files.join(output, folder))
    }


def restore(output: str, commit: Commit) -> None:
    """Moves files that a commit adds back from ``replaced/``, if an earlier commit moved them."""
    added = {part.path for part in (*commit.parts.added, *commit.rejects.added)}
    _restore_all(output, {path for path in added if not files.exists(files.join(output, path))})


def retire(output: str, commit: Commit, live: Set[str]) -> None:
    """Moves files that the newest commit replaces to ``replaced/``."""
    gone = {part.path for part in (*commit.parts.removed, *commit.rejects.removed)}
    gone.update(path for mix in commit.mixes.added for path in mix.replaced)
    _retire_all(output, gone - live)
    put_aside(output, commit.shards.added, live)


def put_aside(output: str, shards: Iterable[ShardSummary], live: Set[str]) -> None:
    """Moves files of finished shards to ``replaced/`` if they are not in the dataset."""
    made = {part.path for one in shards for part in (*one.parts, *one.rejects)}
    _retire_all(output, made - live)


def remove_unlisted(output: str, stems: Iterable[str], live: Set[str]) -> None:
    """Removes files of shards from the flat folders if they are not in the dataset.

    `stems` are those of shards that changed while they were converted.
    """
    stems = tuple(stems)
    for path in _listed(output) - live if stems else ():
        if any(stem in path for stem in stems):
            files.remove_file(files.join(output, path))


def _retire_all(output: str, paths: Iterable[str]) -> None:
    for path in sorted(paths):
        if not path.startswith(f"{layout.TEXT_ONLY}/"):
            _retire(output, path)


def _retire(output: str, path: str) -> None:
    target = files.join(output, layout.REPLACED, path)
    with contextlib.suppress(FileNotFoundError):  # a user has removed it
        files.move(files.join(output, path), target)


def _restore_all(output: str, paths: Iterable[str]) -> list[str]:
    """Moves files back from ``replaced/``, and returns the paths of those that are not there."""
    lost = []
    for path in sorted(paths):
        try:
            files.move(files.join(output, layout.REPLACED, path), files.join(output, path))
        except FileNotFoundError:
            lost.append(path)
    return lost


class RowImages(msgspec.Struct, frozen=True):
    """The images of a row, as files below the output folder."""

    images: tuple[str, ...]


class Row(RowImages, frozen=True):
    """A row without the bytes of its images. The id is "" if rows have none."""

    system: str
    messages: Any
    id: str = ""
    tools: str = ""
    chosen: Any = None
    rejected: Any = None
    kto_tag: bool | None = None

    def text(self) -> list[Any]:
        """Everything but the id and the images."""
        answers = [self.chosen, self.rejected, self.kto_tag]
        return [self.messages, self.system, self.tools, *answers]


Kind = TypeVar("Kind", bound=RowImages)


def read_rows(output: str, part: Part, kind: type[Kind]) -> Iterator[Kind]:
    """Yields the rows of a part, even if a commit has moved it to ``replaced/``."""
    uri = location(output, part.path)
    if part.format != PARQUET:
        decoder = msgspec.json.Decoder(kind)
        yield from map(decoder.decode, files.read_bytes(uri).splitlines())
        return
    there = schema_of(part.subset).names
    others = [name for name in kind.__struct_fields__ if name != "images" and name in there]
    columns = ["images.list.element.path", *others]
    with files.open_binary(uri) as file:
        for batch in pq.ParquetFile(file).iter_batches(256, columns=columns):
            for row in batch.to_pylist():
                paths = tuple(image["path"] for image in row.pop("images"))
                yield kind(images=paths, **row)
