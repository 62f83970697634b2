import json

import pytest

from mat_trainer.core.errors import ConfigError
from mat_trainer.core.generation import Changes, Commit, fold, parse
from mat_trainer.core.manifest import Part


def part(name: str, content: str = "0") -> Part:
    return Part(f"jsonl/{name}.jsonl", "jsonl", "train", 1, 1, content * 64)


def changes(added: str = "", removed: str = "") -> Changes:
    return Changes(tuple(map(part, added)), tuple(map(part, removed)))


def commit(
    number: int, added: str = "", removed: str = "", images: Changes | None = None
) -> Commit:
    images = images or changes(str(number))
    return Commit(2, number, number - 1, "l" * 64, changes(added, removed), images)


def checkpoint(number: int, added: str, tables: str) -> Commit:
    return Commit(2, number, 0, "l" * 64, changes(added), changes(tables))


def names(parts: tuple[Part, ...]) -> str:
    return "".join(part.path[6:-6] for part in parts)


def live(*history: Commit) -> str:
    return names(fold(history).manifest.parts)


def test_a_generation_is_what_was_added_and_not_removed() -> None:
    history = [commit(1, "ab"), commit(2, "c", "a"), commit(3, "d", "c")]
    assert [live(*history[:number]) for number in (1, 2, 3)] == ["ab", "bc", "bd"]
    assert names(fold(history).tables) == "123"


def test_tables_of_images_stay_in_order_and_can_be_removed() -> None:
    history = [commit(1), commit(2), commit(3, images=changes("9", "1"))]
    assert names(fold(history).tables) == "29"


def test_a_part_may_come_back() -> None:
    assert live(commit(1, "a"), commit(2, "", "a"), commit(3, "a")) == "a"


@pytest.mark.parametrize("added", ["a", ""])
def test_generations_that_do_not_fit_are_told(added: str) -> None:
    removed = "" if added else "b"
    with pytest.raises(ConfigError, match=r"generations/000002\.json .* not fit"):
        fold([commit(1, "a"), commit(2, added, removed)])


def test_a_commit_that_builds_on_another_one_is_told() -> None:
    with pytest.raises(ConfigError, match=r"000003\.json builds on generation 2: .* not fit"):
        fold([commit(1, "a"), commit(3, "b")])


def test_the_digest_is_that_of_the_generation_wherever_the_fold_begins() -> None:
    history = [commit(1, "ab"), commit(2, "c", "a"), commit(3, "d", "c")]
    digests = {fold(history[:number]).manifest.digest for number in (1, 2, 3)}
    assert len(digests) == 3
    assert fold([checkpoint(2, "bc", "x"), history[2]]).manifest == fold(history).manifest
    assert fold([checkpoint(3, "bd", "x")]).manifest == fold(history).manifest


FILE = {
    "format": 3,
    "generation": 2,
    "previous": 1,
    "lineage": "l",
    "parts": {"added": [], "removed": []},
    "more": 1,
}
PART = {"format": "", "split": "", "rows": 1, "bytes": 1, "sha256": ""}


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"format": 2}, "has format 2, but this mat-trainer reads format 3"),
        ({"generation": 3}, "is of generation 3"),
        ({"parts": []}, "not a file of beam-mat"),
        ({"parts": {"added": [{"path": "../a", **PART}]}}, "leads out of the dataset's folder"),
        ({"images": {"removed": [{"path": "/a", **PART}]}}, "leads out of the dataset's folder"),
    ],
)
def test_what_cannot_be_trusted_is_refused(changed: dict[str, object], fault: str) -> None:
    assert parse(json.dumps(FILE).encode(), "it", 2).generation == 2
    with pytest.raises(ConfigError, match=fault):
        parse(json.dumps({**FILE, **changed}).encode(), "it", 2)
