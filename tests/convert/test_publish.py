"""The last step: what LLaMA-Factory is told, what is checked, and what is written last."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import beam_mat.convert.driver
from beam_mat.convert.driver import finish
from beam_mat.core.errors import LostRecordError
from beam_mat.core.job import Job
from beam_mat.core.results import Part
from beam_mat.dataset.views import dataset_info
from beam_mat.runners.run import run as real_run
from beam_mat.storage import files
from tests import outputs as dataset
from tests.command import Ran, convert_words, run
from tests.making import image_record, picture, record, write_shard, write_zip
from tests.rows import COLUMNS, TAGS


def part(format: str, split: str) -> Part:
    return Part(f"{split}-1.{format}", format, split, 1, 1, 1, "")


def test_the_registry_names_every_column_and_every_tag() -> None:
    made = [part(format, split) for format in ("jsonl", "parquet") for split in ("train", "val")]
    info = dataset_info([*made, *made], "mat")
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
    assert list(dataset_info([part("parquet", "train")], "mat")) == ["mat_parquet"]
    assert dataset_info([], "mat") == {}


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    records = [image_record("1", "1.jpg"), record("2"), 3]
    shards = [write_shard(tmp_path / f"{n}.json", records) for n in "ab"]
    return convert_words(
        shards, write_zip(tmp_path / "f.zip", {"1.jpg": picture()}), tmp_path / "out"
    )


def results_in(output: Path, folder: str) -> list[Path]:
    return sorted((output / "_beam_mat" / folder).rglob("*.json"))


def spoiled(words: list[str], spoil: Any, monkeypatch: pytest.MonkeyPatch) -> Ran:
    """Converts, with `spoil` called on the output folder when the graph has ended."""

    def run_and_spoil(job: Job, *rest: Any) -> dict[str, float] | None:
        spent = real_run(job, *rest)
        spoil(Path(job.settings.output))
        return spent

    monkeypatch.setattr(beam_mat.convert.driver, "run", run_and_spoil)
    return run(*words)


def lose_a_shard(output: Path) -> None:
    results_in(output, "shards")[0].unlink()


def lose_a_summary(output: Path) -> None:
    results_in(output, "summaries")[0].unlink()


def lose_image_results(output: Path) -> None:
    for result in (output / "_beam_mat" / "images").rglob("*.parquet"):
        result.unlink()


def change_summary(output: Path, **change: Any) -> None:
    result = results_in(output, "summaries")[0]
    value = json.loads(result.read_bytes())
    changed = {name: how(value[name]) for name, how in change.items()}
    result.write_text(json.dumps({**value, **changed}))


def accept_one_less(output: Path) -> None:
    change_summary(output, accepted=lambda count: count - 1)


def count_a_reject_twice(output: Path) -> None:
    def twice(rejected: Any) -> Any:
        return [{**found, "count": 2} for found in rejected]

    change_summary(output, rejected=twice)


def lose_a_part(output: Path) -> None:
    change_summary(output, parts=lambda parts: parts[:1])


def take_another_versions(output: Path) -> None:
    change_summary(output, version=lambda version: f"{version}0")


@pytest.mark.slow
@pytest.mark.parametrize(
    "spoil",
    [
        lose_a_shard,
        lose_a_summary,
        lose_image_results,
        accept_one_less,
        count_a_reject_twice,
        lose_a_part,
        take_another_versions,
    ],
)
def test_a_lost_record_fails_the_job(
    words: list[str], tmp_path: Path, spoil: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    raised: list[BaseException] = []

    def watched(*given: Any) -> None:
        try:
            finish(*given)
        except Exception as error:
            raised.append(error)
            raise

    monkeypatch.setattr(beam_mat.convert.driver, "finish", watched)
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
    options = ("--val-fraction", "0.25", "--duplicates", "drop", "--exif", "apply", "--reencode")
    images = ("--fast-decode", "--background", "white", "--high-bit-depth", "scale")
    names = ("--rewrite", "x/=y/", "--zip-encoding", "GBK")
    more = (*names, "--max-pixels", "5000", "--min-pixels", "900", "--limit", "5")
    assert run(*words, *options, *images, *more).code == 0
    manifest = dataset.manifest(tmp_path / "out")
    assert manifest["configuration"] == {
        "max_pixels": 5000,
        "min_pixels": 900,
        "schema": "auto",
        "records": None,
        "name": "mat",
        "rewrite": [["x/", "y/"], ["data/open_llava_next/", "tongagent/"]],
        "formats": ["jsonl", "parquet"],
        "val_fraction": 0.25,
        "zip_encoding": "gbk",
        "duplicates": "drop",
        "exif": "apply",
        "reencode": True,
        "fast_decode": True,
        "background": "white",
        "high_bit_depth": "scale",
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
    assert manifest["format"] == 3
    assert (manifest["generation"], manifest["command"]) == (1, "convert")
    assert manifest["made_by"]["beam-mat"] == beam_mat.__version__
    assert manifest["counts"]["images"] == {"converted": 1}
