"""Hostile pictures cost their own records, and no command fails because of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import outputs
from tests.command import converted, run
from tests.crashing.pictures import GOOD
from tests.fuzz import pictures
from tests.making import image_record, write_files, write_shard

SIZE = 1 << 18
LARGE = ("large",)
"""Pictures of many pixels, which take seconds; see tests/fuzz/test_pictures.py."""
HOSTILE = {
    f"{name.replace(' ', '_')}.png": data
    for name, data in pictures.hostile(SIZE)
    if not any(word in name for word in LARGE)
}
CAUSES = {"image_undecodable", "image_truncated", "image_too_large"}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    found = {**GOOD, **HOSTILE}
    shard = write_shard(folder / "in.json", [image_record(path, path) for path in found])
    return converted(shard, write_files(folder / "images", found), folder / "out")


def test_convert_accepts_or_rejects_each(dataset: Path) -> None:
    rejected = {one["id"]: one["reason"] for one in outputs.rejects(dataset)}
    accepted = {one["id"] for one in outputs.rows(dataset)}
    assert accepted | rejected.keys() == {*GOOD, *HOSTILE}
    assert not accepted & rejected.keys()
    assert accepted >= set(GOOD)
    assert set(rejected.values()) == CAUSES
    assert rejected["png_no_palette.png"] == "image_undecodable"
    assert rejected["gif_huge_screen.png"] == "image_too_large"


def test_what_is_written_is_not_far_larger_than_its_pixels(dataset: Path) -> None:
    for path, row in outputs.image_table(dataset).items():
        if row["file"]:
            assert row["bytes"] <= 8 * row["width"] * row["height"] + (1 << 16), path


def test_the_report_is_made(dataset: Path) -> None:
    ran = run("report", dataset)
    assert ran.code == 0, ran.err
    assert "data:image/jpeg;base64," in (dataset / "report.html").read_text()


def test_check_and_show_get_through(tmp_path: Path) -> None:
    write_files(tmp_path, {**GOOD, **HOSTILE})
    rows = [
        {
            "messages": [
                {"role": "user", "content": "<image>What?"},
                {"role": "assistant", "content": "It."},
            ],
            "images": [path],
        }
        for path in (*GOOD, *HOSTILE)
    ]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    tags = {"role_tag": "role", "content_tag": "content"}
    tags |= {"user_tag": "user", "assistant_tag": "assistant"}
    columns = {"messages": "messages", "images": "images"}
    entry = {"file_name": "rows.json", "formatting": "sharegpt", "columns": columns, "tags": tags}
    (tmp_path / "dataset_info.json").write_text(json.dumps({"set": entry}))
    ran = run("check", tmp_path, "--json")
    assert ran.code == 3, ran.err
    kinds = {one["kind"] for one in json.loads(ran.out)["violations"]}
    assert {"image_undecodable", "image_huge"} <= kinds
    assert "image_crashes_decoder" not in kinds
    assert "image_too_slow" not in kinds
    for number in range(len(GOOD), len(rows)):
        shown = run("show", tmp_path, "--index", number)
        assert shown.code == 0, shown.err
