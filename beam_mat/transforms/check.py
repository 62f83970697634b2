"""Files to units, units to what is wrong with their rows and with the images that they name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence

import apache_beam as beam
import msgspec

from beam_mat.core.contract.entry import Entry
from beam_mat.core.contract.examine import Examiner, Rules, check_length
from beam_mat.core.contract.finding import Finding, Tally
from beam_mat.core.contract.picture import look
from beam_mat.core.contract.row import Fault
from beam_mat.core.contract.unit import (
    DatasetFile,
    FileNote,
    ImageNote,
    ImageUse,
    LengthFact,
    Unit,
)
from beam_mat.core.geometry import Size
from beam_mat.core.settings import Settings
from beam_mat.storage import dataset, media, notes, stores
from beam_mat.transforms.images import pool
from beam_mat.transforms.measure import count, timed

FILES = "files"
UNITS = "units"
IMAGES = "images"
LENGTHS = "lengths"
"""Folders of notes below the scratch folder."""
WAITING = "waiting"
"""The output of `CheckUnit` that holds rows whose length depends on image files."""
BUCKETS = 512


class CheckSettings(msgspec.Struct, frozen=True):
    """What the steps need to know.

    Attributes:
        work: Where notes are left (`output`), and threads for images.
        entries: The entries by place.
        media: URI of ``media_dir``.
        rules: What training will be told.
    """

    work: Settings
    entries: tuple[Entry, ...]
    media: str
    rules: Rules

    def look(self, images: Sequence[bytes]) -> list[Size | Fault]:
        """Decodes images side by side."""
        pixels = [self.rules.max_pixels] * len(images)
        return list(pool(self.work.image_threads).map(look, images, pixels))


class _Step(beam.DoFn):
    """A step that opens files, wherever its worker runs; see `beam_mat.transforms.step`."""

    def __init__(self, settings: CheckSettings) -> None:
        self._settings = settings

    def setup(self) -> None:
        """Tells this worker how stores are reached."""
        stores.use_in_worker(self._settings.work.storage)


@beam.typehints.with_input_types(DatasetFile)
@beam.typehints.with_output_types(Unit)
class SplitFile(_Step):
    """Looks through a file once and yields references to its units."""

    def process(self, file: DatasetFile) -> Iterator[Unit]:
        """Yields units in order, and leaves a note of what is wrong with the file itself."""
        note = FileNote(file, findings=[])
        yield from dataset.units(note)
        notes.leave(self._settings.work, FILES, file.name, note)


@beam.typehints.with_input_types(Unit)
class CheckUnit(_Step):
    """Checks the rows of a unit, and asks for the images that they name."""

    def process(self, unit: Unit) -> Iterator[object]:
        """Yields image paths by bucket and leaves a note of everything else."""
        settings = self._settings
        entry = settings.entries[unit.file.entry]
        examiner = Examiner(unit, entry, settings.rules, settings.look)
        with timed("rows"):
            dataset.examine(unit, entry, examiner)
            note = examiner.note(with_shape=unit.chunk is not None)
            notes.leave(settings.work, UNITS, unit.name, note)
        count("rows_checked", note.rows)
        for use in examiner.uses():
            yield _bucket(use.path), use
        lengths = examiner.lengths()
        if lengths.rows:
            yield beam.pvalue.TaggedOutput(WAITING, (unit.name, lengths))


def _bucket(path: str) -> str:
    digest = hashlib.sha256(path.encode("utf-8", "surrogatepass")).digest()
    return f"{int.from_bytes(digest[:4], 'big') % BUCKETS:03d}"


@beam.typehints.with_input_types(tuple[str, Iterable[ImageUse]])
@beam.typehints.with_output_types(tuple[str, LengthFact])
class CheckImages(_Step):
    """Reads and decodes each image of a bucket once, however many rows name it."""

    def process(self, element: tuple[str, Iterable[ImageUse]]) -> Iterator[tuple[str, LengthFact]]:
        """Yields, where lengths are checked, the tokens of the images for each unit."""
        bucket, uses = element[0], sorted(element[1], key=lambda use: (use.entry, use.place))
        settings = self._settings
        paths = sorted({use.path for use in uses})
        with timed("images"):
            looked = pool(settings.work.image_threads).map(self._look, paths)
            found = dict(zip(paths, looked, strict=True))
        for entry in sorted({use.entry for use in uses}):
            tally = Tally()
            mine = [use for use in uses if use.entry == entry]
            for use in mine:
                fault = found[use.path]
                if isinstance(fault, Fault):
                    tally.add(Finding(fault.kind, use.place, fault.detail), use.rows)
            note = ImageNote(entry, tally.counts(), len({use.path for use in mine}))
            notes.leave(settings.work, IMAGES, f"{bucket}-{entry:04d}", note)
        count("images_checked", len(paths))
        if settings.rules.cutoff is not None:
            tokens = {path: settings.rules.tokens_of(size) for path, size in found.items()}
            for use in uses:
                yield use.unit, LengthFact(use.entry, tokens=((use.path, tokens[use.path]),))

    def _look(self, path: str) -> Size | Fault:
        data = media.read_image(self._settings.media, path)
        if isinstance(data, Fault):
            return data
        found = look(data, self._settings.rules.max_pixels)
        if isinstance(found, Fault):
            return Fault(found.kind, f"{path!r}: {found.detail}")
        return found


@beam.typehints.with_input_types(tuple[str, Iterable[LengthFact]])
class CheckLengths(_Step):
    """Holds the rows of a unit against the cutoff, now that the sizes of their images are known."""

    def process(self, element: tuple[str, Iterable[LengthFact]]) -> None:
        """Leaves a note."""
        name, facts = element[0], list(element[1])
        cutoff = self._settings.rules.cutoff
        assert cutoff is not None
        sizes = dict(pair for fact in facts for pair in fact.tokens)
        tally = Tally()
        for row in (row for fact in facts for row in fact.rows):
            found = check_length(row, sizes, cutoff)
            if found:
                tally.add(found)
        notes.leave(self._settings.work, LENGTHS, name, ImageNote(facts[0].entry, tally.counts()))
