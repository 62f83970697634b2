"""Archives of every kind, made by the programs that people use, give the same images."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import random
import struct
import subprocess
import tarfile
import tracemalloc
import unicodedata
import uuid
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from beam_mat.core.errors import SourceError
from beam_mat.core.image import ImageFault
from beam_mat.core.limits import MAX_IMAGE_BYTES
from beam_mat.core.reject import Reason
from beam_mat.storage import archives, catalog, files, inputs
from beam_mat.storage.catalog import fetch, load
from tests.build import with_entry, zip_of
from tests.properties import examples

NOISE = random.Random(3).randbytes(400_000)
FILES = {
    "tongagent/coco/1.jpg": NOISE[:150_000],
    "tongagent/coco/2.jpg": NOISE[150_000:151_000],
    "tongagent/empty.jpg": b"",
    f"{'tongagent/' * 20}long.jpg": NOISE[200_000:],
    "图/é.png": b"Unicode" * 3,
}

Loaded = dict[str, bytes | ImageFault]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of images, with what macOS leaves beside them."""
    root = tmp_path / "files"
    hidden = ("tongagent/._x.jpg", "tongagent/.DS_Store", "__MACOSX/tongagent/coco/1.jpg")
    for path, data in {**FILES, **dict.fromkeys(hidden, b"hidden")}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    return root


def loaded(uri: object, **options: str) -> Loaded:
    members = list(catalog.members(str(uri), 0, **options))
    assert all(member.source.startswith(files.normalize(str(uri))) for member in members)
    found = {member.path: load(member, entry) for member, entry in fetch(members)}
    assert sorted(found) == sorted(member.path for member in members)
    return found


def shell(folder: Path, command: str) -> None:
    subprocess.run(["bash", "-euc", command], cwd=folder, check=True, capture_output=True)


def put(path: Path, place: str) -> str:
    """Where files of this name are on a store; copies those that begin with it there."""
    for one in path.parent.glob(f"{path.name}*"):
        files.write_bytes(files.join(place, one.name), one.read_bytes(), "")
    return files.join(place, path.name)


@pytest.fixture
def memory() -> Iterator[str]:
    place = f"memory:///{uuid.uuid4().hex}"
    yield place
    files.remove(place)


MADE = {
    "folder": "true",
    "zip": "zip -qr ../a.zip .",
    "zip of stored": "zip -qr0 ../a.zip .",
    "tar": "tar cf ../a.tar *",
    "tar with dots": "tar cf ../a.tar .",
    "tar of gnu": "tar -H gnu -cf ../a.tar *",
    "tar of pax": "tar -H pax -cf ../a.tar *",
    "tar.gz": "tar czf ../a.tar.gz .",
    "tar.bz2": "tar cjf ../a.tar.bz2 .",
    "tar.xz": "tar cJf ../a.tar.xz .",
    "tar.zst": "tar c . | zstd -q > ../a.tar.zst",
    "tar.gz of several streams": "tar c . | split -b 100k --filter='gzip -c' - > ../a.tar.gz",
    "tar.xz of several streams": "tar c . | split -b 100k --filter='xz -c' - > ../a.tar.xz",
    "tar.zst of several frames": "tar c . | split -b 100k --filter='zstd -c' - > ../a.tar.zst",
    "zip in pieces": "zip -qr - . | split -b 33k - ../a.zip.part_",
    "zip in numbered pieces": "zip -qr - . | split -d -a3 -b 70k - ../a.zip.",
    "tar in pieces": "tar c . | split -b 90k - ../a.tar.part_",
    "tar.gz in pieces": "tar cz . | split -b 90k - ../a.tar.gz.part_",
    "zip of disks": "zip -qr -s 64k ../a.zip .",
}


