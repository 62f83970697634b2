"""The order of rows: an image row comes first, and text-only rows alternate with image rows.

LLaMA-Factory's loader infers a column's type from the first rows that it reads: the first 10 MB of
a JSONL file, and the first 1,000 rows of each preprocessing worker. Text-only rows have an empty
list of images. If all these rows are text-only, the loader infers the type "null", and the first
row with an image fails ("Couldn't cast ... to null"). The loader reads the files of a folder in
any order, so each part must work as the first one.
"""

import hashlib
import heapq
import itertools
from collections.abc import Sequence
from typing import TypeVar

from beam_mat.core.results import MixJob, Unit

T = TypeVar("T")

MAX_RUN = 400
"""Maximum number of text-only rows per image row in a part. Any 1,000 rows then have an image."""


def interleave(images: Sequence[T], texts: Sequence[T]) -> list[T]:
    """Distributes `texts` evenly after the elements of `images`. Both keep their order.

    >>> interleave("IJK", "abcde")
    ['I', 'a', 'J', 'b', 'c', 'K', 'd', 'e']
    """
    if not images:
        return list(texts)
    pairs = zip(images, _split(texts, len(images)), strict=True)
    return [row for image, share in pairs for row in (image, *share)]


def surplus(images: int, texts: int) -> int:
    """The number of a chunk's text-only rows that must be mixed with another chunk's image rows.

    >>> surplus(2, 900), surplus(2, 800), surplus(0, 5)
    (100, 0, 5)
    """
    return max(0, texts - MAX_RUN * images)


def _split(rows: Sequence[T], into: int) -> list[Sequence[T]]:
    """Splits rows into shares whose lengths differ by at most one.

    >>> _split("abcde", 2)
    ['ab', 'cde']
    """
    bounds = [len(rows) * number // into for number in range(into + 1)]
    return [rows[start:stop] for start, stop in itertools.pairwise(bounds)]


def plan(units: Sequence[Unit]) -> list[MixJob]:
    """Assigns each text-only unit of a split to a unit with images. The result is deterministic.

    Each text-only unit goes to the unit that has the fewest text rows per image row so far.
    """
    units = sorted(units, key=lambda unit: unit.name)
    texts = [unit for unit in units if not unit.image_rows]
    assigned = {unit: list[Unit]() for unit in units if unit.image_rows}
    if not assigned:
        return [MixJob(None, (text,)) for text in texts]
    queue = [
        ((unit.rows - unit.image_rows) / unit.image_rows, -unit.image_rows, unit.name, unit)
        for unit in assigned
    ]
    heapq.heapify(queue)
    for text in texts:
        burden, images, name, base = queue[0]
        assigned[base].append(text)
        heapq.heapreplace(queue, (burden - text.rows / images, images, name, base))
    return [MixJob(base, tuple(taken)) for base, taken in assigned.items() if taken]


def mixed(job: MixJob) -> list[tuple[Unit, list[int]]]:
    """The units that a job writes: as many as it reads, but at most one per image row.

    Each gets an equal share of the image rows and text rows. Its rows are indexes into the rows of
    the base followed by those of the text-only units. The names depend only on the job's inputs, so
    repeating the job writes the same files.
    """
    base = job.base
    if base is None:
        return [(text, list(range(text.rows))) for text in job.texts]
    # Image rows and text rows alternate in the base already. Its rows are taken in their order.
    order = interleave(range(base.image_rows), range(base.image_rows, base.rows))
    images = [at for at, row in enumerate(order) if row < base.image_rows]
    texts = [at for at, row in enumerate(order) if row >= base.image_rows]
    texts += range(base.rows, base.rows + sum(text.rows for text in job.texts))
    digest = hashlib.sha256("\n".join(text.name for text in job.texts).encode()).hexdigest()[:16]
    count = min(base.image_rows, len(job.texts) + 1)
    shares = zip(_split(images, count), _split(texts, count), strict=True)
    made = []
    for number, (some, others) in enumerate(shares):
        name = f"{base.name}-{digest}-{number:04d}"
        unit = Unit(name, base.split, len(some), len(some) + len(others), base.subset)
        made.append((unit, interleave(some, others)))
    return made
