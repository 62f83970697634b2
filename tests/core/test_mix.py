"""The order of rows: nothing lost, an image row first, text-only rows spread."""

from __future__ import annotations

from itertools import groupby
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from beam_mat.core.mix import MAX_RUN, interleave, mixed, plan, surplus
from beam_mat.core.results import MixJob, Unit
from tests.properties import examples

few = settings(max_examples=examples(200))
UNITS = st.lists(
    st.tuples(st.integers(0, 1 << 30), st.integers(0, 5), st.integers(1, 5)),
    max_size=12,
    unique_by=lambda numbers: numbers[0],
).map(
    lambda some: [Unit(f"u{name}", "train", images, images + texts) for name, images, texts in some]
)


@few
@given(st.integers(0, 40), st.integers(0, 200))
def test_dealt_rows_are_all_there_and_spread_evenly(images: int, texts: int) -> None:
    dealt = interleave([("i", at) for at in range(images)], [("t", at) for at in range(texts)])
    assert [row for row in dealt if row[0] == "i"] == [("i", at) for at in range(images)]
    assert [row for row in dealt if row[0] == "t"] == [("t", at) for at in range(texts)]
    if images:
        assert dealt[0][0] == "i"
        runs = [len(list(run)) for kind, run in groupby(row[0] for row in dealt) if kind == "t"]
        assert max(runs, default=0) <= -(-texts // images)


@few
@given(UNITS, st.randoms())
def test_each_text_only_unit_is_in_one_job_whatever_the_order(
    units: list[Unit], random: Random
) -> None:
    jobs = plan(units)
    texts = [unit for unit in units if not unit.image_rows]
    dealt = [text for job in jobs for text in job.texts]
    assert sorted(unit.name for unit in dealt) == sorted(unit.name for unit in texts)
    bases = [job.base for job in jobs if job.base]
    assert len({unit.name for unit in bases}) == len(bases)
    assert all(unit.image_rows for unit in bases)
    assert bool(bases) == (bool(texts) and len(texts) < len(units))
    random.shuffle(units)
    assert plan(units) == jobs


@few
@given(UNITS)
def test_names_are_new_sorted_and_leave_no_unit_without_an_image_row(units: list[Unit]) -> None:
    every: list[str] = []
    for job in plan(units):
        names = [unit.name for unit, _ in mixed(job)]
        assert names == sorted(set(names))
        assert [unit.name for unit, _ in mixed(job)] == names
        if job.base:
            assert 1 <= len(names) <= job.base.image_rows
            assert not set(names) & {unit.name for unit in units}
        every += names
    assert len(every) == len(set(every))


def test_a_name_is_a_function_of_all_that_goes_in() -> None:
    base, texts = Unit("b", "train", 3, 3), [Unit(f"t{at}", "train", 0, 2) for at in range(3)]
    one, two = MixJob(base, tuple(texts[:2])), MixJob(base, tuple(texts[1:]))
    assert not {unit.name for unit, _ in mixed(one)} & {unit.name for unit, _ in mixed(two)}


@few
@given(UNITS)
def test_every_row_is_in_one_mixed_unit_and_runs_are_bounded(units: list[Unit]) -> None:
    for job in plan(units):
        sources = [unit for unit in (job.base, *job.texts) if unit]
        made = mixed(job)
        rows = sorted(row for _, order in made for row in order)
        assert all(unit.rows == len(order) for unit, order in made)
        assert rows == list(range(sum(unit.rows for unit in sources)))
        if job.base:
            texts = len(rows) - job.base.image_rows
            assert all(unit.rows - unit.image_rows <= -(-texts // len(made)) for unit, _ in made)


@few
@given(st.integers(0, 50), st.integers(0, 5000))
def test_what_stays_leaves_no_long_run_of_text(images: int, texts: int) -> None:
    stay = texts - surplus(images, texts)
    assert 0 <= stay <= MAX_RUN * images
    assert stay in (texts, MAX_RUN * images)
