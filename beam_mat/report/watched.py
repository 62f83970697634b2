"""The report of a watched dataset, made of its log."""

from __future__ import annotations

import pyarrow.parquet as pq

from beam_mat.core import layout
from beam_mat.core.generation import Contents
from beam_mat.core.image_statistics import ImageStatistics
from beam_mat.core.record import Prefixes
from beam_mat.core.statistics import Statistics
from beam_mat.manifest import Manifest
from beam_mat.report.findings import Findings, find
from beam_mat.report.write import write as write_findings
from beam_mat.storage import files, generations, inputs
from beam_mat.storage.images import images_of


def write(output: str, manifest: Manifest, contents: Contents | None = None) -> None:
    """Writes statistics.json and report.html.

    Args:
        output: The dataset's folder.
        manifest: Its manifest.
        contents: What the log adds up to, where that is known already.
    """
    contents = contents or generations.load(output)
    prefixes = tuple((old, new) for old, new in manifest.configuration["rewrite"])
    write_findings(output, manifest, _findings(output, contents, prefixes))


def _findings(output: str, contents: Contents, prefixes: Prefixes) -> Findings:
    statistics = Statistics()
    for entry in contents.ordered_shards():
        for note in entry.chunks:
            statistics.merge(note.statistics)
    # A landing place may have been swept since: of what is gone nothing can be shown.
    named = {one.source for one in statistics.samples}
    named |= {one.source for one in statistics.rejects}
    there = {uri for uri in named if not inputs.change(contents.shards[uri].shard())}
    statistics.samples = [one for one in statistics.samples if one.source in there]
    statistics.rejects = [one for one in statistics.rejects if one.source in there]
    return find(statistics, _images(output), prefixes)


def _images(output: str) -> ImageStatistics:
    statistics = ImageStatistics()
    with files.open_binary(files.join(output, layout.IMAGE_TABLE)) as file:
        for batch in pq.ParquetFile(file).iter_batches():
            for image in images_of(batch):
                statistics.add(image)
    return statistics.ordered()
