"""The steps of a check: split files into units, and check rows, images and lengths."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence

import apache_beam as beam
import msgspec

from beam_mat.core.contract.entry import Entry
from beam_mat.core.contract.examine import Examiner, Rules, check_length, look
from beam_mat.core.contract.finding import Fault, Finding, Tally
from beam_mat.core.contract.unit import DatasetFile, FileNote, ImageNote, ImageUse, LengthFact, Unit
from beam_mat.core.geometry import Size
from beam_mat.core.settings import Settings
from beam_mat.storage import stores
from beam_mat.transforms.step import count, timed
from beam_mat.work import data_files as dataset
from beam_mat.work import results
from beam_mat.work.images import pool

FILES = "files"
UNITS = "units"
IMAGES = "images"
LENGTHS = "lengths"
"""Folders for results below the scratch folder."""
WAITING = "waiting"
"""The output of `CheckUnit` with the rows whose lengths depend on image files."""
BUCKETS = 512


class CheckSettings(msgspec.Struct, frozen=True):
    """The settings of the steps, with the entries in the order of `DatasetFile.entry`.

    `work` has the folder for results (`output`) and the number of image threads.
    """

    work: Settings
    entries: tuple[Entry, ...]
    media: str
    rules: Rules

    def look(self, images: Sequence[bytes]) -> list[Size | Fault]:
        """Decodes images in parallel."""
        pixels = [self.rules.max_pixels] * len(images)
        return list(pool(self.work.image_threads).map(look, images, pixels))


class _Step(beam.DoFn):
    """A step that opens files on any worker; see `beam_mat.transforms.step`."""

    def __init__(self, settings: CheckSettings) -> None:
        self._settings = settings

    def setup(self) -> None:
        """Configures access to the stores in this worker."""
        stores.use_in_worker(self._settings.work.storage)


@beam.typehints.with_input_types(DatasetFile)
@beam.typehints.with_output_types(Unit)
class SplitFile(_Step):
    """Scans a file once and yields references to its units."""

    def process(self, file: DatasetFile) -> Iterator[Unit]:
        """Yields units in order, and writes the result of checking the file as a whole."""
        note = FileNote(file, findings=[])
        yield from dataset.units(note)
        results.write(self._settings.work, FILES, file.name, note)


@beam.typehints.with_input_types(Unit)
class CheckUnit(_Step):
    """Checks the rows of a unit, and requests the images that they use."""

    def process(self, unit: Unit) -> Iterator[object]:
        """Yields image paths by bucket, and writes all other results."""
        settings = self._settings
        entry = settings.entries[unit.file.entry]
        examiner = Examiner(unit, entry, settings.rules, settings.look)
        with timed("rows"):
            dataset.examine(unit, entry, examiner)
            note = examiner.note(with_shape=unit.chunk is not None)
            results.write(settings.work, UNITS, unit.name, note)
        count("rows_checked", note.rows)
        for use in examiner.uses():
            digest = hashlib.sha256(use.path.encode("utf-8", "surrogatepass")).digest()
            yield f"{int.from_bytes(digest[:4], 'big') % BUCKETS:03d}", use
        lengths = examiner.lengths()
        if lengths.rows:
            yield beam.pvalue.TaggedOutput(WAITING, (unit.name, lengths))


@beam.typehints.with_input_types(tuple[str, Iterable[ImageUse]])
@beam.typehints.with_output_types(tuple[str, LengthFact])
class CheckImages(_Step):
    """Reads and decodes each image of a bucket once, even if several rows use it."""

    def process(self, element: tuple[str, Iterable[ImageUse]]) -> Iterator[tuple[str, LengthFact]]:
        """If lengths are checked, yields the tokens of the images for each unit."""
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
            results.write(settings.work, IMAGES, f"{bucket}-{entry:04d}", note)
        count("images_checked", len(paths))
        if settings.rules.cutoff is not None:
            tokens = {path: settings.rules.tokens_of(size) for path, size in found.items()}
            for use in uses:
                yield use.unit, LengthFact(use.entry, tokens=((use.path, tokens[use.path]),))

    def _look(self, path: str) -> Size | Fault:
        data = dataset.read_image(self._settings.media, path)
        if isinstance(data, Fault):
            return data
        found = look(data, self._settings.rules.max_pixels)
        if isinstance(found, Fault):
            return Fault(found.kind, f"{path!r}: {found.detail}")
        return found


@beam.typehints.with_input_types(tuple[str, Iterable[LengthFact]])
class CheckLengths(_Step):
    """Checks the lengths of a unit's rows once the sizes of their images are known."""

    def process(self, element: tuple[str, Iterable[LengthFact]]) -> None:
        """Writes the result."""
        name, facts = element[0], list(element[1])
        cutoff = self._settings.rules.cutoff
        assert cutoff is not None
        sizes = dict(pair for fact in facts for pair in fact.tokens)
        tally = Tally()
        for row in (row for fact in facts for row in fact.rows):
            found = check_length(row, sizes, cutoff)
            if found:
                tally.add(found)
        results.write(self._settings.work, LENGTHS, name, ImageNote(facts[0].entry, tally.counts()))
