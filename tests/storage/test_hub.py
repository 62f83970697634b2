"""Datasets on Hugging Face's hub are read where they are: found, read in ranges, never written."""

from __future__ import annotations

import hashlib
import random
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from beam_mat.core import layout
from beam_mat.core.contract.unit import DatasetFile
from beam_mat.core.errors import SourceError
from beam_mat.core.results import Part, Unit
from beam_mat.core.settings import Settings
from beam_mat.core.trajectory import Trajectory, Turn
from beam_mat.storage import catalog, files, parts, stores
from beam_mat.storage.catalog import fetch, load
from beam_mat.work.data_files import rows
from tests.build import zip64_end, zip_of
from tests.stands import hub, reach, servers
from tests.stands.proxy import Faults, Proxy, proxied

pytestmark = pytest.mark.stands

ROOT = f"hf://datasets/{hub.REPO}"
DATA = random.Random(3).randbytes(20 << 20)
ENTRIES = {f"tongagent/{at}.jpg": DATA[at * 999 : at * 9999 + 9] for at in range(50)}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Proxy]]:
    if not find_spec("huggingface_hub"):
        servers.missing("huggingface_hub")
    folder = tmp_path_factory.mktemp("hub")
    (folder / "shards").mkdir()
    for name in ("a", "b", "c[1]"):
        (folder / "shards" / f"{name}.json").write_bytes(name.encode())
    (folder / "large.bin").write_bytes(DATA)
    (folder / "plain.zip").write_bytes(zip_of(ENTRIES))
    (folder / "zip64.zip").write_bytes(zip64_end(zip_of(ENTRIES)))
    with hub.hub(folder) as url, proxied(url) as proxy:
        yield folder, proxy


@pytest.fixture
def proxy(served: tuple[Path, Proxy]) -> Iterator[Proxy]:
    stores.use(reach.hub(served[1].url))
    yield served[1]
    served[1].faults = Faults()
    stores.use({})


def test_files_are_found_by_name_and_by_glob(proxy: Proxy) -> None:
    names = [f"{ROOT}/shards/{name}.json" for name in ("a", "b", "c[1]")]
    assert [file.uri for file in files.expand(f"{ROOT}/shards/*.json")] == names
    assert [file.uri for file in files.expand(names[2])] == names[2:]
    assert [name for name, _ in files.find(ROOT)] == [
        *("large.bin", "plain.zip"),
        *("shards/a.json", "shards/b.json", "shards/c[1].json"),
        "zip64.zip",
    ]
    assert [(name, file and file.size) for name, file in files.entries(ROOT)] == [
        ("large.bin", len(DATA)),
        ("plain.zip", files.info(f"{ROOT}/plain.zip").size),
        ("shards", None),
        ("zip64.zip", files.info(f"{ROOT}/zip64.zip").size),
    ]
    assert files.is_folder(f"{ROOT}/shards")
    assert not files.is_folder(names[0])
    assert not files.exists(f"{ROOT}/none")
    with pytest.raises(FileNotFoundError):
        files.expand(f"{ROOT}/none-*.json")


def test_a_version_is_that_of_the_content(served: tuple[Path, Proxy], proxy: Proxy) -> None:
    one, other = files.info(f"{ROOT}/shards/a.json"), files.info(f"{ROOT}/shards/b.json")
    assert (one.size, len(one.version)) == (1, 40)
    assert one.version != other.version
    assert files.expand(f"{ROOT}/shards/a*.json") == [one]
    (served[0] / "shards" / "a.json").write_bytes(b"z")
    changed = files.info(f"{ROOT}/shards/a.json")
    (served[0] / "shards" / "a.json").write_bytes(b"a")
    assert changed.version != one.version
    assert files.info(f"{ROOT}/shards/a.json") == one


