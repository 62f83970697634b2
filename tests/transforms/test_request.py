"""What chunks ask for: images, each once; and, when duplicates are dropped, who was first."""

from __future__ import annotations

from beam_mat.core.settings import Settings
from beam_mat.transforms.request import FindRepeated, ListIds, RequestImages
from tests.making import image_record, record
from tests.transforms.collect import collect
from tests.transforms.conftest import ShardOf, chunk_of

TWO = '{"<image_01>": "data/b.jpg", "<image_00>": "data/a.jpg"}'


def test_each_image_is_asked_for_once_a_chunk(settings: Settings, shard_of: ShardOf) -> None:
    records = [
        image_record("1", "data/a.jpg"),
        image_record("2", "data/a.jpg"),
        record("3", image=TWO, question="<image_00><image_01>?"),
        record("4"),
        # Nobody needs the image of a record that is rejected whatever the image is.
        image_record("5", "data/c.jpg", answer=""),
    ]
    one = chunk_of(shard_of(records))
    two = chunk_of(shard_of([image_record("6", "data/a.jpg")]))
    found = collect([one, two], RequestImages(settings))
    assert sorted((path, fact.chunk) for path, fact in found) == sorted(
        [
            ("tongagent/a.jpg", one.name),
            ("tongagent/b.jpg", one.name),
            ("tongagent/a.jpg", two.name),
        ]
    )


def test_ids_come_with_their_place(settings: Settings, shard_of: ShardOf) -> None:
    one = chunk_of(shard_of([record("x"), 7, record("y")]))
    two = chunk_of(shard_of([record("x")]))
    assert sorted(collect([one, two], ListIds(settings))) == [
        ("x", (0, 0, one.name)),
        ("x", (1, 0, two.name)),
        ("y", (0, 2, one.name)),
    ]


def test_all_but_the_first_of_an_id_are_repeated() -> None:
    places = [(1, 0, "b"), (0, 12, "a2"), (0, 3, "a1"), (0, 11, "a2")]
    found = collect([("x", places), ("y", [(5, 5, "z")])], FindRepeated())
    assert sorted((name, fact.repeated) for name, fact in found) == [
        ("a2", 11),
        ("a2", 12),
        ("b", 0),
    ]
