"""The order of rows: an image row comes first, and text-only rows alternate with image rows.

LLaMA-Factory's loader infers a column's type from the first rows that it reads: the first 10 MB of
a JSONL file, and the first 1,000 rows of each preprocessing worker. Text-only rows have an empty
list of images. If all these rows are text-only, the loader infers the type "null", and the first
row with an image fails ("Couldn't cast ... to null"). The loader reads the files of a folder in
any order, so each part must work as the first one.
"""

from __future__ import annotations

import hashlib
import heapq
import itertools
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from beam_mat.core.results import MixJob, Unit

T = TypeVar("T")

MAX_RUN = 400
"""Maximum number of text-only rows per image row in a part. Any 1,000 rows then have an image."""


def deal(images: Sequence[T], texts: Sequence[T]) -> list[T]:
    """Distributes `texts` evenly after the elements of `images`. Both keep their order.

    >>> deal("IJK", "abcde")
    ['I', 'a', 'J', 'b', 'c', 'K', 'd', 'e']
    """
    if not images:
        return list(texts)
    dealt: list[T] = []
    done = 0
    for number, image in enumerate(images, 1):
        upto = len(texts) * number // len(images)
        dealt += [image, *texts[done:upto]]
        done = upto
    return dealt


def surplus(images: int, texts: int) -> int:
    """The number of a chunk's text-only rows that must be mixed with another chunk's image rows.

    >>> surplus(2, 900), surplus(2, 800), surplus(0, 5)
    (100, 0, 5)
    """
    return max(0, texts - MAX_RUN * images)


def shares(count: int, into: int) -> list[range]:
    """Splits ``range(count)`` into `into` ranges whose lengths differ by at most one.

    >>> shares(5, 2)
    [range(0, 2), range(2, 5)]
    """
    bounds = [count * number // into for number in range(into + 1)]
    return [range(start, stop) for start, stop in itertools.pairwise(bounds)]


def plan(units: Sequence[Unit]) -> list[MixJob]:
    """Assigns each text-only unit of a split to a unit with images. The result is deterministic.

    Each text-only unit goes to the unit that has the fewest text rows per image row so far.
    """
    units = sorted(units, key=lambda unit: unit.name)
    texts = [unit for unit in units if not unit.image_rows]
    dealt = {unit: list[Unit]() for unit in units if unit.image_rows}
    if not dealt:
        return [MixJob(None, (text,)) for text in texts]
    queue = [
        ((unit.rows - unit.image_rows) / unit.image_rows, -unit.image_rows, unit.name, unit)
        for unit in dealt
    ]
    heapq.heapify(queue)
    for text in texts:
        burden, images, name, base = queue[0]
        dealt[base].append(text)
        heapq.heapreplace(queue, (burden - text.rows / images, images, name, base))
    return [MixJob(base, tuple(taken)) for base, taken in dealt.items() if taken]


def mixed_names(job: MixJob) -> list[str]:
    """The names of the units that a job writes.

    A job writes as many units as it reads, but at most one per image row. The names depend only on
    the job's inputs, so repeating the job writes the same files.
    """
    if job.base is None:
        return [text.name for text in job.texts]
    inputs = "\n".join(text.name for text in job.texts)
    digest = hashlib.sha256(inputs.encode()).hexdigest()[:16]
    count = min(job.base.image_rows, len(job.texts) + 1)
    return [f"{job.base.name}-{digest}-{number:04d}" for number in range(count)]


class Mixed(NamedTuple):
    """A unit that a mix job writes.

    Attributes:
        name: Name of the unit.
        image_rows: Number of rows with images.
        rows: The rows in order, as indexes into the rows of the base followed by those of the
            text-only units.
    """

    name: str
    image_rows: int
    rows: list[int]


def mixed(job: MixJob) -> list[Mixed]:
    """The units that a job writes. Each gets an equal share of the image rows and text rows."""
    total = sum(text.rows for text in job.texts)
    if job.base is None:
        return [Mixed(text.name, 0, list(range(text.rows))) for text in job.texts]
    base = job.base
    order = deal(range(base.image_rows), range(base.image_rows, base.rows))
    place = {row: at for at, row in enumerate(order)}
    images = [place[row] for row in range(base.image_rows)]
    texts = [place[row] for row in range(base.image_rows, base.rows)]
    texts += range(base.rows, base.rows + total)
    names = mixed_names(job)
    return [
        Mixed(name, len(some), deal([images[at] for at in some], [texts[at] for at in others]))
        for name, some, others in zip(
            names, shares(len(images), len(names)), shares(len(texts), len(names)), strict=True
        )
    ]
