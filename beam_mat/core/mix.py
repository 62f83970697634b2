"""The order of rows: an image row first, text-only rows spread between image rows.

LLaMA-Factory's loader guesses a column's type from the first rows that it meets: of a JSONL file
from the first 10 MB, of the converted dataset from the first 1,000 rows of each preprocessing
worker. Text-only rows have an empty list as images, so a stretch of them at such a place makes it
guess "null", and the first row with an image then fails ("Couldn't cast ... to null"). It lists a
folder in no particular order, so every part must be safe to come first.
"""

from __future__ import annotations

import hashlib
import heapq
import itertools
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from beam_mat.core.notes import MixJob, Unit

T = TypeVar("T")

MAX_RUN = 400
"""Text-only rows that a part keeps for each image row: any 1,000 rows then hold an image."""


def deal(images: Sequence[T], texts: Sequence[T]) -> list[T]:
    """Spreads `texts` evenly behind the elements of `images`, each sequence in its own order.

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
    """How many of a chunk's text-only rows are to be mixed with another chunk's image rows.

    >>> surplus(2, 900), surplus(2, 800), surplus(0, 5)
    (100, 0, 5)
    """
    return max(0, texts - MAX_RUN * images)


def shares(count: int, into: int) -> list[range]:
    """Cuts ``range(count)`` into `into` runs whose lengths differ by at most one.

    >>> shares(5, 2)
    [range(0, 2), range(2, 5)]
    """
    bounds = [count * number // into for number in range(into + 1)]
    return [range(start, stop) for start, stop in itertools.pairwise(bounds)]


def plan(units: Sequence[Unit]) -> list[MixJob]:
    """Pairs each text-only unit of a split with one that has images, repeatably.

    The unit with the fewest text rows for each image row takes the next one.
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
    """Names of the units that a job makes: as many as its image rows allow, one a text unit more.

    They are a function of what goes in, so that doing the job again writes the same files.
    """
    if job.base is None:
        return [text.name for text in job.texts]
    inputs = "\n".join(text.name for text in job.texts)
    digest = hashlib.sha256(inputs.encode()).hexdigest()[:8]
    count = min(job.base.image_rows, len(job.texts) + 1)
    return [f"{job.base.name}-{digest}-{number:04d}" for number in range(count)]


class Mixed(NamedTuple):
    """A unit that a mix makes.

    Attributes:
        name: Its name.
        image_rows: How many of its rows have images.
        rows: Its rows in order, as numbers that count through the base and then through the texts.
    """

    name: str
    image_rows: int
    rows: list[int]


def mixed(job: MixJob) -> list[Mixed]:
    """What a job makes: image rows and text rows, each shared out evenly, and dealt."""
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
