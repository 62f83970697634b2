"""Statistics of chunks: the same in whatever order they are added up, and small."""

from __future__ import annotations

import random
from collections import Counter

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_mat.core import sampling, statistics
from beam_mat.core.raw import RawRecord
from beam_mat.core.record import Trajectory, Turn
from beam_mat.core.reject import Reason, Reject
from beam_mat.core.scan import Span
from beam_mat.core.statistics import Statistics, ToolUse
from tests.build import chunk

TOOLS = ("search", "look", "answer")


def counted(numbers: list[int]) -> Statistics:
    """Of records that are a function of their numbers."""
    counting = Statistics()
    for number in numbers:
        rng = random.Random(number)
        raw = RawRecord(chunk(), number, Span(number, number + 1), b"x")
        if number % 7 == 0:
            counting.reject(raw.reject(rng.choice(list(Reason)[:3]), "d" * 600, f"r{number // 3}"))
            continue
        called = rng.sample(TOOLS, rng.randrange(3))
        system = "".join(f"- {tool}: does.\n" for tool in TOOLS)
        code = "".join(f"{tool}(1)\n{tool}(2)\n" for tool in called)
        turns = (Turn("user", "Do."), Turn("assistant", f"```py\n{code}```"))
        images = ("a.jpg",) * rng.randrange(3)
        trajectory = Trajectory(f"t{number // 2}", system, turns, images)
        counting.accept(raw, trajectory, (300 * len(images), 200 * len(images)))
    return counting.ordered()


def merged(*parts: Statistics) -> bytes:
    total = Statistics()
    for part in parts:
        total.merge(part)
    return msgspec.json.encode(total.ordered())


@settings(deadline=None)
@given(st.lists(st.integers(0, 3000), unique=True, max_size=300), st.integers(1, 9))
def test_parts_add_up_to_the_whole_in_any_order(numbers: list[int], cuts: int) -> None:
    whole = merged(counted(sorted(numbers)))
    parts = [counted(numbers[at::cuts]) for at in range(cuts)]
    assert merged(*parts) == merged(*reversed(parts)) == whole


def test_what_is_counted() -> None:
    counting = Statistics()
    raw = RawRecord(chunk(), 5, Span(10, 90), b"x")
    turns = (Turn("user", "<image>"), Turn("assistant", "```\nlook(1)\nlook(2)\n```"))
    counting.accept(raw, Trajectory("i", "- look: looks.", turns, ("a.jpg",)), (338, 254))
    found = counting.ordered()
    assert found.turns == {2: 1}
    assert found.images == {1: 1}
    assert found.text == {len("- look: looks.") + len("<image>") + len(turns[1].content): 1}
    assert (found.qwen2_vl_tokens, found.qwen3_vl_tokens) == ({336: 1}, {252: 1})
    assert found.tools == {"look": ToolUse(records=1, calls=2)}
    (sample,) = found.samples
    place = (sample.source, sample.index, sample.start, sample.end)
    assert place == (raw.chunk.shard.uri, 5, 10, 90)


def test_of_hostile_tools_some_are_kept() -> None:
    found = Statistics(tools={f"tool_{n:04}": ToolUse(1, 1) for n in range(1000)})
    assert len(found.ordered().tools) == statistics.MAX_TOOLS


def test_some_rejects_of_each_reason_are_kept_without_their_records() -> None:
    counting = Statistics()
    for number in range(100):
        reason = (Reason.NO_ID, Reason.NO_TURNS)[number % 2]
        counting.reject(Reject(reason, "d" * 9999, "s.json", number, 0, 9, None, "record"))
    found = counting.ordered().rejects
    assert Counter(one.reason for one in found) == {
        Reason.NO_ID: sampling.SAMPLED_A_REASON,
        Reason.NO_TURNS: sampling.SAMPLED_A_REASON,
    }
    assert {(one.record, len(one.detail)) for one in found} == {("", sampling.MAX_DETAIL + 1)}
