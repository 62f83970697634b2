"""Datasets from other people: no path leads out of the folder, and no text moves the cursor."""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests import outputs as dataset
from tests.command import convert_words, run
from tests.making import image_record, picture, record, write_shard, write_zip

pytestmark = pytest.mark.slow

OUTSIDE = ["../secret.jpg", "images/../../secret.jpg", "jsonl/../../secret.jpg", "C:/secret"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of two generations, with rejects and a report, and a file beside it."""
    root = tmp_path_factory.mktemp("made")
    (root / "secret.jpg").write_bytes(picture((90, 90), seed=77))
    for name in "xy":
        zipped = write_zip(
            root / "files.zip", {f"{one}.jpg": picture(seed=ord(one)) for one in "xy"}
        )
        shard = write_shard(root / "a.json", [image_record(name, f"{name}.jpg"), record("t"), 1])
        words = convert_words(shard, zipped, root / "out")
        assert run(*words, "--keep-generations", "all").code == 0
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "root")
    return tmp_path / "root"


def commands(root: Path) -> Iterator[tuple[str, ...]]:
    out = str(root / "out")
    yield ("verify", out)
    yield ("log", out)
    yield ("diff", f"{out}@1", f"{out}@2")
    yield ("check", out)
    yield ("show", out)
    yield ("show", out, "--rejected")
    yield ("show", f"{out}@1")
    yield ("report", out)
    yield ("vacuum", out, "--keep", "1")
    yield ("publish", out)


def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that Python opens from now on."""
    paths: list[str] = []
    for place, name in (("builtins", "open"), ("os", "stat"), ("os", "unlink"), ("os", "replace")):
        call = getattr(__import__(place), name)

        def noted(path: Any, *more: Any, call: Any = call, **named: Any) -> Any:
            paths.extend(str(one) for one in (path, *more))
            return call(path, *more, **named)

        monkeypatch.setattr(f"{place}.{name}", noted)
    return paths


def edit(file: Path, change: Callable[[Any], object]) -> None:
    value = json.loads(file.read_bytes())
    change(value)
    file.write_text(json.dumps(value))


@pytest.mark.parametrize("path", OUTSIDE)
@pytest.mark.parametrize("field", ["parts", "rejects", "image_table"])
def test_a_manifest_names_a_file_elsewhere(
    root: Path, field: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(value: Any) -> None:
        part = value[field] if field == "image_table" else value[field][0]
        part["path"] = path

    edit(root / "out" / "manifest.json", change)
    seen = opened(monkeypatch)
    for words in commands(root):
        ran = run(*words)
        if words[0] in ("verify", "report"):
            assert ran.code == 2
            assert "manifest.json: this version of beam-mat cannot read this manifest" in ran.err
    assert [one for one in seen if "secret" in one] == []
    assert (root / "secret.jpg").exists()


@pytest.mark.parametrize("path", OUTSIDE)
@pytest.mark.parametrize("field", ["parts", "rejects", "images"])
def test_a_commit_names_a_file_elsewhere(
    root: Path, field: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for commit in (root / "out" / "generations").glob("*.json"):
        edit(commit, lambda value: value[field]["added"][0].update(path=path))
    seen = opened(monkeypatch)
    for words in commands(root):
        ran = run(*words)
        if words[0] in ("vacuum", "log"):
            assert ran.code == 2
            assert "cannot read this commit" in ran.err
    assert [one for one in seen if "secret" in one] == []


@pytest.mark.parametrize("path", [*OUTSIDE, "manifest.json", "/etc/hostname"])
def test_a_table_of_images_names_a_file_elsewhere(
    root: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = [root / "out" / "images.parquet", *(root / "out" / "generations").glob("*.parquet")]
    for file in tables:
        table = pq.read_table(file)
        names = pa.array([path] * table.num_rows)
        table = table.set_column(table.schema.get_field_index("file"), "file", names)
        pq.write_table(table, file)
    (root / "out" / "_beam_mat" / "watched").write_bytes(b"")
    seen = opened(monkeypatch)
    codes = {words[0]: run(*words) for words in commands(root)}
    page = (root / "out" / "report.html").read_bytes()
    assert base64.b64encode((root / "secret.jpg").read_bytes())[:60] not in page
    assert [one for one in seen if "secret" in one or "hostname" in one] == []
    assert codes["report"].code == codes["vacuum"].code == 2
    assert f"lists the file {path!r}, which is no image of a dataset" in codes["report"].err
    assert (root / "out" / "manifest.json").exists()


def test_a_report_has_no_picture_from_behind_a_link(root: Path) -> None:
    out = root / "out"
    before = (out / "report.html").read_bytes()
    assert b"data:image" in before
    for image in dataset.image_files(out):
        (out / image).unlink()
        (out / image).symlink_to(root / "secret.jpg")
    assert run("report", out).code == 0
    assert b"data:image" not in (out / "report.html").read_bytes()


def leaves(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each text in a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inside in items:
        here = (*way, key)
        if isinstance(inside, str):
            yield here
        elif isinstance(inside, dict | list):
            yield from leaves(inside, here)


EVIL = "\x1b[31m\x9b2J\u202e\x07[bold]"
MOVES = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@pytest.mark.parametrize(
    "name", ["manifest.json", "dataset_info.json", "statistics.json", "generations"]
)
def test_no_text_of_a_dataset_moves_the_cursor(root: Path, made: Path, name: str) -> None:
    out = root / "out"
    places = sorted((out / name).glob("*.json")) if (out / name).is_dir() else [out / name]
    kinds = set()
    for file in places:
        value = json.loads(file.read_bytes())
        for way in leaves(value):
            kind = (file.name, *("" if isinstance(key, int) else key for key in way))
            if kind in kinds:
                continue
            kinds.add(kind)

            def change(value: Any, way: tuple[Any, ...] = way) -> None:
                for key in way[:-1]:
                    value = value[key]
                value[way[-1]] += EVIL
                if isinstance(value, dict) and len(way) < 3:
                    value[f"{way[-1]}{EVIL}"] = value[way[-1]]

            edit(file, change)
            for words in commands(root):
                if words[0] in ("vacuum", "publish", "check") and len(kinds) % 8:
                    continue  # they take long, and read what the others read
                ran = run(*words)
                assert not MOVES.search(ran.out + ran.err), (kind, words, ran)
                assert "Traceback" not in ran.err, (kind, words, ran.err)
            shutil.rmtree(out)
            shutil.copytree(made / "out", out)
    assert kinds


def test_names_of_files_do_not_move_the_cursor(root: Path) -> None:
    for folder in ("jsonl", "rejects", "images", "_beam_mat"):
        (root / "out" / folder / f"x{EVIL}.jsonl").write_bytes(b"x")
    for words in commands(root):
        ran = run(*words)
        assert not MOVES.search(ran.out + ran.err), (words, ran)
    shard = root / f"n{EVIL}.json"
    shard.write_text(f'{{"id": "{EVIL[-6:]}"')
    for option in ("--json", "--images"):
        typed = convert_words(shard, root / "files.zip", root / "new")
        if option == "--images":
            typed = convert_words(root / "a.json", shard, root / "new")
        ran = run(*typed)
        assert ran.code
        assert not MOVES.search(ran.out + ran.err), ran
        assert "\\x1b[31m" in ran.out + ran.err
