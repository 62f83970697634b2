"""A dataset is held against its manifest: every fault is found, and named."""

from __future__ import annotations

import json
import os
import shutil
import threading
from importlib.util import find_spec
from pathlib import Path

import pytest

from beam_mat.dataset import verify
from beam_mat.sample import write_sample
from beam_mat.storage import files, stores
from tests.command import converted, run
from tests.stands import hub, reach, servers
from tests.stands.proxy import proxied


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset with rejects. Not to be changed."""
    made = write_sample(tmp_path_factory.mktemp("verify") / "set", shards=2, faults=True)
    return converted(made.shards, made.image_zip, made.image_zip.parent / "out")


@pytest.fixture
def dataset(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "dataset"))


def number_of_files(dataset: Path) -> int:
    """All but those that are made of the others, the log and work results."""
    files = [path for path in dataset.rglob("*") if path.is_file()]
    free = {"manifest.json", "dataset_info.json", "statistics.json", "report.html"}
    other = {"_beam_mat", "generations"}
    return sum(other.isdisjoint(path.parts) and path.name not in free for path in files)


def test_a_sound_dataset_is_sound(sound: Path) -> None:
    ran = run("verify", sound)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == f"All {number_of_files(sound)} files match manifest.json\n"


def test_one_that_may_only_be_read_is_verified(
    sound: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(uri: str, *_: object) -> None:
        raise PermissionError(uri)

    monkeypatch.setattr(verify, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(files, "write_bytes", refuse)
    assert run("verify", sound).code == 0


@pytest.mark.stands
def test_a_dataset_on_the_hub_is_verified_there(
    sound: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not find_spec("huggingface_hub"):
        servers.missing("huggingface_hub")
    monkeypatch.setattr(verify, "SAVE_SECONDS", 0.0)
    with hub.hub(sound) as url, proxied(url) as proxy:
        options = json.dumps(reach.hub(proxy.url))
        ran = run("verify", f"hf://datasets/{hub.REPO}", "--storage-options", options)
        stores.use({})
    assert ran.code == 0, ran.err
    # How far it has come is written down nowhere: that would be a commit.
    assert {seen.method for seen in proxy.seen} <= {"GET", "HEAD"}


def test_several_files_are_looked_at_at_once(sound: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    look = verify.fault_of
    together, met = threading.Barrier(verify.THREADS), threading.Event()

    def meet(output: str, path: str, length: int, sha256: str) -> str | None:
        if path.startswith("images/") and not met.is_set():
            together.wait(20)
            met.set()
        return look(output, path, length, sha256)

    monkeypatch.setattr(verify, "fault_of", meet)
    assert run("verify", sound).code == 0
    assert met.is_set()


def first(folder: Path) -> Path:
    return min(path for path in folder.rglob("*") if path.is_file())


def change(path: Path) -> str:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))
    return "has SHA-256"


def shorten(path: Path) -> str:
    size = path.stat().st_size
    os.truncate(path, size - 1)
    return f"has {size - 1} bytes, but {size} were written"


def drop(path: Path) -> str:
    path.unlink()
    return "is missing"


@pytest.mark.parametrize("spoil", [change, shorten, drop])
@pytest.mark.parametrize("folder", ["jsonl", "parquet", "images", "rejects"])
def test_a_fault_is_named(dataset: Path, spoil: object, folder: str) -> None:
    path = first(dataset / folder)
    why = spoil(path)  # type: ignore[operator]
    ran = run("verify", dataset)
    assert ran.code == 3
    head, fault, cure = ran.err.splitlines()
    assert head == f"beam-mat: 1 damaged or missing file in {dataset}:"
    assert fault.startswith(f"  {path.relative_to(dataset).as_posix()}: {why}")
    assert cure.startswith(
        "To repair the dataset, delete these files and manifest.json, and run the same"
    )


def test_without_its_table_no_image_is_known(dataset: Path) -> None:
    change(dataset / "images.parquet")
    ran = run("verify", dataset)
    assert ran.code == 3
    assert "images.parquet: has SHA-256" in ran.err
    assert "the images cannot be verified without it" in ran.err


def test_a_file_that_a_trainer_would_read_as_well_is_a_fault(dataset: Path) -> None:
    (dataset / "jsonl" / "stray.jsonl").write_text("{}\n")
    ran = run("verify", dataset)
    assert ran.code == 3
    assert "jsonl/stray.jsonl: is not in the manifest, but LLaMA-Factory would read it" in ran.err


def test_the_first_faults_are_named_and_all_are_counted(dataset: Path) -> None:
    images = [path for path in (dataset / "images").rglob("*") if path.is_file()]
    for path in images:
        path.unlink()
    ran = run("verify", dataset)
    assert f"{len(images)} damaged or missing files in" in ran.err
    assert ran.err.count(": is missing") == verify.NAMED_FAULTS
    assert f"… and {len(images) - verify.NAMED_FAULTS} more" in ran.err


def test_broken_off_it_goes_on_where_it_was(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jsonl = first(dataset / "jsonl")
    jsonl.unlink()
    number = number_of_files(dataset) + 1
    seen: list[str] = []
    look = verify.fault_of

    def watch(output: str, path: str, length: int, sha256: str) -> str | None:
        seen.append(path)
        if len(seen) == number - 5:
            raise KeyboardInterrupt
        return look(output, path, length, sha256)

    monkeypatch.setattr(verify, "fault_of", watch)
    assert run("verify", dataset).code == 130
    state = json.loads((dataset / "_beam_mat" / "verified.json").read_bytes())
    assert 0 < state["done"] < number
    # What was found before is told again, and what was seen is not looked at again.
    before, seen[:] = state["done"], [""] * number
    ran = run("verify", dataset)
    assert f"Resuming: {before} files" in ran.out
    assert ran.code == 3
    assert f"{jsonl.relative_to(dataset).as_posix()}: is missing" in ran.err
    # The table of images is looked at each time, since it says what else there is.
    assert len(seen) - number == number - before + 1
    assert not (dataset / "_beam_mat" / "verified.json").exists()


def test_what_was_verified_of_another_dataset_counts_for_nothing(dataset: Path) -> None:
    state = {"manifest": "0" * 64, "done": 10_000, "faulty": 0, "faults": []}
    (dataset / "_beam_mat" / "verified.json").write_text(json.dumps(state))
    drop(first(dataset / "images"))
    assert run("verify", dataset).code == 3


def test_only_a_finished_dataset_is_verified(tmp_path: Path) -> None:
    ran = run("verify", tmp_path)
    assert ran.code == 2
    assert f"{tmp_path}: has no manifest.json, so it is not a finished dataset" in ran.err


def test_a_mended_dataset_is_as_it_was(tmp_path: Path) -> None:
    made = write_sample(tmp_path / "set")
    out = converted(made.shards, made.image_zip, tmp_path / "out")
    before = (out / "manifest.json").read_bytes()
    for folder in ("images", "parquet"):
        change(first(out / folder))
    assert run("verify", out).code == 3
    for folder in ("images", "parquet"):
        first(out / folder).unlink()
    (out / "manifest.json").unlink()
    converted(made.shards, made.image_zip, out)
    assert run("verify", out).code == 0
    assert (out / "manifest.json").read_bytes() == before