@pytest.mark.parametrize("kind", MADE)
def test_an_archive_gives_its_images(folder: Path, memory: str, kind: str) -> None:
    shell(folder, MADE[kind])
    if kind == "folder":
        assert loaded(folder) == FILES
        return
    made = sorted(folder.parent.glob("a.*"))
    first = folder.parent / "a.zip" if kind == "zip of disks" else made[0]
    if " in " in kind or "disks" in kind:
        assert len(made) > 3
    work = {"work": str(folder.parent / "work"), "scratch": str(folder.parent / "scratch")}
    assert loaded(first, **work) == FILES
    (found,) = catalog.look(str(first))
    assert (found.uri, found.size) == (str(first), sum(path.stat().st_size for path in made))
    assert inputs.identify(found.uri, found.version) == found
    place = put(first.parent / "a", memory)
    remote = files.join(memory, first.name)
    assert place.endswith("/a")
    (seen,) = catalog.look(f"{memory}/a.*")
    assert inputs.identify(seen.uri, seen.version) == seen
    assert loaded(remote, work=f"{memory}/work", scratch="") == FILES


@pytest.mark.parametrize("kind", ["zip in pieces", "tar in pieces", "zip of disks"])
def test_every_piece_and_a_pattern_name_the_whole(folder: Path, kind: str) -> None:
    shell(folder, MADE[kind])
    made = sorted(folder.parent.glob("a.*"))
    first = folder.parent / "a.zip" if kind == "zip of disks" else made[0]
    for uri in (*made, folder.parent / "a.*"):
        if uri.suffix != ".zip" and kind == "zip of disks" and uri.name != "a.*":
            continue  # a disk alone says nothing about the others
        (found,) = catalog.look(str(uri))
        assert found.uri == str(first)


@pytest.mark.parametrize("kind", ["zip in pieces", "tar in pieces", "zip of disks"])
def test_any_changed_piece_changes_the_identity(folder: Path, kind: str) -> None:
    shell(folder, MADE[kind])
    (before,) = catalog.look(str(folder.parent / "a.*"))
    for piece in folder.parent.glob("a.*"):
        data = piece.read_bytes()
        piece.write_bytes(data + b"!")
        assert inputs.identify(before.uri, before.version) != before
        piece.write_bytes(data)


def test_a_missing_piece_is_named(folder: Path) -> None:
    shell(folder, MADE["zip in pieces"])
    shell(folder.parent, "rm a.zip.part_ac")
    for uri in ("a.zip.part_aa", "a.zip.part_ad", "a.zip.part_*"):
        with pytest.raises(SourceError, match=r"a\.zip\.part_ac is missing"):
            catalog.look(str(folder.parent / uri))
    with pytest.raises(SourceError, match=r"a\.zip\.part_ac is missing"):
        loaded(folder.parent / "a.zip.part_aa")


def test_a_missing_first_piece_is_named(folder: Path) -> None:
    shell(folder, MADE["zip in numbered pieces"])
    shell(folder.parent, "rm a.zip.000 a.zip.001")
    with pytest.raises(SourceError, match=r"a\.zip\.001 is missing"):
        catalog.look(str(folder.parent / "a.zip.*"))


def test_a_missing_last_piece_is_suspected(folder: Path) -> None:
    shell(folder, MADE["zip in pieces"])
    last = max(folder.parent.glob("a.*"))
    last.unlink()
    with pytest.raises(SourceError, match=r"the last piece that was found is .*a\.zip\.part_a"):
        catalog.look(str(folder.parent / "a.zip.part_aa"))


@pytest.mark.parametrize("which", ["a.z01", "a.z03"])
def test_a_missing_disk_is_named(folder: Path, which: str) -> None:
    shell(folder, MADE["zip of disks"])
    (folder.parent / which).unlink()
    with pytest.raises(SourceError, match=rf"{which} is missing"):
        catalog.look(str(folder.parent / "a.zip"))


def test_a_disk_without_its_zip_is_an_error(folder: Path) -> None:
    shell(folder, MADE["zip of disks"])
    (folder.parent / "a.zip").unlink()
    with pytest.raises(SourceError, match=r"a\.z01"):
        catalog.look(str(folder.parent / "a.z01"))


def test_hidden_archives_do_not_match_a_pattern(folder: Path) -> None:
    shell(folder, MADE["zip"])
    (folder.parent / "._a.zip").write_bytes(b"\0\5\x16\7")
    assert [file.uri for file in catalog.look(str(folder.parent / "*.zip"))] == [
        str(folder.parent / "a.zip")
    ]


