"""The graph of a check, and its steps: split files, and check rows, images and lengths.

The steps pass references to each other, not rows or images, and write their results to a folder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial

import apache_beam as beam

from beam_mat.core.contract.entry import Entry
from beam_mat.core.contract.examine import (
    Examiner,
    Looked,
    Rules,
    check_length,
    findings_of,
    look,
)
from beam_mat.core.contract.finding import Finding, Kind, Tally, shown
from beam_mat.core.contract.unit import DatasetFile, FileNote, ImageNote, ImageUse, LengthFact, Unit
from beam_mat.core.proposal import group
from beam_mat.core.settings import Settings
from beam_mat.storage import files
from beam_mat.transforms.shuffle import Group, register
from beam_mat.transforms.step import FileStep, count, timed
from beam_mat.work import data_files, results
from beam_mat.work.workers import Death, workers

FILES = "files"
UNITS = "units"
IMAGES = "images"
"""Folders for results below the scratch folder. `IMAGES` also has those of lengths."""
BUCKETS = 512
_WAITING = "waiting"
"""The output of `CheckUnit` with the rows whose lengths depend on image files."""


class CheckSettings(Settings, frozen=True, kw_only=True):
    """The settings of the steps, with the entries by `DatasetFile.entry`.

    `output` is the folder for results.
    """

    entries: Mapping[int, Entry]
    media: str
    rules: Rules


def build(pipeline: beam.Pipeline, files: Sequence[DatasetFile], settings: CheckSettings) -> None:
    """Adds the check of the data files of all entries to a pipeline."""
    register()
    checked = (
        pipeline
        | "Files" >> beam.Create(list(files)).with_output_types(DatasetFile)
        | "Split" >> beam.ParDo(SplitFile(settings))
        | "Share out units" >> beam.Reshuffle()
        | "Check rows" >> beam.ParDo(CheckUnit(settings)).with_outputs(_WAITING, main="uses")
    )
    tokens = (
        checked.uses
        | "Bucket" >> Group(ImageUse)
        | "Check images" >> beam.ParDo(CheckImages(settings))
    )
    if settings.rules.cutoff is None:
        return
    _ = (
        (checked[_WAITING], tokens)
        | "Join by unit" >> Group(LengthFact)
        | "Check lengths" >> beam.ParDo(CheckLengths(settings))
    )


def looks(settings: CheckSettings, images: Iterable[bytes | Finding]) -> list[Looked]:
    """Decodes images in worker processes. Returns what was found of each, in order.

    The fault of an image that could not be read is passed on.
    """
    results: dict[int, Looked] = {}

    def readable() -> Iterator[tuple[int, int, bytes]]:
        for at, data in enumerate(images):
            if isinstance(data, Finding):
                results[at] = data
            else:
                yield at, len(data), data

    processes = workers(settings.image_workers, (look.__module__,))
    for at, found in processes.map(look, settings.rules.max_pixels, readable()):
        if isinstance(found, Death):
            kind = Kind.IMAGE_TOO_SLOW if found.slow else Kind.IMAGE_CRASHES_DECODER
            results[at] = Finding(kind, found.detail)
        else:
            results[at] = found
    return [results[at] for at in sorted(results)]


class _Step(FileStep):
    _settings: CheckSettings


@beam.typehints.with_input_types(DatasetFile)
@beam.typehints.with_output_types(Unit)
class SplitFile(_Step):
    """Scans a file once, yields references to its units in order, and checks it as a whole."""

    def process(self, file: DatasetFile) -> Iterator[Unit]:
        note = FileNote(file)
        yield from data_files.units(note)
        results.write(self._settings, FILES, file.name, note)


@beam.typehints.with_input_types(Unit)
class CheckUnit(_Step):
    """Checks the rows of a unit, and yields the image paths that they use, by bucket."""

    def process(self, unit: Unit) -> Iterator[object]:
        entry = self._settings.entries[unit.file.entry]
        examiner = Examiner(unit, entry, self._settings.rules, self._look)
        with timed("rows"):
            data_files.examine(examiner)
            note = examiner.note()
            results.write(self._settings, UNITS, unit.name, note)
        count("rows_checked", note.rows)
        for use in examiner.uses():
            digest = hashlib.sha256(use.path.encode("utf-8", "surrogatepass")).digest()
            yield f"{int.from_bytes(digest[:4], 'big') % BUCKETS:03d}", use
        if examiner.lengths:
            waiting = LengthFact(unit.file.entry, tuple(examiner.lengths))
            yield beam.pvalue.TaggedOutput(_WAITING, (unit.name, waiting))

    def _look(self, images: Sequence[bytes]) -> list[Looked]:
        return looks(self._settings, images)


@beam.typehints.with_input_types(tuple[str, Iterable[ImageUse]])
@beam.typehints.with_output_types(tuple[str, LengthFact])
class CheckImages(_Step):
    """Reads and decodes each image of a bucket once, even if several rows use it.

    If lengths are checked, yields the tokens of the images for each unit.
    """

    def process(self, element: tuple[str, Iterable[ImageUse]]) -> Iterator[tuple[str, LengthFact]]:
        bucket, uses = element[0], sorted(element[1], key=lambda use: (use.entry, use.place))
        paths = sorted({use.path for use in uses})
        with timed("images"):
            media = self._settings.media
            reads = ((media, 0, partial(data_files.read_image, media, path)) for path in paths)
            found = dict(zip(paths, looks(self._settings, files.in_order(reads)), strict=True))
        for entry in sorted({use.entry for use in uses}):
            tally = Tally()
            mine = [use for use in uses if use.entry == entry]
            for use in mine:
                for fault in findings_of(found[use.path]):
                    detail = f"{shown(use.path)}: {fault.detail}"
                    tally.add(Finding(fault.kind, detail, use.place), use.rows)
            used = {use.path for use in mine}
            missing = group((path, None) for path in used if _is_missing(found[path]))
            note = ImageNote(entry, tally.counts(), len(used), missing)
            results.write(self._settings, IMAGES, f"{bucket}-{entry:04d}", note)
        count("images_checked", len(paths))
        rules = self._settings.rules
        if rules.cutoff is not None:
            tokens = {path: rules.tokens_of(size) for path, size in found.items()}
            for use in uses:
                yield use.unit, LengthFact(use.entry, tokens=((use.path, tokens[use.path]),))


def _is_missing(found: Looked) -> bool:
    return isinstance(found, Finding) and found.kind is Kind.IMAGE_MISSING


@beam.typehints.with_input_types(tuple[str, Iterable[LengthFact]])
class CheckLengths(_Step):
    """Checks the lengths of a unit's rows once the sizes of their images are known."""

    def process(self, element: tuple[str, Iterable[LengthFact]]) -> None:
        name, facts = element[0], list(element[1])
        cutoff = self._settings.rules.cutoff
        assert cutoff is not None
        sizes = dict(pair for fact in facts for pair in fact.tokens)
        checked = (check_length(row, sizes, cutoff) for fact in facts for row in fact.rows)
        tally = Tally(found for found in checked if found)
        results.write(self._settings, IMAGES, name, ImageNote(facts[0].entry, tally.counts()))
