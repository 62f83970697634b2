"""Images of the dataset that a zip has, too, and that are to be taken from it.

While a watch runs, the join of paths knows where each image was taken from. What was taken before
it began is known from the table of images: a zip may have come while no watch ran.
"""

from __future__ import annotations

from collections.abc import Iterator, Set

import pyarrow.parquet as pq

from beam_mat import manifest
from beam_mat.core import layout
from beam_mat.core.notes import Source
from beam_mat.storage import files
from beam_mat.watch.facts import WatchSettings
from beam_mat.watch.places import order_of


def outdated(watch: WatchSettings, source: Source) -> Set[str]:
    """Paths of images in the dataset for which a zip counts more than the one they were taken from.

    Those are all that come from a zip that comes later, by pattern and name, or from another
    version of this one; whether the zip has them is for the caller to see.

    Args:
        watch: The watch.
        source: The zip as it is now.
    """
    output = watch.settings.output
    found = manifest.read(output)
    if found is None or any(
        (one.uri, one.version) == (source.uri, source.version) for one in found.inputs.images
    ):
        return frozenset()  # what it has was taken from it when it came
    place = (source.order, source.uri)
    return frozenset(
        path for path, taken_from in _origins(output) if place <= _place(watch, taken_from)
    )


def _place(watch: WatchSettings, uri: str) -> tuple[int, str]:
    order = order_of(uri, watch.images)
    return (len(watch.images) if order is None else order), uri


def _origins(output: str) -> Iterator[tuple[str, str]]:
    try:
        file = files.open_binary(files.join(output, layout.IMAGE_TABLE))
    except FileNotFoundError:
        return
    with file:
        for batch in pq.ParquetFile(file).iter_batches(columns=["path", "source"]):
            for path, source in zip(*(column.to_pylist() for column in batch), strict=True):
                if source is not None:
                    yield path, source
