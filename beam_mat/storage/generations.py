"""The log of a watched dataset: generations read in order, the next one written by one alone."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from beam_mat.core import layout
from beam_mat.core.errors import ConfigError
from beam_mat.core.generation import (
    WHOLE_EVERY,
    Contents,
    Generation,
    file_name,
    last_whole,
    table_name,
    whole_name,
)
from beam_mat.core.notes import Part
from beam_mat.core.settings import FORMAT, PARQUET
from beam_mat.storage import files
from beam_mat.storage.images import TABLE_SCHEMA
from beam_mat.storage.parts import parquet_writer

_DECODER = msgspec.json.Decoder(Generation)


def read(output: str, path: str) -> Generation | None:
    """Reads a generation's file; None where there is none.

    Raises:
        ConfigError: It cannot be understood.
    """
    uri = files.join(output, path)
    try:
        found = _DECODER.decode(files.read_bytes(uri))
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise ConfigError(
            [f"{uri}: is no generation of this version of beam-mat ({error}); name another folder"]
        ) from error
    if found.format != FORMAT:
        raise ConfigError(
            [f"{uri}: is of layout {found.format}, this version of beam-mat writes {FORMAT}"]
        )
    return found


def numbers(output: str) -> list[int]:
    """The numbers of all generations that are there, in order."""
    names = (name for name, _ in files.find(files.join(output, layout.GENERATIONS)))
    return sorted(int(name[:-5]) for name in names if name[:-5].isdigit())


def load(output: str) -> Contents:
    """What the dataset holds after all generations.

    Raises:
        ConfigError: One cannot be understood.
    """
    contents = Contents()
    there = numbers(output)
    if there:
        number = last_whole(there[-1])
        while number and not contents.number:
            whole = read(output, whole_name(number))
            if whole:
                contents.apply(whole)
            number -= WHOLE_EVERY
    list(catch_up(output, contents))
    return contents


def catch_up(output: str, contents: Contents) -> Iterator[Generation]:
    """Applies the generations that have come since, and yields each."""
    while found := read(output, file_name(contents.number + 1)):
        contents.apply(found)
        yield found


def write(output: str, generation: Generation) -> bool:
    """Writes the next generation, unless there is one of this number.

    Returns:
        Whether this call wrote it; of many at once, one does.
    """
    data = msgspec.json.format(msgspec.json.encode(generation), indent=1) + b"\n"
    return files.create(files.join(output, file_name(generation.generation)), data)


def write_whole(output: str, contents: Contents, table: pa.Table) -> None:
    """Writes the file that stands for all generations so far, and the table of all images."""
    path = whole_name(contents.number)
    part = write_table(output, table_name(path), table)
    data = msgspec.json.encode(contents.whole(part))
    files.write_bytes(files.join(output, path), data, files.join(output, layout.SCRATCH))


def write_table(output: str, path: str, table: pa.Table) -> Part:
    """Writes a table of images."""
    uri = files.join(output, path)
    with files.write(uri, files.join(output, layout.SCRATCH)) as file:
        with parquet_writer(file, TABLE_SCHEMA) as writer:
            writer.write_table(table)
        written = file.result()
    return Part(path, PARQUET, layout.IMAGES, table.num_rows, 0, written.bytes, written.sha256)


def image_table(output: str, upto: int) -> pa.Table:
    """The table of images as of a generation: of each image, what the last one says."""
    table = TABLE_SCHEMA.empty_table()
    begin = last_whole(upto)
    while begin:
        whole = read(output, whole_name(begin))
        if whole and whole.images:
            table = _read_table(output, whole.images.path)
            break
        begin -= WHOLE_EVERY
    for number in range(begin + 1, upto + 1):
        generation = read(output, file_name(number))
        if generation and generation.images:
            table = merged(table, _read_table(output, generation.images.path))
    return table


def merged(table: pa.Table, newer: pa.Table) -> pa.Table:
    """A table of images with the rows of another in the place of its own."""
    old = table.filter(pc.invert(pc.is_in(table["path"], value_set=newer["path"])))
    return pa.concat_tables([old, newer]).combine_chunks()


def _read_table(output: str, path: str) -> pa.Table:
    with files.open_binary(files.join(output, path)) as file:
        return pq.read_table(file, schema=TABLE_SCHEMA)


def retire(output: str, paths: Iterable[str]) -> None:
    """Moves files to where no reader of the folders looks, but one of an older generation."""
    for path in paths:
        target = files.join(output, f"{layout.REPLACED}/{path}")
        with contextlib.suppress(FileNotFoundError):  # somebody has removed it
            files.move(files.join(output, path), target)


def restore(output: str, paths: Iterable[str]) -> None:
    """Brings files back that a generation has retired and a later one takes again."""
    for path in paths:
        if not files.exists(files.join(output, path)):
            files.move(files.join(output, f"{layout.REPLACED}/{path}"), files.join(output, path))
