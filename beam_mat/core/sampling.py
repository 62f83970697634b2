"""Chooses the records that the report shows: some of each kind, selected by a hash of their ids.

The same records give the same sample, whatever the order in which they are merged.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable

import msgspec

from beam_mat.core.reject import Reason, Reject

SAMPLED_WITH_IMAGES = 24
SAMPLED_TEXT_ONLY = 8
SAMPLED_A_TOOL = 3
SAMPLED_A_REASON = 4
MAX_SAMPLES = 120
MAX_DETAIL = 500
"""Characters of a reject's `detail` that are kept."""

Tokens = tuple[int, int]
"""Number of image tokens: for Qwen2-VL and Qwen2.5-VL, and for Qwen3-VL."""


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """A reference to an accepted record that the report may show.

    `key` is a hash of the id; records with the lowest keys are chosen. `index` is the position in
    the shard `source`, `start` and `end` its byte range there. `tokens` are those of the images,
    `tools` the names of the tools that the record calls.
    """

    key: str
    id: str
    source: str
    index: int
    start: int
    end: int
    images: int
    tokens: Tokens
    tools: tuple[str, ...]

    def groups(self) -> Iterable[tuple[str, int]]:
        """The groups of which it can be an example, and how many examples each group needs."""
        yield ("images", SAMPLED_WITH_IMAGES) if self.images else ("text", SAMPLED_TEXT_ONLY)
        for tool in self.tools:
            yield f"tool {tool}", SAMPLED_A_TOOL


def choose(samples: Iterable[Sample]) -> list[Sample]:
    """Chooses the records with the lowest keys from each group, each id once.

    Choosing from the samples of several parts gives the same result as choosing from all records,
    because a record that is dropped from a part is never among the first of all records.
    """
    chosen: list[Sample] = []
    taken = Counter[str]()
    ids = set[str]()
    for sample in sorted(samples, key=lambda one: (one.key, one.source, one.index)):
        if sample.id in ids or len(chosen) == MAX_SAMPLES:
            continue
        wanted = [group for group, most in sample.groups() if taken[group] < most]
        if wanted:
            ids.add(sample.id)
            chosen.append(sample)
        taken.update(group for group, _ in sample.groups())
    return chosen


def choose_rejects(rejects: Iterable[Reject]) -> list[Reject]:
    """Chooses a few rejects of each reason, each id once, in the order of `Reason`."""
    chosen: dict[Reason, dict[str, Reject]] = {reason: {} for reason in Reason}
    for reject in sorted(rejects, key=lambda one: (key_of(_name(one)), one.source, one.index)):
        known = chosen[reject.reason]
        if len(known) < SAMPLED_A_REASON:
            known.setdefault(_name(reject), reject)
    return [reject for known in chosen.values() for reject in known.values()]


def _name(reject: Reject) -> str:
    return reject.id if reject.id is not None else f"{reject.source}\n{reject.index}"


def key_of(name: str) -> str:
    """The hash by which records are chosen: 16 hexadecimal digits."""
    # This differs from the hash that decides on the split. Otherwise all samples would come from
    # the same split.
    return hashlib.sha256(f"sample\n{name}".encode()).hexdigest()[:16]