HEADS = {
    "7z": (b"7z\xbc\xaf\x27\x1c" + b"\0" * 600, "7z x a.zip -oimages"),
    "rar": (b"Rar!\x1a\x07\x01\0" + b"\0" * 600, "unrar x a.zip images/"),
    "lz4": (b"\x04\x22\x4d\x18" + b"\0" * 600, "lz4 -dc a.zip | tar -x"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
    "web page": (b"<!DOCTYPE html><html>", "web page"),
    "parquet": (b"PAR1" + b"\0" * 600, "a Parquet file"),
    "jpeg": (b"\xff\xd8\xff\xe0" + b"\0" * 600, "give the folder"),
    "json": (b'[{"id": 1}]', "give it to --json"),
    "gzip of no tar": (gzip.compress(b"no tar" * 300), "contains no tar"),
    "cut gzip": (gzip.compress(NOISE[:2000])[:300], "cut off"),
}


@pytest.mark.parametrize("kind", HEADS)
def test_what_cannot_be_read_is_named(tmp_path: Path, kind: str) -> None:
    data, said = HEADS[kind]
    path = tmp_path / "a.zip"
    path.write_bytes(data)
    with pytest.raises(SourceError, match=r"a\.zip: ") as caught:
        catalog.look(str(path))
    assert said in str(caught.value)


TAR = io.BytesIO()
with tarfile.open(fileobj=TAR, mode="w") as _archive:
    for _name, _data in FILES.items():
        _info = tarfile.TarInfo(_name)
        _info.size = len(_data)
        _archive.addfile(_info, io.BytesIO(_data))

COMPRESSED = {
    "gz": gzip.compress(TAR.getvalue()),
    "bz2": bz2.compress(TAR.getvalue()),
    "xz": lzma.compress(TAR.getvalue()),
    "zst": zstandard.compress(TAR.getvalue()),
}


_SMALL = io.BytesIO()
with tarfile.open(fileobj=_SMALL, mode="w", format=tarfile.USTAR_FORMAT) as _archive:
    for _name in ("a.jpg", "b/c.jpg"):
        _info = tarfile.TarInfo(_name)
        _info.size = 40
        _archive.addfile(_info, io.BytesIO(NOISE[:40]))
SMALL = {
    "gz": gzip.compress(_SMALL.getvalue()),
    "bz2": bz2.compress(_SMALL.getvalue()),
    "xz": lzma.compress(_SMALL.getvalue()),
    "zst": zstandard.compress(_SMALL.getvalue()),
}


@pytest.mark.parametrize("kind", COMPRESSED)
@pytest.mark.parametrize("damage", ["cut off", "changed"])
def test_a_damaged_stream_is_an_error_that_names_it(tmp_path: Path, kind: str, damage: str) -> None:
    data = bytearray(COMPRESSED[kind])
    if damage == "cut off":
        del data[-40:]
    else:
        data[len(data) // 2] ^= 0xFF
        if kind == "zst":  # this library writes no checksum
            data[len(data) // 3 : len(data) // 2] = b""
    path = tmp_path / "a.tar.gz"
    path.write_bytes(data)
    with pytest.raises(SourceError, match=r"a\.tar\.gz: .*(damaged|cut off)"):
        loaded(path, work=str(tmp_path / "work"), scratch=str(tmp_path / "scratch"))
    assert not list((tmp_path / "work").glob("*"))
    assert not list((tmp_path / "scratch").glob("*"))


@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data(), st.sampled_from(sorted(COMPRESSED)))
def test_any_change_of_a_stream_gives_images_or_a_source_error(
    tmp_path: Path, data: st.DataObject, kind: str
) -> None:
    held = bytearray(SMALL[kind])
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(held)))
        size = data.draw(st.integers(0, 8))
        held[at : at + size] = data.draw(st.binary(max_size=8))
    path = tmp_path / f"{uuid.uuid4().hex}.tar.gz"
    path.write_bytes(held)
    with contextlib.suppress(SourceError):
        catalog.look(str(path))
        loaded(path, work=str(tmp_path / "work"), scratch=str(tmp_path / "scratch"))


