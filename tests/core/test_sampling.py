"""Which records are shown."""

from __future__ import annotations

import msgspec

from beam_mat.core import sampling
from beam_mat.core.sampling import Sample, choose


def sample(id: str, *tools: str, images: int = 1) -> Sample:
    key = sampling.key_of(id)
    return Sample(key, id, "s.json", 0, 0, 1, images, (0, 0), tools)


def test_a_rare_tool_is_in_the_sample() -> None:
    common = [sample(f"c{n}", "look") for n in range(500)]
    chosen = choose([*common, sample("r", "rare"), sample("t", images=0)])
    assert {"r", "t"} <= {one.id for one in chosen}
    assert len(chosen) <= sampling.SAMPLED_WITH_IMAGES + 2


def test_an_id_is_shown_once() -> None:
    same = [msgspec.structs.replace(sample("i"), index=n) for n in (4, 2, 9)]
    assert [one.index for one in choose(same)] == [2]


def test_hostile_tools_do_not_fill_the_sample() -> None:
    many = [sample(f"i{n}", f"tool_{n}") for n in range(1000)]
    assert len(choose(many)) == sampling.MAX_SAMPLES
