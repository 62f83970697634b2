"""Generations made available here while their dataset goes on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mat_trainer.core.errors import PreflightError
from mat_trainer.core.recipe import Data
from mat_trainer.dataset import verify
from mat_trainer.dataset.progress import Advance, silent
from mat_trainer.dataset.resolve import resolve
from mat_trainer.dataset.stage import StagedDataset, place, stage
from tests.dataset.server import Server, serving

if TYPE_CHECKING:
    from tests.dataset.watched import Watched


@pytest.fixture
def server(watched: Watched) -> Iterator[Server]:
    with serving(watched.folder) as server:
        yield server


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are read to verify them."""
    read: list[str] = []
    sha256_of = verify.sha256_of

    def reading(path: Path, advance: Advance | None = None) -> str:
        read.append(path.name)
        return sha256_of(path, advance)

    monkeypatch.setattr(verify, "sha256_of", reading)
    return read


def staged(uri: object, cache: Path, dataset: str | None = None) -> StagedDataset:
    return stage(str(uri), cache, Data(dataset=dataset), show=silent)


def below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def parts_of(found: StagedDataset) -> list[str]:
    return [Path(part.path).stem for part in found.training[0].parts]


def test_a_generation_of_this_machine_has_a_folder_of_links(watched: Watched, cache: Path) -> None:
    before = below(watched.folder)
    found = staged(f"{watched.folder}@2", cache)
    assert (found.name, found.generation, parts_of(found)) == ("mat", 2, ["a", "b", "c"])
    assert found.uri == f"{watched.folder}@2"
    assert found.path == found.media_dir
    assert cache in found.path.parents
    for name in ("a", "b", "c"):
        lines = found.path.joinpath("jsonl", f"{name}.jsonl")
        source = watched.folder / ("replaced" if name == "a" else "") / "jsonl" / lines.name
        assert lines.samefile(source)
        for line in lines.read_text().splitlines():
            for image in json.loads(line)["images"]:
                assert (found.path / image).samefile(watched.folder / image)
    assert sorted(path.name for path in (found.path / "jsonl").iterdir()) == [
        "a.jsonl",
        "b.jsonl",
        "c.jsonl",
    ]
    assert json.loads((found.path / "manifest.json").read_bytes())["generation"] == 2
    assert below(watched.folder) == before


def test_its_registry_is_what_beam_mat_writes(watched: Watched, dataset: Path, cache: Path) -> None:
    found = staged(f"{watched.folder}@1", cache)
    theirs = json.loads((dataset / "dataset_info.json").read_bytes())
    ours = json.loads((found.path / "dataset_info.json").read_bytes())
    assert ours == {"mat": theirs["mat"]}


def test_locating_tells_the_folder_and_writes_nothing(watched: Watched, cache: Path) -> None:
    found = place(resolve(str(watched.folder)), cache)
    assert not cache.exists()
    assert found == staged(f"{watched.folder}@3", cache)


def test_a_generation_stays_what_it_is(watched: Watched, cache: Path) -> None:
    first = staged(f"{watched.folder}@1", cache)
    before = {name: (first.path / name).read_bytes() for name in below(first.path)}
    changed_image(watched)
    watched.commit(remove=[Path(path).stem for path in watched.live])
    shutil.rmtree(watched.folder / "replaced")
    assert {name: (first.path / name).read_bytes() for name in below(first.path)} == before
    assert staged(f"{watched.folder}@1", cache) == first


