"""Images come from the zip with the highest precedence, as it is when it is read."""

from __future__ import annotations

import gzip
import io
import itertools
import tarfile
from pathlib import Path

import msgspec
import pytest
from apache_beam.pvalue import TaggedOutput

from beam_mat.core.chunk import Chunk
from beam_mat.core.errors import SourceError
from beam_mat.core.location import Location
from beam_mat.core.reject import Reason
from beam_mat.core.results import ImageOutcome, PathFact, Source, Wanted
from beam_mat.storage import files, inputs
from beam_mat.watch.messages import (
    UNREADABLE,
    ShardFact,
    WatchSettings,
    count_unreadable,
    reprocess_requests,
)
from beam_mat.watch.steps import Convert, ListZip, Split
from beam_mat.work.images import batch_of
from tests.build import zip_of
from tests.making import image_record, picture, write_shard, write_zip
from tests.work.plain import job_of, make, shard_at


def split(watch: WatchSettings, path: Path) -> list[object]:
    """What the step yields for a file, as chunks and facts."""
    made = Split(watch.settings).process(shard_at(path))
    return [one.value[1] if isinstance(one, TaggedOutput) else one for one in made]


def unreadable(watch: WatchSettings) -> list[str]:
    """What is recorded about files that cannot be read."""
    found = files.find(files.join(watch.settings.output, UNREADABLE))
    return [files.read_bytes(file.uri).decode() for _, file in found]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"PAR1", "the file is Parquet"),
        (b"", "the file is empty"),
        (b'{"a": [{}], "b": [{}]}', "--records a"),
        (gzip.compress(b"<html>"), "decompressed with gzip, the file is a web page"),
    ],
    ids=["parquet", "empty", "object", "gzip"],
)
def test_what_is_no_shard_is_named_and_left_out(
    site: Site, tmp_path: Path, data: bytes, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(data)
    shard = shard_at(path)
    assert split(site.watch, path) == [ShardFact(shard=shard, gone=True)]
    (told,) = unreadable(site.watch)
    assert told.startswith(f"{path}: ")
    assert words in told
    assert words in caplog.text
    path.write_bytes(gzip.compress(b'[{"id": "1"}]'))
    chunk, fact = split(site.watch, path)
    assert isinstance(chunk, Chunk)
    assert fact == ShardFact(shard=shard_at(path), chunks=1)
    assert unreadable(site.watch) == []


class Site:
    """A dataset of one picture out of ``m.zip``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shard = write_shard(folder / "s.json", [image_record("1", "i.jpg")])
        self.land("m.zip", "i.jpg", seed=1)
        job = job_of(folder / "out", [shard], [folder / "m.zip"])
        make(job)
        settings = msgspec.structs.replace(job.settings, resume=True)
        self.watch = WatchSettings(settings, (), (Location(f"{folder}/*.zip"),), 1.0, 1.0, 1.0)

    def land(self, name: str, path: str, seed: int) -> None:
        write_zip(self.folder / name, {path: picture(seed=seed)})

    def listed(self, name: str) -> dict[str, PathFact]:
        found = files.info(str(self.folder / name))
        source = Source(found.uri, 0, found.size, found.version)
        made = ListZip(self.watch).process(source)
        return dict(one for one in made if isinstance(one, tuple))

    def converted(self, *wanted: Wanted) -> dict[str, ImageOutcome]:
        convert = Convert(self.watch)
        convert.start_bundle()
        batch = batch_of(wanted[0].path, wanted[0].member)
        ((name, progress),) = convert.process((batch, wanted))
        assert (name, len(progress.tables)) == ("s-1", 1)
        return {outcome.path: outcome for outcome in progress.outcomes}

    def requested_by(self, name: str) -> set[str]:
        self.listed(name)
        return {one.path for one in reprocess_requests(self.watch.settings).values()}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_a_zip_that_comes_first_by_name_has_its_pictures_taken_anew(site: Site) -> None:
    site.land("a.zip", "i.jpg", seed=2)
    assert site.requested_by("a.zip") == {"i.jpg"}


def test_one_that_comes_later_by_name_has_not(site: Site) -> None:
    site.land("z.zip", "i.jpg", seed=2)
    assert site.requested_by("z.zip") == set()


def test_what_nobody_uses_has_nothing_reprocessed(site: Site) -> None:
    site.land("a.zip", "other.jpg", seed=2)
    assert site.requested_by("a.zip") == set()


def test_the_zip_itself_only_in_a_new_version(site: Site) -> None:
    assert site.requested_by("m.zip") == set()
    site.land("m.zip", "i.jpg", seed=33)
    assert site.requested_by("m.zip") == {"i.jpg"}


def test_an_earlier_pattern_comes_first(site: Site) -> None:
    watch = msgspec.structs.replace(
        site.watch,
        images=(Location(f"{site.folder}/z*.zip"), Location(f"{site.folder}/*.zip")),
    )
    site.watch = watch
    site.land("z.zip", "i.jpg", seed=2)
    assert site.requested_by("z.zip") == {"i.jpg"}


def test_an_image_is_taken_from_the_zip_as_it_is_now(site: Site) -> None:
    def of(name: str) -> Wanted:
        return Wanted("i.jpg", site.listed(name)["i.jpg"].member, ("s-1",))

    before = of("m.zip")
    first = site.converted(before)["i.jpg"]
    site.land("m.zip", "i.jpg", seed=33)
    now = site.converted(before)["i.jpg"]
    assert now == site.converted(of("m.zip"))["i.jpg"]
    assert now.file != first.file
    assert site.converted(before, of("m.zip"))["i.jpg"] == now, "listed in both versions"
    site.land("m.zip", "other.jpg", seed=1)
    (gone,) = site.converted(before).values()
    assert gone.fault
    assert gone.fault.reason is Reason.IMAGE_MISSING
    (site.folder / "m.zip").unlink()
    assert site.converted(before) == {"i.jpg": gone}


def test_a_zip_that_changes_again_and_again_ends_the_watch(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = Wanted("i.jpg", site.listed("m.zip")["i.jpg"].member, ("s-1",))
    seeds = itertools.count(2)
    look = inputs.identify

    def changing(uri: str, version: str) -> files.FileInfo:
        site.land("m.zip", "i.jpg", seed=next(seeds))
        return look(uri, version)

    monkeypatch.setattr(inputs, "identify", changing)
    with pytest.raises(SourceError, match=r"m\.zip: changed 3 times while it was read"):
        site.converted(wanted)


def tar_of(members: dict[str, bytes], mode: str = "w:gz") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def unpacked(site: Site) -> list[str]:
    return [name for name, _ in files.find(f"{site.watch.settings.output}/_beam_mat/unpacked")]


def test_a_compressed_tar_that_was_replaced_gives_its_new_pictures(site: Site) -> None:
    path = site.folder / "n.tar.gz"
    path.write_bytes(tar_of({"j.jpg": picture(seed=5)}))
    old = site.listed("n.tar.gz")["j.jpg"].member
    first = unpacked(site)
    path.write_bytes(tar_of({"j.jpg": picture(seed=6), "k.jpg": picture(seed=7)}))
    found = site.converted(Wanted("j.jpg", old, ("s-1",)))
    assert found["j.jpg"].fault is None
    written = Path(site.watch.settings.output, found["j.jpg"].file).read_bytes()
    assert written == picture(seed=6)
    assert len(first) == len(unpacked(site)) == 1
    assert first != unpacked(site)


def test_pieces_that_are_not_all_there_are_left_out_until_they_are(site: Site) -> None:
    data = zip_of({"j.jpg": picture(seed=5), "k.jpg": picture(seed=7)})
    for at, name in enumerate(("n.zip.part_aa", "n.zip.part_ab", "n.zip.part_ac")):
        part = data[at * 700 : (at + 1) * 700 if at < 2 else None]
        (site.folder / name).write_bytes(part)
    uri = str(site.folder / "n.zip.part_aa")
    last = site.folder / "n.zip.part_ac"
    kept = last.read_bytes()
    last.unlink()

    def listed() -> dict[str, PathFact]:
        found = inputs.identify(uri)
        source = Source(found.uri, 0, found.size, found.version)
        return dict(one for one in ListZip(site.watch).process(source) if isinstance(one, tuple))

    assert listed() == {}
    assert count_unreadable(site.watch.settings, [uri]) == 1
    last.write_bytes(kept)
    facts = listed()
    assert sorted(facts) == ["j.jpg", "k.jpg"]
    assert count_unreadable(site.watch.settings, [uri]) == 0
    found = site.converted(*(Wanted(path, fact.member, ("s-1",)) for path, fact in facts.items()))
    assert {path: outcome.fault for path, outcome in found.items()} == dict.fromkeys(facts)
