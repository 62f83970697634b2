"""A rejected record: what its line says, and that nothing else goes with it."""

from __future__ import annotations

import itertools
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from beam_mat.core.limits import MAX_RAW_BYTES
from beam_mat.core.reject import Reason
from beam_mat.sample import SampleSummary
from tests import outputs as dataset
from tests.command import convert_words, converted, run
from tests.making import image_record, picture, record, write_shard, write_zip

FIELDS = "reason detail source index start end id record record_truncated".split()


def by_shard(rejects: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found = defaultdict(list)
    for reject in rejects:
        found[reject["source"]].append(reject)
    return found


def test_a_reject_says_what_where_and_holds_the_record(
    made_up: SampleSummary, made_up_output: Path
) -> None:
    rejects = dataset.rejects(made_up_output)
    assert len(rejects) == sum(made_up.rejected.values())
    reasons = {reason.value for reason in Reason}
    for source, found in by_shard(rejects).items():
        data = Path(source).read_bytes()
        for reject in found:
            assert [*reject] == FIELDS
            assert reject["reason"] in reasons
            assert reject["detail"]
            raw = data[reject["start"] : reject["end"]]
            assert reject["record"] == raw[:MAX_RAW_BYTES].decode("utf-8", "backslashreplace")
            assert reject["record_truncated"] == (len(raw) > MAX_RAW_BYTES)
    assert any(reject["record_truncated"] for reject in rejects)
    assert any(reject["id"] is None for reject in rejects)
    assert any(reject["id"] is not None for reject in rejects)


def test_indexes_and_byte_ranges_run_along_the_shard(made_up_output: Path) -> None:
    for found in by_shard(dataset.rejects(made_up_output)).values():
        for reject, after in itertools.pairwise(found):
            assert reject["index"] < after["index"]
            assert reject["end"] < after["start"]


def test_a_reject_names_the_record_that_stands_there(tmp_path: Path) -> None:
    records = [record("fine"), "not a record", image_record("lost", "gone.jpg"), record("too")]
    shard = write_shard(tmp_path / "mat.json", records)
    images = write_zip(tmp_path / "files.zip", {})
    rejects = dataset.rejects(converted(shard, images, tmp_path / "out"))
    assert [(one["reason"], one["index"], one["id"]) for one in rejects] == [
        ("not_an_object", 1, None),
        ("image_missing", 2, "lost"),
    ]
    assert rejects[0]["record"] == '"not a record"'
    assert rejects[0]["source"] == str(shard)
    assert "'gone.jpg'" in rejects[1]["detail"]


def test_a_bad_image_costs_only_the_records_that_use_it(tmp_path: Path) -> None:
    whole = picture((200, 200))
    members = {"bad.jpg": whole[: len(whole) // 2], "good.jpg": whole}
    images = write_zip(tmp_path / "files.zip", members)
    both = '{"<image_00>": "good.jpg", "<image_01>": "bad.jpg"}'
    records = [
        image_record("bad", "bad.jpg"),
        image_record("good", "good.jpg"),
        record("both", image=both, question="<image_00> <image_01>?"),
        record("none"),
    ]
    shards = [
        write_shard(tmp_path / "one.json", records),
        write_shard(tmp_path / "two.json", [image_record("bad too", "bad.jpg")]),
    ]
    output = converted(shards, images, tmp_path / "out")
    assert {row["id"] for row in dataset.rows(output)} == {"good", "none"}
    rejects = {one["id"]: one for one in dataset.rejects(output)}
    assert set(rejects) == {"bad", "both", "bad too"}
    assert {one["reason"] for one in rejects.values()} == {"image_truncated"}
    assert all("'bad.jpg'" in one["detail"] for one in rejects.values())
    table = dataset.image_table(output)
    assert {path: row["status"] for path, row in table.items()} == {
        "bad.jpg": "image_truncated",
        "good.jpg": "kept",
    }
    assert list(dataset.tree(output / "images")) == [Path(table["good.jpg"]["file"]).name]


def test_a_shard_that_breaks_off_gives_what_stands_before(tmp_path: Path) -> None:
    shard = write_shard(tmp_path / "mat.json", [record("1"), record("2"), record("3")])
    whole = shard.read_bytes()
    third = whole.rindex(b"{", 0, whole.index(b'"id": "3"'))
    shard.write_bytes(whole[: third + 60])
    other = write_shard(tmp_path / "other.json", [record("4")])
    images = write_zip(tmp_path / "files.zip", {})
    output = tmp_path / "out"
    ran = run(*convert_words([shard, other], images, output))
    assert ran.code == 0
    assert sorted(row["id"] for row in dataset.rows(output)) == ["1", "2", "4"]
    (reject,) = dataset.rejects(output)
    assert reject["reason"] == "shard_breaks_off"
    assert (reject["index"], reject["start"], reject["end"]) == (2, third, third + 60)
    manifest = dataset.manifest(output)
    assert manifest["counts"]["records"] == 4
    assert manifest["counts"]["unread_bytes"] == 60
    broken, whole = manifest["inputs"]["json"]
    assert broken["broken"]["start"] == third
    assert "broken" not in whole
    place = f"breaks off at byte {third:,}: 60 of {third + 60:,} bytes were not read"
    assert f"mat.json {place}" in ran.out
    assert place in (output / "report.html").read_text("utf-8").replace("</strong>", "")


def test_json_lines_lose_only_the_broken_line(tmp_path: Path) -> None:
    shard = tmp_path / "mat.jsonl"
    lines = [str(record(f"{n}")).replace("'", '"') for n in range(3)]
    shard.write_text("\n".join([lines[0], lines[1][:40], lines[2]]))
    images = write_zip(tmp_path / "files.zip", {})
    output = converted(shard, images, tmp_path / "out")
    assert sorted(row["id"] for row in dataset.rows(output)) == ["0", "2"]
    (reject,) = dataset.rejects(output)
    assert (reject["reason"], reject["index"]) == ("malformed_json", 1)
    assert reject["record"] == lines[1][:40]


@pytest.fixture
def half_bad(tmp_path: Path) -> list[str]:
    shard = write_shard(tmp_path / "mat.json", [record("1"), 2, record("3"), 4])
    return convert_words(shard, write_zip(tmp_path / "files.zip", {}), tmp_path / "out")


def test_more_rejected_than_allowed_publishes_nothing(half_bad: list[str], tmp_path: Path) -> None:
    ran = run(*half_bad, "--max-rejected", "0.49")
    assert ran.code == 3
    assert "2 of 4 records were rejected (50.00%), but --max-rejected allows 49.00%" in ran.err
    assert not (tmp_path / "out" / "manifest.json").exists()
    assert not (tmp_path / "out" / "dataset_info.json").exists()
    # What the message sends the user to is there, and a higher limit needs no clearing up.
    assert len(dataset.rejects(tmp_path / "out")) == 2
    assert run(*half_bad, "--max-rejected", "0.5").code == 0
    assert dataset.manifest(tmp_path / "out")["counts"]["rejected"] == 2


def test_none_rejected_is_within_a_limit_of_zero(tmp_path: Path) -> None:
    images = write_zip(tmp_path / "files.zip", {})
    words = convert_words(write_shard(tmp_path / "a.json", [record("1")]), images, tmp_path / "out")
    assert run(*words, "--max-rejected", "0").code == 0


def test_a_limit_of_zero_is_a_limit(half_bad: list[str]) -> None:
    assert run(*half_bad, "--max-rejected", "0").code == 3