@pytest.mark.parametrize("are_links", [True, False])
def test_what_was_verified_is_not_read_again(
    watched: Watched,
    cache: Path,
    read: list[str],
    are_links: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not are_links:  # such as with the cache on another disk

        def refusing(source: str, target: Path) -> None:
            raise OSError(18, "Invalid cross-device link")

        monkeypatch.setattr("os.link", refusing)
    first = staged(f"{watched.folder}@2", cache)
    assert {"a.jsonl", "b.jsonl", "c.jsonl"} <= set(read)
    read.clear()
    staged(f"{watched.folder}@2", cache)
    assert read == []
    second = staged(f"{watched.folder}@3", cache)
    if are_links:
        assert read == ["d.jsonl"]
        read.clear()
        staged(f"{watched.folder}@2", cache)
        assert read == []
    assert parts_of(second) == ["b", "c", "d"]
    assert not any(path.name.startswith(".") for path in first.path.rglob("*"))


def test_only_what_changed_is_fetched(watched: Watched, server: Server, cache: Path) -> None:
    for name in ("mat_parquet", "mat"):
        staged(f"{server.uri}@2", cache, name)
        server.ranges.clear()
        found = staged(server.uri, cache, name)
        assert found.generation == 3
        suffix = found.training[0].format
        fetched = {path for path, _, end in server.ranges if end > 1}
        assert fetched == {f"{suffix}/d.{suffix}"}
        part = (found.path / f"{suffix}/d.{suffix}").read_bytes()
        assert part == (watched.folder / f"{suffix}/d.{suffix}").read_bytes()
        assert sum(end - start for path, start, end in server.ranges if path in fetched) == len(
            part
        )
        server.ranges.clear()
        staged(server.uri, cache, name)
        assert {path for path, _, end in server.ranges if end > 1} == set()


@pytest.mark.parametrize("afar", [False, True])
def test_a_generation_that_only_removes_is_read_from_nowhere(
    watched: Watched, server: Server, cache: Path, read: list[str], afar: bool
) -> None:
    uri = server.uri if afar else str(watched.folder)
    staged(uri, cache)
    watched.commit(remove=["b"])
    read.clear()
    server.ranges.clear()
    for _ in range(2):
        assert parts_of(staged(uri, cache)) == ["c", "d"]
    assert read == []
    assert {path for path, _, end in server.ranges if end > 1} == set()


def test_an_older_generation_is_staged_from_what_was_replaced(
    watched: Watched, server: Server, cache: Path
) -> None:
    found = staged(f"{server.uri}@1", cache)
    assert parts_of(found) == ["a", "b"]
    replaced = watched.folder / "replaced" / "parquet" / "a.parquet"
    assert (found.path / "parquet" / "a.parquet").read_bytes() == replaced.read_bytes()


def test_a_damaged_copy_is_mended_and_the_earlier_one_left_alone(
    server: Server, cache: Path
) -> None:
    earlier = staged(f"{server.uri}@2", cache)
    data = (earlier.path / "parquet/b.parquet").read_bytes()
    found = staged(f"{server.uri}@3", cache)
    (found.path / "parquet/b.parquet").unlink()
    (found.path / "parquet/b.parquet").write_bytes(bytes(len(data)))
    staged(f"{server.uri}@3", cache)
    for folder in (earlier.path, found.path):
        assert (folder / "parquet/b.parquet").read_bytes() == data


def changed_image(watched: Watched) -> tuple[str, str]:
    """The file of an image, and the file that the published path has in the next generation."""
    path = min(name for name in below(watched.folder) if name.startswith("images/"))
    return path, watched.change_image(path, bytes((watched.folder / path).stat().st_size))


def pixels(found: StagedDataset) -> set[bytes]:
    """The bytes of the images that the rows of the training entry show."""
    if found.training[0].format == "parquet":
        pq = pytest.importorskip("pyarrow.parquet")
        tables = [pq.read_table(found.path / part.path) for part in found.training[0].parts]
        rows = [row for table in tables for row in table.to_pylist()]
        return {image["bytes"] for row in rows for image in row["images"]}
    lines = [
        line
        for p in found.training[0].parts
        for line in (found.path / p.path).read_text().splitlines()
    ]
    names = {image for line in lines for image in json.loads(line)["images"]}
    return {(found.media_dir / name).read_bytes() for name in names}


@pytest.mark.parametrize("name", ["mat", "mat_parquet"])
@pytest.mark.parametrize("afar", [False, True])
def test_generations_with_a_changed_image_have_their_own_pixels_each(
    watched: Watched, server: Server, cache: Path, afar: bool, name: str
) -> None:
    old, new = changed_image(watched)
    before, after = ((watched.folder / file).read_bytes() for file in (old, new))
    uri = server.uri if afar else str(watched.folder)
    for number, shown, other in ((3, before, after), (4, after, before), (3, before, after)):
        found = pixels(staged(f"{uri}@{number}", cache, name))
        assert shown in found
        assert other not in found


@pytest.mark.parametrize("afar", [False, True])
def test_a_damaged_image_is_named_with_its_generation(
    watched: Watched, server: Server, cache: Path, afar: bool
) -> None:
    path = min(name for name in below(watched.folder) if name.startswith("images/"))
    (watched.folder / path).write_bytes(bytes((watched.folder / path).stat().st_size))
    uri = server.uri if afar else str(watched.folder)
    with pytest.raises(PreflightError) as caught:
        staged(f"{uri}@3", cache, "mat")
    (fault,) = caught.value.faults
    assert path in fault
    assert "sha256" in fault
    assert fault.endswith(f"(generation 3 of {uri} needs it)")


@pytest.mark.parametrize("afar", [False, True])
def test_a_part_that_is_gone_is_named(
    watched: Watched, server: Server, cache: Path, afar: bool
) -> None:
    shutil.rmtree(watched.folder / "replaced")
    with pytest.raises(
        PreflightError, match=r"a\.parquet: missing.*generation 1 of .* needs it"
    ) as caught:
        staged(f"{server.uri if afar else watched.folder}@1", cache, "mat_parquet")
    assert len(caught.value.faults) == 1


def test_a_dataset_begun_anew_at_the_same_place_is_another_one(
    watched: Watched, dataset: Path, cache: Path
) -> None:
    from tests.dataset import making
    from tests.dataset.watched import Watched

    first = staged(f"{watched.folder}@1", cache)
    shutil.rmtree(watched.folder)
    again = Watched(dataset, watched.folder)
    again.commit({"a": making.rows_of(dataset)[6:9]})
    second = staged(f"{watched.folder}@1", cache)
    assert second.path != first.path
    assert second.lineage != first.lineage
    assert (second.path / "jsonl/a.jsonl").samefile(watched.folder / "jsonl/a.jsonl")