def test_a_stream_that_grows_without_end_is_refused(tmp_path: Path) -> None:
    info = tarfile.TarInfo("bomb.jpg")
    info.size = 600 << 20
    head = info.tobuf()
    with gzip.open(tmp_path / "a.tar.gz", "wb") as out:
        out.write(head)
        for _ in range(600):
            out.write(bytes(1 << 20))
    with pytest.raises(SourceError, match="200 to 1"):
        loaded(tmp_path / "a.tar.gz", work=str(tmp_path / "work"), scratch=str(tmp_path / "s"))
    assert not list((tmp_path / "work").glob("*"))


def test_a_tar_is_unpacked_once_and_an_earlier_one_is_removed(tmp_path: Path) -> None:
    path, work = tmp_path / "a.tar.gz", tmp_path / "work"
    options = {"work": str(work), "scratch": str(tmp_path / "scratch")}
    path.write_bytes(COMPRESSED["gz"])
    assert loaded(path, **options) == FILES
    (first,) = work.iterdir()
    written = first.stat().st_mtime_ns
    assert loaded(path, **options) == FILES
    assert [one.stat().st_mtime_ns for one in work.iterdir()] == [written]
    path.write_bytes(COMPRESSED["xz"])
    assert loaded(path, **options) == FILES
    (second,) = work.iterdir()
    assert second != first


def test_a_tar_that_is_cut_off_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(TAR.getvalue()[:-30_000])
    with pytest.raises(SourceError, match=r"a\.tar: is cut off"):
        loaded(tmp_path / "a.tar")


def test_members_of_a_tar_that_cannot_be_used_cost_themselves(tmp_path: Path) -> None:
    big = tmp_path / "big.jpg"
    with big.open("wb") as file:
        file.truncate(MAX_IMAGE_BYTES + 1)
    (tmp_path / "a.jpg").write_bytes(b"image")
    shell(tmp_path, "ln -s a.jpg soft.jpg; ln a.jpg z.jpg; mkfifo pipe.jpg; tar cf a.tar *.jpg")
    shell(tmp_path, "tar cSf sparse.tar big.jpg a.jpg; tar -H pax -cSf pax.tar big.jpg a.jpg")
    found = loaded(tmp_path / "a.tar")
    reasons = {
        path: one.reason if isinstance(one, ImageFault) else one for path, one in found.items()
    }
    assert reasons == {
        "a.jpg": b"image",
        "big.jpg": Reason.IMAGE_TOO_LARGE,
        "soft.jpg": Reason.MEMBER_UNSUPPORTED,
        "z.jpg": Reason.MEMBER_UNSUPPORTED,
        "pipe.jpg": Reason.MEMBER_UNSUPPORTED,
    }
    for name in ("sparse.tar", "pax.tar"):
        found = loaded(tmp_path / name)
        assert found["a.jpg"] == b"image"
        assert isinstance(found["big.jpg"], ImageFault)
        assert "sparse" in found["big.jpg"].detail


def test_names_of_a_tar_that_are_not_utf8(tmp_path: Path) -> None:
    raw = "中".encode("gbk")
    info = tarfile.TarInfo("中.jpg")
    info.size = 4
    encoded = info.tobuf(tarfile.GNU_FORMAT, "gbk") + b"body".ljust(512, b"\0")
    (tmp_path / "b.tar").write_bytes(encoded + bytes(1024))
    assert list(loaded(tmp_path / "b.tar", encoding="gbk")) == ["中.jpg"]
    assert list(loaded(tmp_path / "b.tar")) == [raw.decode("cp437") + ".jpg"]


def test_names_of_a_zip_in_another_encoding(tmp_path: Path) -> None:
    raw = "中.jpg".encode("gbk")
    data = zip_of({"#" * len(raw): b"body"}).replace(b"#" * len(raw), raw)
    (tmp_path / "a.zip").write_bytes(data)
    assert loaded(tmp_path / "a.zip", encoding="gbk") == {"中.jpg": b"body"}
    assert loaded(tmp_path / "a.zip") == {raw.decode("cp437"): b"body"}


