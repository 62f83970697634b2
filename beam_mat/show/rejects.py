"""Shows rejected records of a dataset."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from beam_mat.core import layout
from beam_mat.core.display import one_line
from beam_mat.core.errors import ConfigError
from beam_mat.core.reject import Reject
from beam_mat.dataset import manifest
from beam_mat.dataset.manifest import Manifest
from beam_mat.show.arguments import FIRST_REJECTS, ShowArguments, indices
from beam_mat.show.draw import Drawing
from beam_mat.show.entries import no_dataset
from beam_mat.storage import files
from beam_mat.work.rows import lines


def show_rejects(asked: ShowArguments, drawing: Drawing) -> None:
    """Prints the rejected records that were asked for: by default, the first few.

    Raises:
        ConfigError: There is no such record.
    """
    listed = manifest.read(asked.folder)
    if listed is None:
        fault = no_dataset(asked.folder)
        if files.exists(files.join(asked.folder, layout.DATASET_INFO)):
            fault = (
                f"{asked.folder}: has no {layout.MANIFEST}, so beam-mat did not make it, and there "
                "are no rejected records; remove --rejected"
            )
        raise ConfigError([fault])
    chosen = asked.index is not None or asked.id is not None
    shown, others, number = 0, [], -1
    for number, reject in enumerate(_rejects(asked.folder, listed)):
        wanted = asked.id == reject.id if asked.id is not None else asked.index in (None, number)
        if not wanted:
            continue
        if shown >= (1 if chosen else FIRST_REJECTS):
            others.append(number)
            continue
        if shown:
            drawing.line("")
        shown += 1
        named = f", id {reject.id}" if reject.id else ""
        drawing.line(f"reject {number}{named}", "bold")
        drawing.reject(reject, briefly=not chosen)
        if asked.index is not None:
            return
    if others:
        drawing.line("")
        with_id = " with this id" if asked.id is not None else ""
        drawing.line(f"{len(others):,} more{with_id}: --rejected {indices(others)}", "yellow")
    if not shown:
        _none_wanted(asked, number + 1, drawing)


def _none_wanted(asked: ShowArguments, count: int, drawing: Drawing) -> None:
    if asked.id is not None:
        cure = "remove --rejected to search the accepted ones"
        raise ConfigError([f"--id {asked.id}: no rejected record has this id; {cure}"])
    if asked.index is not None and count:
        fault = f"--index {asked.index}: there are {count:,} rejected records"
        raise ConfigError([f"{fault}; give a number from 0 to {count - 1:,}"])
    drawing.line("No record was rejected")


def _rejects(folder: str, listed: Manifest) -> Iterator[Reject]:
    for part in listed.rejects:
        for line in lines(files.join(folder, part.path), part.bytes):
            try:
                yield msgspec.json.decode(line, type=Reject)
            except msgspec.DecodeError as error:
                fault = f"{one_line(part.path)}: a line is not a rejected record ({error})"
                cure = "beam-mat verify says whether the file changed"
                raise ConfigError([f"{fault}; {cure}"]) from None
