"""The local disk: what is written once stays, and nothing is changed behind a link."""

from __future__ import annotations

import hashlib
import os
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
        files.remove_file(files.join(str(out), name), within=str(out))
    assert os.listdir(out / "jsonl") == []
    assert foreign_is_whole(out)


def test_a_folder_that_is_a_link_is_refused(out: Path) -> None:
    with pytest.raises(OutputError, match=r"out/images: is a symbolic link, .* replace it"):
        files.find(str(out / "images"))
    for change in (files.remove, files.remove_file):
        with pytest.raises(OutputError, match="out/images: is a symbolic link"):
            change(str(out / "images" / "1.jpg"), str(out))
    with pytest.raises(OutputError, match="out/images: is a symbolic link"):
        files.refuse_links(str(out / "images"), within=str(out))
    files.refuse_links(str(out / "jsonl" / "file"), within=str(out))
    assert foreign_is_whole(out)


def test_an_output_may_be_a_link_itself(out: Path) -> None:
    link = out.parent / "link"
    link.symlink_to(out)
    (out / "jsonl" / "part").write_bytes(b"")
    files.remove_file(str(link / "jsonl" / "part"), within=str(link))
    assert not (out / "jsonl" / "part").exists()
    names = [name for name, _ in files.find(str(link), follow=True)]
    assert names == ["images/1.jpg", "images/2.jpg", "jsonl/linked/1.jpg", "jsonl/linked/2.jpg"]


@pytest.mark.parametrize("name", ["images", "jsonl", "jsonl/linked"])
def test_what_is_behind_a_link_is_never_removed(out: Path, name: str) -> None:
    files.prune(str(out / name))
    assert foreign_is_whole(out)
    files.remove(str(out / name), within=str(out))
    assert not os.path.lexists(out / name)
    assert foreign_is_whole(out)
