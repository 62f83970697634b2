"""Images in archives of every kind, and names that archives and records spell differently."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import tarfile
import unicodedata
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from beam_mat.storage import files, stores
from tests import outputs as dataset
from tests.build import with_entry, zip_of
from tests.command import convert_words, converted, run
from tests.making import image_record, picture, record, write_files, write_shard, write_zip
from tests.stands import reach

MEMBERS = {
    "tongagent/a/1.jpg": picture((90, 70), seed=1),
    "tongagent/a/2.png": picture((900, 700), seed=2, format="PNG"),
    "tongagent/b/3.jpg": picture((800, 800), seed=3),
    "tongagent/图/4.jpg": picture((80, 80), seed=4),
    "tongagent/b/broken.jpg": b"no picture",
}
MADE = {
    "tar": "tar cf ../f.tar .",
    "tar.gz": "tar czf ../f.tar.gz .",
    "tar.zst": "tar c . | zstd -q > ../f.tar.zst",
    "zip in pieces": "zip -qr - . | split -b 20k - ../f.zip.part_",
    "tar.xz in pieces": "tar cJ . | split -b 30k - ../f.tar.xz.part_",
    "zip of disks": "zip -qr -s 64k ../f.zip .",
}


def made(tmp_path: Path, kind: str) -> tuple[Path, Path]:
    """A shard, and the pattern of an archive of a kind."""
    shard = write_shard(tmp_path / "mat.json", [image_record(path, path) for path in MEMBERS])
    folder = write_files(tmp_path / "in" / "files", MEMBERS)
    subprocess.run(["bash", "-euc", MADE[kind]], cwd=folder, check=True)
    return shard, tmp_path / "in" / "f.*"


def kept(output: Path) -> dict[str, object]:
    """What a dataset has, without the names of its inputs."""
    table = dataset.image_table(output)
    for row in table.values():
        del row["source"]
    rejects = [(one["id"], one["reason"], one["detail"]) for one in dataset.rejects(output)]
    pictures = {name: data for name, data in dataset.tree(output).items() if "images/" in name}
    return {"rows": dataset.rows(output), "rejects": rejects, "table": table, **pictures}


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    folder = tmp_path_factory.mktemp("expected")
    shard = write_shard(folder / "mat.json", [image_record(path, path) for path in MEMBERS])
    return kept(converted(shard, write_files(folder / "f", MEMBERS), folder / "out"))


@pytest.mark.parametrize("kind", MADE)
def test_an_archive_gives_the_same_as_its_folder(
    tmp_path: Path, expected: dict[str, object], kind: str
) -> None:
    shard, images = made(tmp_path, kind)
    output = converted(shard, images, tmp_path / "out")
    assert kept(output) == expected
    assert not (output / "_beam_mat" / "unpacked").exists()
    sources = json.loads((output / "manifest.json").read_bytes())["inputs"]["images"]
    (source,) = sources
    pieces = list((tmp_path / "in").glob("f.*"))
    assert source["size"] == sum(path.stat().st_size for path in pieces)
    again = run(*convert_words(shard, images, output))
    assert "nothing to do" in again.out.lower()
    pieces[0].write_bytes(pieces[0].read_bytes())
    assert "nothing to do" not in run(*convert_words(shard, images, output)).out.lower()


@pytest.fixture(
    params=["memory", *(pytest.param(name, marks=pytest.mark.stands) for name in ("gs", "s3"))]
)
def place(request: pytest.FixtureRequest) -> Iterator[tuple[str, reach.Options]]:
    """A folder on a store, and the storage options that lead to it."""
    name = uuid.uuid4().hex
    folder, options = f"memory:///{name}", reach.Options()
    if request.param == "gs":
        folder, options = f"gs://tests/{name}", reach.google(request.getfixturevalue("google"))
    if request.param == "s3":
        folder, options = f"s3://tests/{name}", reach.amazon(request.getfixturevalue("amazon"))
    stores.use(options)
    yield folder, options
    stores.use(options)
    files.remove(folder)
    stores.use({})


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "zip in pieces", "zip of disks"])
def test_an_archive_on_a_store(
    tmp_path: Path, expected: dict[str, object], place: tuple[str, reach.Options], kind: str
) -> None:
    folder, options = place
    shard, images = made(tmp_path, kind)
    for path in [shard, *images.parent.glob(images.name)]:
        files.write_bytes(f"{folder}/in/{path.name}", path.read_bytes(), "")
    output = f"{folder}/out"
    ran = run(
        *("convert", "--json", f"{folder}/in/*.json", "--images", f"{folder}/in/f.*"),
        *("--output", output, "--storage-options", json.dumps(options)),
    )
    assert ran.code == 0, ran.err
    found = files.find(output)
    images_there = {name for name, _ in found if name.startswith("images/")}
    assert images_there == {name for name in expected if name.startswith("images/")}
    assert not any(name.startswith("_beam_mat/unpacked") for name, _ in found)


@pytest.mark.parametrize(
    ("made_by", "said"),
    [
        (
            "zip -qr - . | split -b 20k - ../f.zip.part_; rm ../f.zip.part_ab",
            "part_ab is missing",
        ),
        ("zip -qr -s 64k ../f.zip .; rm ../f.z02", "f.z02 is missing"),
        ("printf '7z\\274\\257\\047\\034' > ../f.7z", "7z x f.7z -oimages"),
        ("tar cf ../f.tar .; truncate -s -20k ../f.tar", ""),
    ],
)
def test_an_archive_that_cannot_be_read(tmp_path: Path, made_by: str, said: str) -> None:
    shard = write_shard(tmp_path / "mat.json", [image_record("a", "a.jpg")])
    folder = write_files(tmp_path / "in" / "files", MEMBERS)
    subprocess.run(["bash", "-euc", made_by], cwd=folder, check=True)
    ran = run(*convert_words(shard, tmp_path / "in" / "f.*", tmp_path / "out"))
    if said:
        assert ran.code == 2
        assert said in ran.err
    else:  # a tar is known to be cut off when its headers have been read
        assert ran.code == 1
        assert "f.tar: is cut off" in ran.err
    assert not (tmp_path / "out" / "manifest.json").exists()


NFC, NFD = (unicodedata.normalize(form, "x/é.png") for form in ("NFC", "NFD"))
MIXED = unicodedata.normalize("NFC", "x/é") + unicodedata.normalize("NFD", "é.png")


def used(tmp_path: Path, paths: list[str], *sources: Mapping[str, bytes]) -> dict[str, bytes]:
    """Converts records with these images; returns the picture of each accepted record."""
    records = [record(id="text"), *(image_record(path, path) for path in paths)]
    shard = write_shard(tmp_path / "mat.json", records)
    zips = [write_zip(tmp_path / f"{at}.zip", one) for at, one in enumerate(sources)]
    output = converted(shard, zips, tmp_path / "out")
    rows = [row for row in dataset.rows(output) if row["images"]]
    return {row["id"]: (output / row["images"][0]).read_bytes() for row in rows}


ONE, TWO = picture(seed=1, format="PNG"), picture(seed=2, format="PNG")


@pytest.mark.parametrize(
    ("sources", "found"),
    [
        ([{NFC: ONE}], {NFC: ONE, NFD: ONE}),
        ([{NFD: ONE}], {NFC: ONE, NFD: ONE}),
        ([{NFC: ONE, NFD: TWO}], {NFC: ONE, NFD: TWO}),
        ([{NFC: ONE}, {NFD: TWO}], {NFC: ONE, NFD: TWO}),  # the same spelling counts first
        ([{NFC: ONE}, {NFC: TWO}], {NFC: ONE, NFD: ONE}),  # then the order
    ],
)
def test_normal_forms_meet_where_that_is_clear(
    tmp_path: Path, sources: list[dict[str, bytes]], found: dict[str, bytes]
) -> None:
    assert used(tmp_path, [NFC, NFD], *sources) == found


def test_of_two_other_spellings_none_is_chosen(tmp_path: Path) -> None:
    composed = unicodedata.normalize("NFC", MIXED)
    decomposed = unicodedata.normalize("NFD", MIXED)
    assert used(tmp_path, [composed], {MIXED: ONE, decomposed: TWO}) == {}


@pytest.mark.parametrize("turned", [False, True])
def test_a_path_that_begins_with_another_one(tmp_path: Path, turned: bool) -> None:
    sources = [{"x.png": ONE}, {"x.png/y.png": TWO}]
    found = used(tmp_path, ["x.png/y.png", "x.png"], *sources[:: -1 if turned else 1])
    assert found == {"x.png": ONE, "x.png/y.png": TWO}


def test_hidden_files_are_no_images(tmp_path: Path) -> None:
    hidden = {"x/._a.png": ONE, "__MACOSX/x/a.png": ONE}
    assert used(tmp_path, list(hidden), hidden, {"x/a.png": ONE}) == {}


def test_an_encoding_of_names(tmp_path: Path) -> None:
    raw = "中.png".encode("gbk")
    data = zip_of({"#" * len(raw): ONE}).replace(b"#" * len(raw), raw)
    (tmp_path / "f.zip").write_bytes(data)
    shard = write_shard(tmp_path / "mat.json", [image_record("a", "中.png")])
    words = (shard, tmp_path / "f.zip", tmp_path / "out")
    output = converted(*words, "--zip-encoding", "cp936")
    assert [row["id"] for row in dataset.rows(output)] == ["a"]
    manifest = json.loads((output / "manifest.json").read_bytes())
    assert manifest["configuration"]["zip_encoding"] == "gbk"
    other = run(*convert_words(*words))
    assert other.code == 2
    assert "--zip-encoding" in other.err
    wrong = run(*convert_words(*words), "--zip-encoding", "klingon")
    assert wrong.code == 2
    assert "klingon" in wrong.err


def test_bad_entries_of_a_zip_cost_their_own_records(tmp_path: Path) -> None:
    huge = zipfile.ZipInfo("huge.png")
    huge.extra = struct.pack("<2HQ", 1, 8, 1 << 63)
    data = zip_of([("a.png", ONE), (huge, ONE), ("utf8é.png", ONE), ("b.png", TWO)])
    data = with_entry(data, 1, size=0xFFFFFFFF).replace("8é".encode(), b"8\xff\xfe")
    (tmp_path / "f.zip").write_bytes(with_entry(data, 3, needed=99))
    paths = ["a.png", "huge.png", "utf8é.png", "b.png"]
    shard = write_shard(tmp_path / "mat.json", [image_record(path, path) for path in paths])
    output = converted(shard, tmp_path / "f.zip", tmp_path / "out")
    assert sorted(row["id"] for row in dataset.rows(output)) == ["a.png", "b.png"]
    rejected = {one["id"]: one["reason"] for one in dataset.rejects(output)}
    assert rejected == {"huge.png": "member_damaged", "utf8é.png": "image_missing"}


def test_members_of_a_tar_that_are_no_files_cost_their_own_records(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "f.tar", "w") as archive:
        for name, kind in (("a.png", tarfile.REGTYPE), ("link.png", tarfile.SYMTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            info.size = len(ONE) if kind == tarfile.REGTYPE else 0
            archive.addfile(info, io.BytesIO(ONE))
    paths = ["a.png", "link.png"]
    shard = write_shard(tmp_path / "mat.json", [image_record(path, path) for path in paths])
    output = converted(shard, tmp_path / "f.tar", tmp_path / "out")
    assert [row["id"] for row in dataset.rows(output)] == ["a.png"]
    (rejected,) = dataset.rejects(output)
    assert (rejected["id"], rejected["reason"]) == ("link.png", "member_unsupported")
    assert "symbolic link" in rejected["detail"]
