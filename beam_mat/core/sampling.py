"""Which records are shown: references to some of each kind, chosen by a hash of their ids.

The same records give the same sample, in whatever order they are added up.
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
"""Characters of what was found in a rejected record."""

Tokens = tuple[int, int]
"""Tokens of images: for Qwen2-VL and Qwen2.5-VL, and for Qwen3-VL."""


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """A reference to an accepted record that may be shown.

    Attributes:
        key: A hash of its id; the least keys are taken.
        id: Its id.
        source: URI of its shard.
        index: Its place in the shard, from 0.
        start, end: Its bytes in the shard.
        images: How many images it has.
        tokens: What they take.
        tools: The tools that it calls.
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
        """The groups that it can stand for, and how many of each are wanted."""
        yield ("images", SAMPLED_WITH_IMAGES) if self.images else ("text", SAMPLED_TEXT_ONLY)
        for tool in self.tools:
            yield f"tool {tool}", SAMPLED_A_TOOL


def choose(samples: Iterable[Sample]) -> list[Sample]:
    """The first of each group by key, each id once.

    What is dropped of some records is not among the first of all, so that choosing among what was
    chosen of the parts gives what choosing among all would give.
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
    """Some of each reason, each id once, in the order of `Reason`."""
    chosen: dict[Reason, dict[str, Reject]] = {reason: {} for reason in Reason}
    for reject in sorted(rejects, key=_reject_key):
        known = chosen[reject.reason]
        if len(known) < SAMPLED_A_REASON:
            known.setdefault(_name(reject), reject)
    return [reject for known in chosen.values() for reject in known.values()]


def _reject_key(reject: Reject) -> tuple[str, str, int]:
    return key_of(_name(reject)), reject.source, reject.index


def _name(reject: Reject) -> str:
    return reject.id if reject.id is not None else f"{reject.source}\n{reject.index}"


def key_of(name: str) -> str:
    """A hash by which records are chosen."""
    # Not the hash that decides on the split, or all that is shown would be of one side.
    return hashlib.sha256(f"sample\n{name}".encode()).hexdigest()[:16]
