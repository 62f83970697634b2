"""What differs between two generations, and why."""

from __future__ import annotations

from pathlib import Path

import pytest

from beam_mat.dataset import log
from beam_mat.dataset.diff import CAME, CHANGED, WENT, Change, Diff, diff
from tests.making import image_record, picture, record, write_shard, write_zip
from tests.work.plain import job_of, make


@pytest.fixture(scope="module", params=["jsonl", "parquet"])
def generations(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """Two generations, with changes of every kind between them."""
    folder = tmp_path_factory.mktemp("diff")
    a, b, c, d = (folder / f"{name}.json" for name in "abcd")
    y, z = folder / "y.zip", folder / "z.zip"
    write_shard(
        a,
        [
            image_record("same", "s.jpg"),
            image_record("picture", "p.jpg"),
            record("text"),
            record("dropped"),
            image_record("spoiled", "s.jpg"),
            image_record("late", "l.jpg"),
        ],
    )
    write_shard(b, [image_record("gone", "g.jpg")])
    write_shard(c, [record("kept")])
    write_zip(y, {"g.jpg": picture(seed=1)})
    write_zip(z, {"s.jpg": picture(seed=2), "p.jpg": picture(seed=3)})
    out, formats = folder / "out", (request.param,)
    make(job_of(out, [a, b, c], [y, z], formats=formats), keep=None)
    write_shard(
        a,
        [
            image_record("same", "s.jpg"),
            image_record("picture", "p.jpg"),
            record("text", answer="Thought: Six."),
            image_record("spoiled", "none.jpg"),
            image_record("late", "l.jpg"),
        ],
    )
    write_shard(d, [record("new")])
    write_zip(z, {"s.jpg": picture(seed=2), "p.jpg": picture(seed=4), "l.jpg": picture(seed=5)})
    make(job_of(out, [a, c, d], [z], formats=formats), keep=None)
    return folder


def found(folder: Path, before: int, after: int) -> Diff:
    output = str(folder / "out")
    return diff(output, log.snapshot(output, before), log.snapshot(output, after))


def named(folder: Path, changes: tuple[Change, ...]) -> list[tuple[str, str, str]]:
    """Kind, name and reason of changes, with inputs below the folder of the test."""
    inputs = f"{folder}/"
    return [
        (one.kind, one.name.removeprefix(inputs), one.why.replace(inputs, "")) for one in changes
    ]


def test_each_difference_has_a_reason(generations: Path) -> None:
    made = found(generations, 1, 2)
    assert (made.before, made.after) == (1, 2)
    assert named(generations, made.inputs) == [
        (CHANGED, "a.json", "new version of the shard"),
        (WENT, "b.json", "the shard is no longer among the inputs"),
        (CAME, "d.json", "new shard"),
        (WENT, "y.zip", "the image source is no longer among the inputs"),
        (CHANGED, "z.zip", "new version of the image source"),
    ]
    absent = "is in none of the image sources"
    assert named(generations, made.records) == [
        (WENT, "dropped", "new version of a.json"),
        (WENT, "gone", "b.json is no longer among the inputs"),
        (CAME, "late", f"previously rejected as image_missing: 'l.jpg' {absent}"),
        (CAME, "new", "new version of a.json"),  # its row is in a part of that shard
        (CHANGED, "picture", "image p.jpg: another picture in z.zip"),
        (WENT, "spoiled", f"now rejected as image_missing: 'none.jpg' {absent}"),
        (CHANGED, "text", "new version of a.json"),
    ]
    assert named(generations, made.images) == [
        (WENT, "g.jpg", "y.zip is no longer among the inputs, or no record uses it"),
        (CAME, "l.jpg", "from z.zip"),
        (CHANGED, "p.jpg", "another picture in z.zip"),
    ]


def test_the_other_way_round_what_came_is_what_went(generations: Path) -> None:
    forth, back = found(generations, 1, 2), found(generations, 2, 1)
    other = {CAME: WENT, WENT: CAME, CHANGED: CHANGED}
    for some, others in (
        (forth.inputs, back.inputs),
        (forth.records, back.records),
        (forth.images, back.images),
    ):
        assert [(other[one.kind], one.name) for one in some] == [
            (one.kind, one.name) for one in others
        ]
    gone = [one.why for one in back.images if one.kind == WENT]
    assert gone == [f"no record uses it, or it is no longer in {generations}/z.zip"]
    came = [one.why for one in back.records if one.name == "gone"]
    assert came == [f"new shard {generations}/b.json"]


def test_a_generation_does_not_differ_from_itself(generations: Path) -> None:
    assert found(generations, 2, 2) == Diff(2, 2, (), (), ())
