"""Datasets in place and from afar, over a real web server that fails as stores do."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mat_trainer.core.errors import ConfigError, PreflightError
from mat_trainer.core.recipe import Data
from mat_trainer.dataset import fetch, staging, verify
from mat_trainer.dataset.progress import Advance, silent
from mat_trainer.dataset.resolve import resolve
from mat_trainer.dataset.stage import StagedDataset, place, stage
from tests.dataset.server import Answer, Server, serving

BLOCK = 1 << 18


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "BLOCK", BLOCK)
    monkeypatch.setattr(fetch, "PAUSE_SECONDS", 0.0)


@pytest.fixture
def copy(dataset: Path, tmp_path: Path) -> Path:
    """A dataset that a test may change."""
    shutil.copytree(dataset, tmp_path / "mat")
    return tmp_path / "mat"


@pytest.fixture
def server(copy: Path) -> Iterator[Server]:
    with serving(copy) as server:
        yield server


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def staged(uri: object, cache: Path, dataset: str | None = None) -> StagedDataset:
    return stage(str(uri), cache, Data(dataset=dataset), show=silent)


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
    }


def only(folder: Path, pattern: str) -> Path:
    return sorted(folder.glob(pattern))[0]


def faults(uri: object, cache: Path, dataset: str | None = None) -> tuple[str, ...]:
    with pytest.raises(PreflightError) as caught:
        staged(uri, cache, dataset)
    return caught.value.faults


# In place


def test_a_local_dataset_is_used_in_place_and_not_written_to(copy: Path, cache: Path) -> None:
    before = tree(copy)
    found = staged(copy, cache)
    assert (found.path, found.media_dir, found.name) == (copy, copy, "mat")
    assert tree(copy) == before


def test_every_fault_of_a_local_dataset_is_told_at_once(copy: Path, cache: Path) -> None:
    images = sorted((copy / "images").rglob("*.jpg"))
    images[0].unlink()
    images[1].write_bytes(images[1].read_bytes() + b"\0")
    part = only(copy, "jsonl/*")
    part.write_bytes(part.read_bytes().replace(b"user", b"uber", 1))
    (copy / "jsonl" / "_SUCCESS").write_bytes(b"")
    (copy / "dataset_info.json").unlink()
    told = " ".join(faults(copy, cache))
    for fault in (
        f"{images[0]}: missing",
        f"{images[1]}: {images[1].stat().st_size:,} bytes, expected",
        f"{part}: sha256 ",
        "_SUCCESS: not in the manifest",
        "dataset_info.json: No such file",
    ):
        assert fault in told


def test_many_faults_are_counted_and_the_first_of_them_told(copy: Path, cache: Path) -> None:
    images = [path for path in (copy / "images").rglob("*") if path.is_file()]
    assert len(images) > 20
    shutil.rmtree(copy / "images")
    told = faults(copy, cache)
    assert len(told) == 21
    assert told[-1] == f"and {len(images) - 20} more like these"


def test_parquet_needs_no_images(copy: Path, cache: Path) -> None:
    shutil.rmtree(copy / "images")
    assert staged(copy, cache, "mat_parquet").name == "mat_parquet"


def test_what_was_verified_is_not_read_again(
    copy: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    sha256_of = verify.sha256_of

    def reading(path: Path, advance: Advance | None = None) -> str:
        read.append(path.name)
        return sha256_of(path, advance)

    monkeypatch.setattr(verify, "sha256_of", reading)
    staged(copy, cache)
    assert len(read) > 10
    read.clear()
    staged(copy, cache)
    assert read == []
    os.utime(only(copy, "jsonl/*"))
    staged(copy, cache)
    assert read == [only(copy, "jsonl/*").name]


def test_a_change_that_hides_its_time_is_noticed(copy: Path, cache: Path) -> None:
    part = only(copy, "jsonl/*")
    staged(copy, cache)
    look = part.stat()
    part.write_bytes(part.read_bytes().replace(b"user", b"uber", 1))
    os.utime(part, ns=(look.st_atime_ns, look.st_mtime_ns))
    assert "sha256" in faults(copy, cache)[0]


def test_a_cache_that_cannot_be_written_is_told(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigError, match="set MAT_TRAINER_CACHE"):
        staged(copy, tmp_path / "file" / "cache")


# From afar


def test_parquet_is_staged_with_what_it_needs_and_nothing_else(
    copy: Path, server: Server, cache: Path
) -> None:
    found = staged(server.uri, cache)
    assert found.path == cache / found.manifest.digest[:16]
    assert found.media_dir == found.path
    there = {path for path in tree(found.path) if (found.path / path).is_file()}
    part = only(copy, "parquet/*").relative_to(copy)
    assert there == {"manifest.json", "dataset_info.json", str(part)}
    assert all((found.path / path).read_bytes() == (copy / path).read_bytes() for path in there)
    assert not list(cache.glob("*.partial"))


def test_nothing_is_fetched_twice(server: Server, cache: Path) -> None:
    first = staged(server.uri, cache)
    server.asked.clear()
    assert staged(server.uri, cache) == first
    assert server.asked == {"manifest.json": 1, "generations/000001.json": 1}


def test_locating_fetches_the_manifest_alone(server: Server, cache: Path) -> None:
    found = place(resolve(server.uri), cache)
    assert server.asked == {"manifest.json": 1, "generations/000001.json": 1}
    assert not cache.exists()
    assert found == staged(server.uri, cache)


def test_jsonl_brings_every_image(copy: Path, server: Server, cache: Path) -> None:
    found = staged(server.uri, cache, "mat")
    images = [path for path in (copy / "images").rglob("*") if path.is_file()]
    assert images
    for path in images:
        assert (found.path / path.relative_to(copy)).read_bytes() == path.read_bytes()


def test_any_protocol_of_fsspec_will_do(copy: Path, cache: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.put(str(copy), "/afar", recursive=True)
    try:
        found = staged("memory://afar", cache)
    finally:
        memory.rm("/afar", recursive=True)
    part = found.training[0].parts[0].path
    assert (found.path / part).read_bytes() == (copy / part).read_bytes()


def test_a_file_that_broke_off_goes_on_where_it_stopped(
    copy: Path, server: Server, cache: Path
) -> None:
    part = only(copy, "parquet/*").relative_to(copy)
    size = (copy / part).stat().st_size
    assert size > 5 * BLOCK

    def breaking(path: str, before: int, answer: Answer) -> Answer:
        return (500, b"") if path == str(part) and before >= 3 else answer

    server.meddle = breaking
    assert "4 attempts failed" in faults(server.uri, cache)[0]
    server.meddle = lambda path, before, answer: answer
    server.ranges.clear()
    found = staged(server.uri, cache)
    assert (found.path / part).read_bytes() == (copy / part).read_bytes()
    assert sorted(start for _, start, _ in server.ranges) == list(range(3 * BLOCK, size, BLOCK))


def test_short_answers_are_asked_for_again(copy: Path, server: Server, cache: Path) -> None:
    server.meddle = lambda path, before, answer: (
        (answer[0], answer[1][:-1]) if path.startswith("parquet/") and before % 2 else answer
    )
    found = staged(server.uri, cache)
    part = found.training[0].parts[0].path
    assert (found.path / part).read_bytes() == (copy / part).read_bytes()


def test_answers_that_stay_short_are_told(server: Server, cache: Path) -> None:
    server.meddle = lambda path, before, answer: (
        (answer[0], answer[1][:-1]) if path.startswith("parquet/") else answer
    )
    (fault,) = faults(server.uri, cache)
    assert f"bytes 0 to {BLOCK} were requested, {BLOCK - 1} bytes came" in fault


def test_other_content_fails_loudly_and_is_not_kept(
    copy: Path, server: Server, cache: Path
) -> None:
    part = only(copy, "parquet/*")
    part.write_bytes(bytes(part.stat().st_size))
    (fault,) = faults(server.uri, cache)
    assert fault.startswith(f"{server.uri}/parquet/")
    assert "convert again" in fault
    assert not list(cache.glob("*/parquet/*"))


def test_a_dataset_that_is_replaced_meanwhile_is_told(
    copy: Path, server: Server, cache: Path
) -> None:
    def replacing(path: str, before: int, answer: Answer) -> Answer:
        if not path.startswith("parquet/"):
            return answer
        manifest = json.loads((copy / "manifest.json").read_bytes())
        (copy / "manifest.json").write_text(json.dumps({**manifest, "again": True}))
        return answer[0], bytes(len(answer[1]))

    server.meddle = replacing
    assert faults(server.uri, cache)[0] == (
        f"{server.uri}: was replaced while it was staged; run again"
    )


def test_what_an_earlier_try_spoilt_is_fetched_anew(
    copy: Path, server: Server, cache: Path
) -> None:
    part = only(copy, "parquet/*").relative_to(copy)
    server.meddle = lambda path, before, answer: (
        (500, b"") if path == str(part) and before >= 3 else answer
    )
    faults(server.uri, cache)
    (partial,) = cache.glob("*.partial/*")
    partial.write_bytes(bytes(partial.stat().st_size))
    server.meddle = lambda path, before, answer: answer
    found = staged(server.uri, cache)
    assert (found.path / part).read_bytes() == (copy / part).read_bytes()


def test_a_staged_file_that_was_damaged_is_fetched_anew(
    copy: Path, server: Server, cache: Path
) -> None:
    found = staged(server.uri, cache)
    part = found.training[0].parts[0].path
    (found.path / part).write_bytes(b"")
    staged(server.uri, cache)
    assert (found.path / part).read_bytes() == (copy / part).read_bytes()


def test_space_is_checked_before_anything_is_fetched(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "free_bytes", lambda folder: 1000)
    (fault,) = faults(server.uri, cache)
    assert "GB more and 0.00 GB are free" in fault
    read = {"manifest.json", "generations/000001.json", "dataset_info.json"}
    assert set(server.asked) == read


def test_a_missing_file_is_named(copy: Path, server: Server, cache: Path) -> None:
    only(copy, "parquet/*").unlink()
    (fault,) = faults(server.uri, cache)
    assert f"{server.uri}/parquet/" in fault
    assert "missing" in fault


def test_a_registry_that_runs_a_script_is_refused(copy: Path, server: Server, cache: Path) -> None:
    registry = json.loads((copy / "dataset_info.json").read_bytes())
    registry["mat_parquet"]["script_url"] = "run.py"
    (copy / "dataset_info.json").write_text(json.dumps(registry))
    assert "mat_parquet has script_url" in faults(server.uri, cache)[0]


def test_a_staged_registry_has_what_was_verified(copy: Path, server: Server, cache: Path) -> None:
    registry = json.loads((copy / "dataset_info.json").read_bytes())
    before = dict(registry)
    registry["mat_val"] = {**registry["mat"], "script_url": "run.py"}
    registry["mat"] = {**registry["mat"], "file_name": "../elsewhere"}
    registry["other"] = {"script_url": "run.py"}
    (copy / "dataset_info.json").write_text(json.dumps(registry))
    found = staged(server.uri, cache, "mat_parquet")
    there = json.loads((found.path / "dataset_info.json").read_bytes())
    assert there.pop("mat_parquet") == before["mat_parquet"]
    assert not {"mat", "other"} & there.keys()
    assert "script_url" not in json.dumps(there)


@pytest.mark.parametrize("path", ["dataset_info.json", "manifest.json", "images/x", "jsonl/a/b"])
def test_a_part_never_replaces_another_file(
    copy: Path, server: Server, cache: Path, path: str
) -> None:
    manifest = json.loads((copy / "manifest.json").read_bytes())
    data = json.dumps({"mat": {"script_url": "run.py"}}).encode()
    digest = hashlib.sha256(data).hexdigest()
    alien = {**manifest["parts"][-1], "path": path, "bytes": len(data), "sha256": digest}
    manifest["parts"].append(alien)
    (copy / "manifest.json").write_text(json.dumps(manifest))
    for uri in (copy, server.uri):
        with pytest.raises(ConfigError, match=f"{path}' is not in a folder for parts"):
            staged(uri, cache)
    manifest["parts"].pop()
    manifest["image_table"]["path"] = path
    (copy / "manifest.json").write_text(json.dumps(manifest))
    for uri in (copy, server.uri):
        with pytest.raises(ConfigError, match=f"{path}' is not images.parquet"):
            staged(uri, cache, "mat")
    assert not list(cache.rglob("dataset_info.json"))


def test_an_image_never_replaces_another_file(copy: Path, server: Server, cache: Path) -> None:
    file = copy / "images.parquet"
    table = pq.read_table(file)
    names = pa.array(["dataset_info.json"] * table.num_rows)
    pq.write_table(table.set_column(table.schema.get_field_index("file"), "file", names), file)
    manifest = json.loads((copy / "manifest.json").read_bytes())
    data = file.read_bytes()
    manifest["image_table"] |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (copy / "manifest.json").write_text(json.dumps(manifest))
    for uri in (copy, server.uri):
        with pytest.raises(ConfigError, match=r"'dataset_info.json' is not in images/"):
            staged(uri, cache, "mat")


STAGE = """
import sys
from pathlib import Path
from mat_trainer.dataset.progress import Advance, silent
from mat_trainer.dataset.stage import stage
print(stage(sys.argv[1], Path(sys.argv[2]), show=silent).path)
"""


def test_of_many_processes_one_stages(server: Server, cache: Path) -> None:
    words = [sys.executable, "-c", STAGE, server.uri, str(cache)]
    processes = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    paths = {process.communicate(timeout=60)[0].strip() for process in processes}
    assert [process.returncode for process in processes] == [0, 0, 0]
    found = staged(server.uri, cache)
    assert paths == {str(found.path)}
    assert server.asked["dataset_info.json"] == 1
    # With blocks as they are by default, a part of this size comes in one piece.
    assert server.asked[found.training[0].parts[0].path] == 1


HOLD = """
import sys, time
from pathlib import Path
from mat_trainer.dataset.cache import only_one
with only_one(Path(sys.argv[1]), "waits"):
    print("held", flush=True)
    time.sleep(600)
"""


def test_the_lock_of_a_dead_process_does_not_block(server: Server, cache: Path) -> None:
    staged(server.uri, cache)
    (lock,) = (cache / "verified").glob("*.lock")
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lock)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        holder.send_signal(signal.SIGKILL)
    staged(server.uri, cache)
