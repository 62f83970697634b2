"""The local disk: what is written once stays, and nothing is changed behind a link."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from beam_mat.core.errors import OutputError
from beam_mat.storage import files


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """An output with a folder `images` that is a link to a foreign folder with two files."""
    foreign = tmp_path / "foreign"
    (foreign / "empty").mkdir(parents=True)
    for name in ("1.jpg", "2.jpg"):
        (foreign / name).write_bytes(b"foreign")
    folder = tmp_path / "out"
    (folder / "jsonl").mkdir(parents=True)
    (folder / "images").symlink_to(foreign)
    (folder / "jsonl" / "linked").symlink_to(foreign)
    return folder


def write_new(path: Path, data: bytes, scratch: Path) -> None:
    sha256 = hashlib.sha256(data).hexdigest()
    files.write_bytes_new(str(path), data, sha256, str(scratch))


def foreign_is_whole(out: Path) -> bool:
    return sorted(os.listdir(out.parent / "foreign")) == ["1.jpg", "2.jpg", "empty"]


def test_a_second_write_touches_nothing(tmp_path: Path) -> None:
    path, scratch = tmp_path / "a" / "file", tmp_path / "scratch"
    write_new(path, b"data", scratch)
    os.utime(path, ns=(1, 1))
    before = path.stat()
    write_new(path, b"data", scratch)
    after = path.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert os.listdir(scratch) == []
    write_new(path, b"dat!", scratch)
    assert path.stat().st_ino != before.st_ino
    assert os.listdir(scratch) == []


def test_a_new_file_costs_one_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[str] = []
    for name in ("stat", "lstat"):
        call = getattr(os, name)

        def counted(path: Any, *more: Any, call: Any = call, **options: Any) -> Any:
            looks.append(str(path))
            return call(path, *more, **options)

        monkeypatch.setattr(os, name, counted)
    write_new(tmp_path / "file", b"data", tmp_path)
    assert looks == [str(tmp_path / "file")]


def test_an_open_file_keeps_its_content_when_a_damaged_one_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old!")
    with path.open("rb") as opened:
        write_new(path, b"data", tmp_path)
        assert opened.read() == b"old!"


def test_a_link_in_the_place_of_a_new_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"data")
    (tmp_path / "file").symlink_to(tmp_path / "target")
    write_new(tmp_path / "file", b"data", tmp_path)
    assert not (tmp_path / "file").is_symlink()
    (tmp_path / "other").symlink_to(tmp_path / "target")
    files.write_bytes(str(tmp_path / "other"), b"more", str(tmp_path))
    assert (tmp_path / "target").read_bytes() == b"data"


def test_a_link_is_listed_and_not_what_is_behind_it(out: Path) -> None:
    assert [name for name, _ in files.find(str(out))] == ["images", "jsonl/linked"]
    for name, _ in files.find(str(out)):
        files.remove_file(files.join(str(out), name))
    assert os.listdir(out / "jsonl") == []
    assert foreign_is_whole(out)


def test_a_folder_that_is_a_link_is_refused(out: Path) -> None:
    with pytest.raises(OutputError, match=r"out/images: is a symbolic link, .* replace it"):
        files.find(str(out / "images"))
    with pytest.raises(OutputError, match="out/images: is a symbolic link"):
        files.refuse_links(str(out / "images"), within=str(out))
    files.refuse_links(str(out / "jsonl" / "file"), within=str(out))
    assert foreign_is_whole(out)


def changes(root: Path, path: str) -> list[Callable[[], object]]:
    """Every function of `files` that changes something, for a path below a folder."""
    uri, scratch, other = f"{root}/{path}", f"{root}/scratch", f"{root}/other"
    (root / "other").write_bytes(b"other")
    sha256 = hashlib.sha256(b"new").hexdigest()

    def write_new() -> None:
        with files.write_new(uri, scratch) as file:
            file.write(b"new")

    return [
        lambda: files.write_bytes(uri, b"new", scratch),
        lambda: files.write_bytes(other, b"new", uri),
        write_new,
        lambda: files.write_bytes_new(uri, b"new", sha256, scratch),
        lambda: files.create(uri, b"new"),
        lambda: files.move(uri, other),
        lambda: files.move(other, uri),
        lambda: files.remove_file(uri),
        lambda: files.remove(uri),
        lambda: files.prune(uri),
    ]


@pytest.mark.parametrize("way", ["images", "jsonl/linked", "images/empty", "jsonl/linked/deep/er"])
@pytest.mark.parametrize("name", ["1.jpg", "new.jpg", "empty"])
def test_nothing_is_changed_behind_a_link_in_an_output(out: Path, way: str, name: str) -> None:
    files.protect(str(out))
    before = sorted(path.relative_to(out.parent) for path in (out.parent / "foreign").rglob("*"))
    for change in changes(out, f"{way}/{name}"):
        with pytest.raises(OutputError, match=r"out/(images|jsonl/linked): is a symbolic link"):
            change()
    after = sorted(path.relative_to(out.parent) for path in (out.parent / "foreign").rglob("*"))
    assert after == before
    assert foreign_is_whole(out)


@pytest.mark.parametrize("path", ["../foreign/1.jpg", "jsonl/../../foreign/1.jpg", "jsonl/.."])
def test_nothing_is_changed_outside_of_an_output(out: Path, path: str) -> None:
    files.protect(str(out))
    for change in changes(out, path):
        with pytest.raises(OutputError, match=r"contains '\.\.'"):
            change()
    assert foreign_is_whole(out)


def test_folders_beside_and_above_an_output_may_be_links(out: Path) -> None:
    real = out.parent / "real"
    real.mkdir()
    (out.parent / "way").symlink_to(real)
    output = str(out.parent / "way" / "set")
    files.protect(output)
    files.write_bytes(f"{output}/jsonl/part", b"data", f"{output}/scratch")
    assert (real / "set" / "jsonl" / "part").read_bytes() == b"data"
    files.write_bytes(str(out.parent / "way" / "file"), b"data", str(out.parent))
    assert (real / "file").read_bytes() == b"data"


def test_an_output_may_be_a_link_itself(out: Path) -> None:
    link = out.parent / "link"
    link.symlink_to(out)
    (out / "jsonl" / "part").write_bytes(b"")
    files.protect(str(link))
    files.remove_file(str(link / "jsonl" / "part"))
    assert not (out / "jsonl" / "part").exists()
    names = [name for name, _ in files.find(str(link), follow=True)]
    assert names == ["images/1.jpg", "images/2.jpg", "jsonl/linked/1.jpg", "jsonl/linked/2.jpg"]


@pytest.mark.parametrize("name", ["images", "jsonl", "jsonl/linked"])
def test_what_is_behind_a_link_is_never_removed(out: Path, name: str) -> None:
    files.prune(str(out / name))
    assert foreign_is_whole(out)
    files.remove(str(out / name))
    assert not os.path.lexists(out / name)
    assert foreign_is_whole(out)