def test_a_unicode_path_counts_on_every_python(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("x_.jpg")
    name = "x图.jpg".encode()
    field = struct.pack("<BL", 1, zlib.crc32(b"x_.jpg")) + name
    info.extra = struct.pack("<2H", 0x7075, len(field)) + field
    (tmp_path / "a.zip").write_bytes(zip_of([(info, b"body")]))
    assert loaded(tmp_path / "a.zip") == {"x图.jpg": b"body"}


def test_backslashes_in_a_folder_are_slashes(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.jpg").write_bytes(b"slash")
    (tmp_path / "a\\b.jpg").write_bytes(b"backslash")
    (tmp_path / "a\\c.jpg").write_bytes(b"other")
    assert {
        member.path: load(member, entry)
        for member, entry in fetch(list(catalog.members(str(tmp_path), 0)))
    } == {"a/b.jpg": b"slash", "a/c.jpg": b"other"}


def test_two_members_with_other_normal_forms_stay_apart(tmp_path: Path) -> None:
    names = [unicodedata.normalize(form, "é.jpg") for form in ("NFC", "NFD")]
    (tmp_path / "a.zip").write_bytes(zip_of({name: name.encode() for name in names}))
    assert loaded(tmp_path / "a.zip") == {name: name.encode() for name in names}


@pytest.mark.parametrize("number", [1 << 63, (1 << 64) - 1])
def test_a_size_that_no_file_has_is_damage(tmp_path: Path, number: int) -> None:
    info = zipfile.ZipInfo("b.jpg")
    info.extra = struct.pack("<2HQ", 1, 8, number)
    data = with_entry(zip_of([("a.jpg", b"a"), (info, b"b")]), 1, size=0xFFFFFFFF)
    (tmp_path / "a.zip").write_bytes(data)
    found = loaded(tmp_path / "a.zip")
    assert found["a.jpg"] == b"a"
    assert isinstance(found["b.jpg"], ImageFault)
    assert found["b.jpg"].reason is Reason.MEMBER_DAMAGED


def test_one_bad_entry_costs_no_other(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("b.jpg")
    info.extra = struct.pack("<2H", 1, 0xFFFF)
    data = zip_of([("a.jpg", b"a"), (info, b"b"), ("c\xe9.jpg", b"c"), ("d.jpg", b"d")])
    data = with_entry(data, 3, needed=99).replace("c\xe9".encode(), b"c\xff\xfe")
    (tmp_path / "a.zip").write_bytes(data)
    broken = "c" + b"\xff\xfe".decode("cp437") + ".jpg"
    assert loaded(tmp_path / "a.zip") == {"a.jpg": b"a", "b.jpg": b"b", broken: b"c", "d.jpg": b"d"}


def test_names_of_nothing_but_slashes_take_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    entry = zip_of({"#": b""})
    central = bytearray(entry[entry.index(b"PK\1\2") : entry.rindex(b"PK\5\6")])
    central[28:30] = (65_000).to_bytes(2, "little")
    directory = 1000 * bytes(central).replace(b"#", b"/" * 65_000)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0, 0, len(directory), 100, 0)
    path.write_bytes(entry[:100].ljust(100, b"\0") + directory + end)
    assert path.stat().st_size > 60 << 20
    tracemalloc.start()
    assert list(catalog.members(str(path), 0)) == []
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20


def test_many_entries_take_little_memory(tmp_path: Path) -> None:
    entry = zip_of({"0000000": b""})
    central = entry[entry.index(b"PK\1\2") : entry.rindex(b"PK\5\6")]
    count = 200_000
    directory = b"".join(central.replace(b"0000000", b"%07d" % at) for at in range(count))
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0, 0, len(directory), 100, 0)
    path = tmp_path / "a.zip"
    path.write_bytes(entry[:100].ljust(100, b"\0") + directory + end)
    tracemalloc.start()
    found = catalog.members(str(path), 0)
    first = next(found)
    assert sum(1 for _ in found) == count - 1
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert first.path == "0000000"
    assert peak < 120 * count


def test_pieces_are_gathered_by_their_names(folder: Path) -> None:
    shell(folder, f"{MADE['zip of disks']}; {MADE['tar in pieces']}")
    listed = [files.info(str(path)) for path in sorted(folder.parent.glob("a.*"))]
    found = [archive.info for archive in archives.gather(listed)]
    assert sorted(one.uri for one in found) == [
        str(folder.parent / name) for name in ("a.tar.part_aa", "a.zip")
    ]
    assert sum(one.size for one in found) == sum(one.size for one in listed)
    for one in found:
        assert inputs.identify(one.uri, one.version) == one
