"""Finds images of the dataset that must now be taken from another zip.

While a watch runs, the join by path knows the zip of each image. For images of earlier runs the
image table has this information, because a zip may have arrived while no watch ran.
"""

from __future__ import annotations

from collections.abc import Iterator, Set

import pyarrow.parquet as pq

from beam_mat.core import layout
from beam_mat.core.references import Source
from beam_mat.dataset import manifest
from beam_mat.storage import files
from beam_mat.watch.elements import WatchSettings
from beam_mat.watch.patterns import order_of


def outdated(watch: WatchSettings, source: Source) -> Set[str]:
    """Returns the images in the dataset that a zip would replace if it has them.

    These are the images from zips with lower precedence (by pattern and name) and from other
    versions of this zip. The caller checks whether the zip has them.

    Args:
        watch: The watch.
        source: The zip as it is now.

    Returns:
        Their published paths.
    """
    output = watch.settings.output
    found = manifest.read(output)
    if found is None or any(
        (one.uri, one.version) == (source.uri, source.version) for one in found.inputs.images
    ):
        return frozenset()  # its images are in the dataset already
    precedence = (source.order, source.uri)
    return frozenset(
        path
        for path, taken_from in _origins(output)
        if precedence <= _precedence(watch, taken_from)
    )


def _precedence(watch: WatchSettings, uri: str) -> tuple[int, str]:
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