def test_a_range_is_read_and_no_more(proxy: Proxy) -> None:
    uri = f"{ROOT}/large.bin"
    before = len(proxy.seen)
    for start, end in [(0, 10), (5 << 20, 6 << 20), (len(DATA) - 1, len(DATA))]:
        assert files.read_range(uri, start, end) == DATA[start:end]
    bodies = [seen.bytes for seen in proxy.seen[before:] if "resolve" in seen.path]
    assert bodies == [10, 1 << 20, 1]
    assert files.read_bytes(uri) == DATA
    assert b"".join(files.read_blocks(uri, 7, len(DATA))) == DATA[7:]


def test_a_range_beyond_the_end_is_a_source_error(proxy: Proxy) -> None:
    for start, end in [(len(DATA) - 1, len(DATA) + 1), (len(DATA) + 5, len(DATA) + 6)]:
        with pytest.raises(SourceError, match=r"large\.bin"):
            files.read_range(f"{ROOT}/large.bin", start, end)


@pytest.mark.parametrize(
    "faults",
    [Faults(short=1, most=2), Faults(cut=1, most=1), Faults(statuses={503: 1}, most=1)],
    ids=["short", "cut", "busy"],
)
def test_a_fault_on_the_way_is_tried_again(proxy: Proxy, faults: Faults) -> None:
    proxy.made.clear()
    faults.on = lambda _, path: "resolve" in path
    proxy.faults = faults
    assert files.read_range(f"{ROOT}/large.bin", 10, 9000) == DATA[10:9000]
    assert len(proxy.made) == faults.most


@pytest.mark.parametrize("form", ["plain", "zip64"])
def test_members_of_a_zip_come_whole(proxy: Proxy, form: str) -> None:
    before = len(proxy.seen)
    members = list(catalog.members(f"{ROOT}/{form}.zip", 0))
    assert {member.path: load(member, entry) for member, entry in fetch(members)} == ENTRIES
    # Little more is read than they are, in few requests.
    bodies = [seen.bytes for seen in proxy.seen[before:] if "resolve" in seen.path]
    assert sum(bodies) <= 1.05 * sum(map(len, ENTRIES.values()))
    assert len(bodies) <= 2 + sum(bodies) / (4 << 20)


@pytest.fixture
def published(served: tuple[Path, Proxy]) -> Iterator[list[Part]]:
    """Parts that were written on a disk and uploaded."""
    folder = served[0] / "data"
    settings = Settings(output=str(folder))
    for path in ("a.jpg", "b.jpg"):
        uri = files.join(settings.output, layout.IMAGES, path)
        files.write_bytes(uri, ENTRIES["tongagent/9.jpg"], f"{folder}/scratch")
    made = [
        Trajectory(f"{at}", "", (Turn("user", "<image>Why?"), Turn("assistant", "So.")), (path,))
        for at, path in enumerate(["images/a.jpg", "images/b.jpg"])
    ]
    unit = Unit("n", layout.TRAIN, 2, 2)
    yield parts.write_unit(settings, unit, list(map(parts.row_of, made)))
    shutil.rmtree(folder)


def test_rows_of_part_files_are_read(published: list[Part], proxy: Proxy) -> None:
    found: dict[str, list[Any]] = {}
    for part in published:
        uri = f"{ROOT}/data/{part.path}"
        data = files.read_bytes(uri)
        assert (len(data), hashlib.sha256(data).hexdigest()) == (part.bytes, part.sha256)
        type = "json" if part.format == "jsonl" else part.format
        file = DatasetFile(0, 0, uri, part.bytes, "", type)
        found[part.format] = [row.load() for row in rows(file)]
    assert [row["images"] for row in found["jsonl"]] == [["images/a.jpg"], ["images/b.jpg"]]
    for row, same in zip(found["jsonl"], found["parquet"], strict=True):
        image = {"bytes": ENTRIES["tongagent/9.jpg"], "path": row["images"][0]}
        assert same == {**row, "images": [image]}


def test_it_is_known_to_be_read_only(proxy: Proxy) -> None:
    assert files.is_read_only(f"{ROOT}/out")
    assert not files.is_read_only("memory:///out")
