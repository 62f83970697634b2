"""Statistics: the same in whatever order they are added up, and small."""

from __future__ import annotations

import random
from collections import Counter

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from beam_mat.core import statistics
from beam_mat.core.chunk import RawRecord
from beam_mat.core.reject import Reason, Reject
from beam_mat.core.scan import Span
from beam_mat.core.statistics import (
    MAX_TOOLS,
    Amount,
    ImageFile,
    ImageStatistics,
    PixelBoxes,
    Sample,
    Statistics,
    ToolUse,
    _offered,
    bucket,
    calls,
    choose,
    offered,
)
from beam_mat.core.trajectory import Trajectory, Turn
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
        id = f"t{number // 2}"
        trajectory = Trajectory(id, system, turns, images)
        counting.accept(raw, trajectory, (300 * len(images), 200 * len(images)))
        if number % 5 == 0:
            counting.pixel_boxes += PixelBoxes(1, (id,))
    return counting.ordered()


def merged(*parts: Statistics) -> bytes:
    total = Statistics()
    for part in parts:
        total.merge(part)
    return msgspec.json.encode(total.ordered())


@example([22, 129, 304, 305, 18, 32, 55, 104, 141, 237], 4)
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
        Reason.NO_ID: statistics.SAMPLED_A_REASON,
        Reason.NO_TURNS: statistics.SAMPLED_A_REASON,
    }
    assert {(one.record, len(one.detail)) for one in found} == {("", statistics.MAX_DETAIL + 1)}


def test_examples_of_boxes_can_be_typed() -> None:
    ids = ("a", "b" * 101, "c\n", "", "\x7f", "图片", "-d e")
    found = sum((PixelBoxes(1, (id,)) for id in ids * 2), PixelBoxes())
    assert (found.records, set(found.examples)) == (14, {"a", "图片", "-d e"})


def test_buckets_begin_at_the_numbers_that_one_asks_for() -> None:
    for asked in (2048, 4096, 8192, 10240, 16384, 32768, 262144):
        assert bucket(asked) == asked
        assert bucket(asked - 1) < asked


@given(st.integers(0, 1 << 40))
def test_a_bucket_is_near_its_values(value: int) -> None:
    assert value * 31 / 32 <= bucket(value) <= value


def sample(id: str, *tools: str, images: int = 1) -> Sample:
    key = statistics.key_of(id)
    return Sample(key, id, "s.json", 0, 0, 1, images, (0, 0), tools)


def test_a_rare_tool_is_in_the_sample() -> None:
    common = [sample(f"c{n}", "look") for n in range(500)]
    chosen = choose([*common, sample("r", "rare"), sample("t", images=0)])
    assert {"r", "t"} <= {one.id for one in chosen}
    assert len(chosen) <= statistics.SAMPLED_WITH_IMAGES + 2


def test_an_id_is_shown_once() -> None:
    same = [msgspec.structs.replace(sample("i"), index=n) for n in (4, 2, 9)]
    assert [one.index for one in choose(same)] == [2]
    other = msgspec.structs.replace(sample("i", "look", images=0), index=5)
    assert [one.index for one in choose([*same, other])] == [2, 5]
    assert [one.index for one in statistics.shown([*same, other])] == [2]


def test_hostile_tools_do_not_fill_the_sample() -> None:
    many = [sample(f"i{n}", f"tool_{n}") for n in range(2000)]
    assert len(choose(many)) == statistics.MAX_KEPT
    assert len(statistics.shown(many)) == statistics.MAX_SAMPLES


FILES = st.builds(
    ImageFile,
    st.sampled_from(["JPEG", "PNG"]),
    st.integers(1, 999),
    st.integers(1, 999),
    st.integers(1, 10**6),
)
IMAGES = st.tuples(FILES, FILES)


def test_images_before_and_after() -> None:
    found = ImageStatistics()
    found.add(ImageFile("WEBP", 640, 480, 900), ImageFile("JPEG", 591, 443, 300))
    found.add(ImageFile("JPEG", 10, 4, 90), ImageFile("JPEG", 10, 4, 90))
    assert found.formats_before == {"WEBP": Amount(1, 900), "JPEG": Amount(1, 90)}
    assert found.ordered().formats_after == {"JPEG": Amount(2, 390)}
    assert found.pixels_after == {40: 1, bucket(591 * 443): 1}


@given(images=st.lists(IMAGES, max_size=12), cut=st.integers(0, 12))
def test_parts_merged_are_the_whole(images: list[tuple[ImageFile, ImageFile]], cut: int) -> None:
    whole, first, rest = ImageStatistics(), ImageStatistics(), ImageStatistics()
    for at, image in enumerate(images):
        whole.add(*image)
        (first if at < cut else rest).add(*image)
    first.merge(rest)
    assert first.ordered() == whole.ordered()


SYSTEM = """\
You only have access to those tools:

- visualizer: A tool that can answer questions about attached images.
- `ask_search_agent`: This will send a message.
- final_answer(answer) -> None: ends the task.
1. Always provide a 'Thought:' sequence - not: this
"""


def test_the_tools_of_a_prompt() -> None:
    assert offered(SYSTEM) == {"visualizer", "ask_search_agent", "final_answer"}
    assert offered("") == frozenset()


def test_calls_are_counted_in_code_only() -> None:
    answers = [
        "Thought: visualizer(1).\n\nCode:\n```py\na = visualizer(question='?')\nprint(a)\n```",
        "```\nfinal_answer(visualizer (2))\n```<end_action>",
    ]
    assert calls(SYSTEM, answers) == Counter(visualizer=2, final_answer=1)


def test_a_block_that_is_not_closed_is_code() -> None:
    assert calls(SYSTEM, ["```python\nfinal_answer(1)"]) == Counter(final_answer=1)


def test_methods_and_longer_names_are_no_tools() -> None:
    answer = "```py\nagent.visualizer(1)\nmy_visualizer(2)\nvisualizer = 3\n```"
    assert calls(SYSTEM, [answer]) == Counter()


def test_long_prompts_are_not_kept() -> None:
    before = _offered.cache_info().currsize
    prompts = ["\n".join(f"- t{at}_{name}: a tool." for name in range(9000)) for at in range(3)]
    assert [len(offered(prompt)) for prompt in prompts] == [9000] * 3
    assert _offered.cache_info().currsize == before


def test_of_very_many_tools_the_most_called_are_counted() -> None:
    names = [f"t{at:03}" for at in range(MAX_TOOLS + 50)]
    code = "".join(f"{name}(1)" for name in names) + f"{names[-1]}(2)"
    found = calls("\n".join(f"- {name}: a tool." for name in names), [f"```py\n{code}\n```"])
    assert found == {names[-1]: 2, **dict.fromkeys(names[: MAX_TOOLS - 1], 1)}
