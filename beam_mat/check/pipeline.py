"""The graph of a check. References travel between the steps; rows and images do not."""

from __future__ import annotations

from collections.abc import Sequence

import apache_beam as beam

from beam_mat.core.contract.unit import DatasetFile, ImageUse, LengthFact
from beam_mat.transforms import coders
from beam_mat.transforms.check import (
    WAITING,
    CheckImages,
    CheckLengths,
    CheckSettings,
    CheckUnit,
    SplitFile,
)
from beam_mat.transforms.group import Group


def build(pipeline: beam.Pipeline, files: Sequence[DatasetFile], settings: CheckSettings) -> None:
    """Adds the check of data files to a pipeline.

    Args:
        pipeline: To which the steps are added.
        files: The data files of all entries.
        settings: What the steps need to know.
    """
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
