"""Generations as they are found and read, over a web server that cannot list."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import fsspec
import pytest

from mat_trainer.core.errors import ConfigError, UnreachableError
from mat_trainer.core.generation import Snapshot
from mat_trainer.dataset import generations
from mat_trainer.dataset.generations import PartSource
from mat_trainer.dataset.resolve import resolve
from mat_trainer.dataset.source import Source
from tests.dataset.server import Server, serving

if TYPE_CHECKING:
    from tests.dataset.watched import Watched


@pytest.fixture
def server(watched: Watched) -> Iterator[Server]:
    with serving(watched.folder) as server:
        yield server


def names(source: Source, number: int) -> list[str]:
    parts = generations.read(source, number).manifest.parts
    return [part.path for part in parts if part.format == "jsonl"]


def test_every_generation_is_read_as_it_was(server: Server) -> None:
    source = Source(server.uri)
    assert [names(source, number) for number in (1, 2, 3)] == [
        ["jsonl/a.jsonl", "jsonl/b.jsonl"],
        ["jsonl/a.jsonl", "jsonl/b.jsonl", "jsonl/c.jsonl"],
        ["jsonl/b.jsonl", "jsonl/c.jsonl", "jsonl/d.jsonl"],
    ]
    assert "manifest.json" not in server.asked


class Reading(Source):
    """Notes the files of the log that are read."""

    def __init__(self, uri: str) -> None:
        super().__init__(uri)
        self.paths: list[str] = []

    def find(self, path: str, absent: tuple[type[Exception], ...] = ()) -> bytes | None:
        self.paths.append(path)
        return super().find(path, absent)


def read_from(uri: str, number: int, files: list[str]) -> Snapshot:
    """Reads a generation, which must take these files of the log and no others."""
    source = Reading(uri)
    found = generations.read(source, number)
    assert sorted(source.paths) == [f"generations/{name}.json" for name in files]
    return found


@pytest.mark.parametrize("afar", [False, True])
@pytest.mark.parametrize("at", [64, 67])
def test_a_checkpoint_saves_what_came_before_it(
    watched: Watched, server: Server, afar: bool, at: int
) -> None:
    for _ in range(4, at + 1):
        watched.commit()
    uri = server.uri if afar else str(watched.folder)
    before = [generations.read(Source(uri), number) for number in (at, at - 1)]
    watched.checkpoint()
    watched.commit(remove=["b"])
    watched.commit()
    last = generations.read(Source(uri), at + 2)
    assert generations.read(Source(uri), at - 1) == before[1]
    watched.vacuum(3)
    after = read_from(uri, at, [f"{at:06}.checkpoint"])
    assert after.manifest == before[0].manifest
    log = [f"{at:06}.checkpoint", f"{at + 1:06}", f"{at + 2:06}"]
    assert read_from(uri, at + 2, log) == last
    assert names(Source(uri), at + 2) == ["jsonl/c.jsonl", "jsonl/d.jsonl"]
    assert {after.lineage, last.lineage} == {before[0].lineage}


@pytest.mark.parametrize("afar", [False, True])
def test_a_generation_that_a_vacuum_removed_is_one_fault_with_the_kept_range(
    watched: Watched, server: Server, afar: bool
) -> None:
    uri = server.uri if afar else str(watched.folder)
    watched.commit()
    watched.checkpoint()
    watched.commit()
    watched.vacuum(2)
    with pytest.raises(ConfigError) as caught:
        resolve(f"{uri}@2")
    assert caught.value.faults == (
        f"{uri}@2: this generation was removed; generations 4 to 5 are kept: pass one of these, "
        "or @latest for the newest",
    )
    watched.vacuum(1)
    with pytest.raises(ConfigError, match="generation 5 alone is kept"):
        resolve(f"{uri}@2")
    assert resolve(f"{uri}@latest").name == f"{uri}@5"


@pytest.mark.parametrize("afar", [False, True])
def test_a_commit_that_builds_on_nothing_is_a_beginning(
    watched: Watched, server: Server, afar: bool
) -> None:
    log = watched.folder / "generations"
    third = json.loads((log / "000003.json").read_bytes())
    third |= {"previous": 0, "parts": {"added": third["parts"]["added"], "removed": []}}
    (log / "000003.json").write_text(json.dumps(third))
    source = Source(server.uri if afar else str(watched.folder))
    assert names(source, 3) == ["jsonl/d.jsonl"]
    watched.vacuum(1)
    assert names(source, 3) == ["jsonl/d.jsonl"]


@pytest.mark.parametrize("known", [0, 1, 3])
def test_the_newest_is_found_without_a_listing(server: Server, known: int) -> None:
    assert generations.newest(Source(server.uri), known) == 3


@pytest.mark.parametrize("count", [0, 1, 2, 5, 9, 100])
def test_the_newest_of_any_number_is_found(tmp_path: Path, count: int) -> None:
    tmp_path.joinpath("generations").mkdir()
    for number in range(1, count + 1):
        tmp_path.joinpath("generations", f"{number:06}.json").touch()
    assert generations.newest(Source(str(tmp_path))) == count


def test_a_gap_is_told(watched: Watched) -> None:
    watched.folder.joinpath("generations", "000002.json").unlink()
    with pytest.raises(ConfigError, match=r"generations/000002\.json is missing"):
        generations.read(Source(str(watched.folder)), 3)


def test_a_part_that_was_replaced_is_found_where_it_went(watched: Watched, server: Server) -> None:
    source = PartSource(server.uri)
    data = watched.folder.joinpath("replaced", "jsonl", "a.jsonl").read_bytes()
    assert source.read_range("jsonl/a.jsonl", 0, 5) == data[:5]
    assert source.read_range("jsonl/a.jsonl", 5, len(data)) == data[5:]
    shutil.move(watched.folder / "replaced/jsonl/a.jsonl", watched.folder / "jsonl/a.jsonl")
    assert source.read_range("jsonl/a.jsonl", 0, 5) == data[:5]
    with pytest.raises(FileNotFoundError):
        source.read_range("jsonl/z.jsonl", 0, 5)


# What an address means


def test_a_uri_alone_and_latest_mean_the_newest(watched: Watched, server: Server) -> None:
    for uri in (str(watched.folder), server.uri):
        for address in (uri, f"{uri}@latest", f"{uri}/"):
            found = resolve(address)
            assert found.snapshot
            assert (found.snapshot.number, found.is_newest) == (3, True)
            assert (found.address, found.name) == (f"{found.uri.rstrip('/')}@3", f"{uri}@3")
    watched.commit()
    assert resolve(found.address).name == f"{uri}@3"
    assert not resolve(found.address).is_newest


def test_a_manifest_that_is_behind_or_not_there_yet_is_no_hindrance(watched: Watched) -> None:
    manifest = watched.folder / "manifest.json"
    behind = manifest.read_bytes().replace(b'"generation": 3', b'"generation": 2')
    manifest.write_bytes(behind)
    assert resolve(str(watched.folder)).name.endswith("@3")
    manifest.unlink()
    assert resolve(str(watched.folder)).name.endswith("@3")
    assert resolve(f"{watched.folder}@2").name.endswith("@2")


@pytest.mark.parametrize("word", ["", "@latest"])
def test_a_converted_dataset_is_what_the_manifest_says(dataset: Path, word: str) -> None:
    found = resolve(f"{dataset}{word}")
    assert (found.snapshot, found.address, found.name) == (None, str(dataset), str(dataset))
    assert found.lineage == resolve(f"{dataset}@1").lineage != ""


def test_a_converted_dataset_whose_log_cannot_be_read_has_no_lineage(
    dataset: Path, tmp_path: Path
) -> None:
    (tmp_path / "manifest.json").write_bytes((dataset / "manifest.json").read_bytes())
    assert resolve(str(tmp_path)).lineage == ""


def test_a_generation_of_a_converted_dataset_is_a_snapshot(dataset: Path) -> None:
    found = resolve(f"{dataset}@1")
    assert found.snapshot
    assert found.manifest.parts == resolve(str(dataset)).manifest.parts


@pytest.mark.parametrize(
    ("word", "fault"),
    [
        ("@4", "no such generation; generations 1 to 3 are kept: pass one of these, or @latest"),
        ("@0", "numbered from 1"),
        ("@abc", "numbered from 1"),
    ],
)
def test_a_generation_that_is_not_there_is_one_fault(
    watched: Watched, word: str, fault: str
) -> None:
    with pytest.raises(ConfigError, match=fault) as caught:
        resolve(f"{watched.folder}{word}")
    assert len(caught.value.faults) == 1


def test_a_generation_of_a_dataset_that_has_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="this dataset has no generations"):
        resolve(f"{tmp_path}/mat@1")


def test_a_store_that_is_away_is_not_taken_for_one_without_generations(server: Server) -> None:
    server.meddle = lambda path, before, answer: (
        (503, b"") if path.startswith("generations/") else answer
    )
    with pytest.raises(UnreachableError, match="cannot be read"):
        resolve(server.uri)


def test_a_folder_with_an_at_in_its_name_is_that_folder(
    watched: Watched, dataset: Path, tmp_path: Path
) -> None:
    shutil.copytree(watched.folder, tmp_path / "mat@2")
    shutil.copytree(dataset, tmp_path / "mat@abc")
    assert resolve(str(tmp_path / "mat@2")).name == f"{tmp_path}/mat@2@3"
    assert resolve(str(tmp_path / "mat@abc")).name == f"{tmp_path}/mat@abc"


def test_the_same_holds_far_away(dataset: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/afar/mat@7/manifest.json", (dataset / "manifest.json").read_bytes())
    try:
        assert resolve("memory://afar/mat@7").name == "memory://afar/mat@7"
    finally:
        memory.rm("/afar", recursive=True)
