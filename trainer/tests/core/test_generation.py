import json

import pytest

from mat_trainer.core.errors import ConfigError
from mat_trainer.core.generation import Changes, Generation, fold, manifest, parse, snapshots
from mat_trainer.core.manifest import Part


def part(name: str, content: str = "0") -> Part:
    return Part(f"jsonl/{name}.jsonl", "jsonl", "train", 1, 1, content * 64)


def generation(number: int, added: str = "", removed: str = "") -> Generation:
    changes = Changes(tuple(map(part, added)), tuple(map(part, removed)))
    return Generation(1, number, changes, part(f"images-{number}"))


def names(history: list[Generation]) -> str:
    return "".join(part.path[6:-6] for part in fold(history)[0])


def test_a_generation_is_what_was_added_and_not_removed() -> None:
    history = [generation(1, "ab"), generation(2, "c", "a"), generation(3, "d", "c")]
    assert [names(history[:number]) for number in (1, 2, 3)] == ["ab", "bc", "bd"]
    assert [table.path[6:-6] for table in fold(history)[1]] == ["images-1", "images-2", "images-3"]


def test_a_part_may_come_back() -> None:
    assert names([generation(1, "a"), generation(2, "", "a"), generation(3, "a")]) == "a"


@pytest.mark.parametrize("added", ["a", ""])
def test_generations_that_do_not_fit_are_told(added: str) -> None:
    removed = "" if added else "b"
    with pytest.raises(ConfigError, match=r"generations/000002\.json .* not fit"):
        fold([generation(1, "a"), generation(2, added, removed)])


def test_the_digest_is_that_of_the_parts_and_the_generation() -> None:
    parts = (part("a"), part("b"))
    digests = {manifest(these, data).digest for these in (parts, parts[:1]) for data in (b"", b"1")}
    assert len(digests) == 4
    assert manifest(parts, b"1") == manifest(parts, b"1")


@pytest.mark.parametrize(
    ("number", "found"), [(1, []), (63, []), (64, [64]), (127, [64]), (130, [128, 64])]
)
def test_snapshots_are_tried_from_the_newest_on(number: int, found: list[int]) -> None:
    assert list(snapshots(number)) == found


FILE = {"format": 1, "generation": 2, "parts": {"added": [], "removed": []}, "more": 1}


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"format": 2}, "format 2, this version reads 1"),
        ({"generation": 3}, "is of generation 3"),
        ({"parts": []}, "is not one of beam-mat"),
        (
            {"parts": {"added": [json.loads('{"path": "../a", "format": "", "split": "", '
             '"rows": 1, "bytes": 1, "sha256": ""}')]}},
            "leads out of the dataset's folder",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_trusted_is_refused(changes: dict[str, object], fault: str) -> None:
    assert parse(json.dumps(FILE).encode(), "it", 2).generation == 2
    with pytest.raises(ConfigError, match=fault):
        parse(json.dumps({**FILE, **changes}).encode(), "it", 2)
