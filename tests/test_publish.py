"""The last step: what LLaMA-Factory is told, what is checked, and what is written last."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import beam_mat.convert
import beam_mat.finish
from beam_mat import publish, totals
from beam_mat.config import Job
from beam_mat.core.errors import LostRecordError
from beam_mat.core.notes import Part
from beam_mat.core.settings import Settings
from beam_mat.run import run as real_run
from beam_mat.storage import files
from tests import dataset
from tests.command import Ran, convert_words, run
from tests.making import image_record, picture, record, write_shard, write_zip

COLUMNS = {"messages": "messages", "images": "images", "system": "system"}
TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "observation_tag": "observation",
    "function_tag": "function_call",
    "system_tag": "system",
}


def part(format: str, split: str) -> Part:
    return Part(f"{split}-1.{format}", format, split, 1, 1, 1, "")


def test_the_registry_names_every_column_and_every_tag() -> None:
    made = [part(format, split) for format in ("jsonl", "parquet") for split in ("train", "val")]
    info = publish.dataset_info([*made, *made])
    assert {name: entry["file_name"] for name, entry in info.items()} == {
        "mat": "jsonl",
        "mat_parquet": "parquet",
        "mat_val": "jsonl_val",
        "mat_parquet_val": "parquet_val",
    }
    for entry in info.values():
        assert set(entry) == {"file_name", "formatting", "columns", "tags"}
        assert entry["formatting"] == "sharegpt"
        assert entry["columns"] == COLUMNS
        assert entry["tags"] == TAGS


def test_the_registry_names_only_what_there_is() -> None:
    assert list(publish.dataset_info([part("parquet", "train")])) == ["mat_parquet"]
    assert publish.dataset_info([]) == {}


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    records = [image_record("1", "1.jpg"), record("2"), 3]
    shards = [write_shard(tmp_path / f"{n}.json", records) for n in "ab"]
    return convert_words(
        shards, write_zip(tmp_path / "f.zip", {"1.jpg": picture()}), tmp_path / "out"
    )


def notes_in(output: Path, folder: str) -> list[Path]:
    return sorted((output / "_beam_mat" / folder).iterdir())


def spoiled(words: list[str], spoil: Any, monkeypatch: pytest.MonkeyPatch) -> Ran:
    """Converts, with `spoil` called on the output folder when the graph has ended."""

    def run_and_spoil(job: Job, settings: Settings, *rest: Any) -> dict[str, float] | None:
        spent = real_run(job, settings, *rest)
        spoil(Path(settings.output))
        return spent

    monkeypatch.setattr(beam_mat.convert, "run", run_and_spoil)
    return run(*words)


def lose_a_shard(output: Path) -> None:
    notes_in(output, "shards")[0].unlink()


def lose_a_shards_totals(output: Path) -> None:
    notes_in(output, "totals")[0].unlink()


def change_totals(output: Path, **change: Any) -> None:
    note = notes_in(output, "totals")[0]
    value = json.loads(note.read_bytes())
    changed = {name: how(value[name]) for name, how in change.items()}
    note.write_text(json.dumps({**value, **changed}))


def accept_one_less(output: Path) -> None:
    change_totals(output, accepted=lambda count: count - 1)


def count_a_reject_twice(output: Path) -> None:
    def twice(rejected: Any) -> Any:
        return {reason: {**found, "count": 2} for reason, found in rejected.items()}

    change_totals(output, rejected=twice)


def lose_a_part(output: Path) -> None:
    change_totals(output, parts=lambda parts: parts[:1])


def take_another_jobs(output: Path) -> None:
    change_totals(output, generation=lambda generation: "0" * 12)


@pytest.mark.parametrize(
    "spoil",
    [
        lose_a_shard,
        lose_a_shards_totals,
        accept_one_less,
        count_a_reject_twice,
        lose_a_part,
        take_another_jobs,
    ],
)
def test_a_lost_record_fails_the_job(
    words: list[str], tmp_path: Path, spoil: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    raised: list[BaseException] = []
    add_up = totals.add_up

    def watched(job: Job) -> totals.Totals:
        try:
            return add_up(job)
        except Exception as error:
            raised.append(error)
            raise

    monkeypatch.setattr(beam_mat.finish, "add_up", watched)
    ran = spoiled(words, spoil, monkeypatch)
    assert ran.code == 1
    assert [type(error) for error in raised] == [LostRecordError]
    assert not (tmp_path / "out" / "manifest.json").exists()
    assert not (tmp_path / "out" / "dataset_info.json").exists()


def test_the_manifest_is_written_last(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_bytes = files.write_bytes
    before: dict[str, bytes] = {}

    def fail_at_the_manifest(uri: str, data: bytes, scratch: str) -> files.Written:
        if uri.endswith("/manifest.json"):
            before.update(dataset.tree(tmp_path / "out"))
            raise OSError("disk full")
        return write_bytes(uri, data, scratch)

    with monkeypatch.context() as patched:
        patched.setattr(files, "write_bytes", fail_at_the_manifest)
        ran = run(*words)
    assert ran.code == 1
    assert "disk full" in ran.err
    assert not (tmp_path / "out" / "manifest.json").exists()
    # All that the manifest would have named was there.
    assert run(*words).code == 0
    after = dataset.tree(tmp_path / "out")
    del after["manifest.json"]
    assert after.items() <= before.items()
    assert all(name.startswith("_beam_mat/") for name in before.keys() - after.keys())


def test_the_manifest_says_what_went_in_and_how(words: list[str], tmp_path: Path) -> None:
    options = ("--val-fraction", "0.25", "--duplicates", "drop", "--exif", "apply")
    more = ("--max-pixels", "5000", "--min-pixels", "900", "--rewrite", "x/=y/", "--limit", "5")
    assert run(*words, *options, *more).code == 0
    manifest = dataset.manifest(tmp_path / "out")
    assert manifest["configuration"] == {
        "max_pixels": 5000,
        "min_pixels": 900,
        "rewrite": [["x/", "y/"]],
        "formats": ["jsonl", "parquet"],
        "val_fraction": 0.25,
        "duplicates": "drop",
        "exif": "apply",
        "limit": 5,
    }
    shards = manifest["inputs"]["json"]
    assert [(one["uri"], one["size"], one["records"]) for one in shards] == [
        (f"{tmp_path}/a.json", (tmp_path / "a.json").stat().st_size, 3),
        (f"{tmp_path}/b.json", (tmp_path / "b.json").stat().st_size, 2),
    ]
    (zipped,) = manifest["inputs"]["images"]
    assert zipped["uri"] == f"{tmp_path}/f.zip"
    assert zipped["size"] == (tmp_path / "f.zip").stat().st_size
    assert manifest["format"] == 1
    assert manifest["made_by"]["beam-mat"] == beam_mat.__version__
    assert manifest["counts"]["images"] == {"kept": 1}
