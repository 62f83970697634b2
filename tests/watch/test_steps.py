"""Which zip an image is taken from does not depend on which came first, nor on restarts."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from beam_mat.core.references import Source
from beam_mat.storage import files
from beam_mat.watch.elements import WatchSettings
from beam_mat.watch.messages import reprocess_requests
from beam_mat.watch.steps import ListZip
from tests.making import image_record, picture, write_shard, write_zip
from tests.work.plain import job_of, make


class Site:
    """A dataset of one picture out of ``m.zip``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shard = write_shard(folder / "s.json", [image_record("1", "i.jpg")])
        self.land("m.zip", "i.jpg", seed=1)
        job = job_of(folder / "out", [shard], [folder / "m.zip"])
        make(job)
        settings = msgspec.structs.replace(job.settings, resume=True)
        self.watch = WatchSettings(settings, (), (f"{folder}/*.zip",), 1.0, 1.0, 1.0)

    def land(self, name: str, path: str, seed: int) -> None:
        write_zip(self.folder / name, {path: picture(seed=seed)})

    def requested_by(self, name: str) -> set[str]:
        found = files.info(str(self.folder / name))
        source = Source(found.uri, 0, found.size, found.version)
        list(ListZip(self.watch).process(source))
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


def test_what_nobody_uses_wakes_nobody(site: Site) -> None:
    site.land("a.zip", "other.jpg", seed=2)
    assert site.requested_by("a.zip") == set()


def test_the_zip_itself_only_in_a_new_version(site: Site) -> None:
    assert site.requested_by("m.zip") == set()
    site.land("m.zip", "i.jpg", seed=33)
    assert site.requested_by("m.zip") == {"i.jpg"}


def test_an_earlier_pattern_comes_first(site: Site) -> None:
    watch = msgspec.structs.replace(
        site.watch, images=(f"{site.folder}/z*.zip", f"{site.folder}/*.zip")
    )
    site.watch = watch
    site.land("z.zip", "i.jpg", seed=2)
    assert site.requested_by("z.zip") == {"i.jpg"}
