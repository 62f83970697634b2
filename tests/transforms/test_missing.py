"""The nearest member of each missing image, whatever the other paths and members are."""

from __future__ import annotations

from pathlib import Path

import pytest

from beam_mat.core.nearest import MOST, Near
from beam_mat.core.results import Source, Wanted
from beam_mat.core.settings import Settings
from beam_mat.storage import inputs
from beam_mat.transforms.missing import NameNearest
from tests.making import write_files, write_zip
from tests.transforms.collect import collect


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(output=str(tmp_path / "out"))


def source(path: Path, order: int = 0) -> Source:
    found = inputs.identify(str(path))
    return Source(found.uri, order, found.size, found.version)


def named(settings: Settings, paths: list[str], *sources: Source) -> dict[str, Near | None]:
    missing = [Wanted(path, None, ("c1", "c2")) for path in paths]
    found = [wanted for _, wanted in collect(missing, NameNearest(settings, sources))]
    assert sorted(one.path for one in found) == sorted(paths), "each image once"
    assert all(one.chunks == ("c1", "c2") and one.member is None for one in found)
    return {one.path: one.near for one in found}


def test_the_nearest_member_of_all_sources(settings: Settings, tmp_path: Path) -> None:
    first = source(write_files(tmp_path / "d", {"x/g/1.jpg": b"", "b.png": b""}), 0)
    second = source(write_zip(tmp_path / "f.zip", {"g/1.png": b"", "g/2.jpg": b""}), 1)
    found = named(settings, ["g/1.jpg", "B.jpg", "none.jpg"], first, second)
    assert found == {
        "g/1.jpg": Near(1, "g/1.png", second.uri),
        "B.jpg": Near(0, "b.png", first.uri),
        "none.jpg": None,
    }


def test_a_name_that_many_have_says_nothing(settings: Settings, tmp_path: Path) -> None:
    number = MOST + 1
    held = {f"d/e{at}/screenshot.png": b"" for at in range(number)}
    place = source(write_zip(tmp_path / "f.zip", held))
    paths = [f"e{at}/screenshot.png" for at in range(number)]
    found = named(settings, [*paths, "other/screenshot.png", "screenshot.png"], place)
    for path in paths:
        assert found[path] == Near(0, f"d/{path}", place.uri)
    assert found["other/screenshot.png"] is None
    assert found["screenshot.png"] is None


def test_nothing_is_listed_again_if_nothing_is_missing(settings: Settings, tmp_path: Path) -> None:
    gone = Source(str(tmp_path / "gone.zip"), 0)
    assert named(settings, [], gone) == {}
    with pytest.raises(Exception, match=r"gone\.zip"):
        named(settings, ["1.jpg"], gone)
