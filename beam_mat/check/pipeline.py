"""The graph of a check. Its steps pass references to each other, not rows or images."""

from __future__ import annotations

from collections.abc import Sequence

import apache_beam as beam

from beam_mat.check.steps import (
    WAITING,
    CheckImages,
    CheckLengths,
    CheckSettings,
    CheckUnit,
    SplitFile,
)
from beam_mat.core.contract.unit import DatasetFile, ImageUse, LengthFact
from beam_mat.transforms import coders
from beam_mat.transforms.group import Group


def build(pipeline: beam.Pipeline, files: Sequence[DatasetFile], settings: CheckSettings) -> None:
    """Adds the check of the data files of all entries to a pipeline."""
    coders.register()
    checked = (
        pipeline
        | "Files" >> beam.Create(list(files)).with_output_types(DatasetFile)
        | "Split" >> beam.ParDo(SplitFile(settings))
        | "Share out units" >> beam.Reshuffle()
        | "Check rows" >> beam.ParDo(CheckUnit(settings)).with_outputs(WAITING, main="uses")
    )
    tokens = (
        checked.uses
        | "Bucket" >> Group(ImageUse)
        | "Check images" >> beam.ParDo(CheckImages(settings))
    )
    if settings.rules.cutoff is None:
        return
    _ = (
        (checked[WAITING], tokens)
        | "Join by unit" >> Group(LengthFact)
        | "Check lengths" >> beam.ParDo(CheckLengths(settings))
    )
