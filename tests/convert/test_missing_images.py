"""Missing images: the nearest member is named, and what is proposed works when it is pasted."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from tests import outputs as dataset
from tests.command import convert_words, run
from tests.making import image_record, picture, write_shard, write_zip

DEFAULT = "data/open_llava_next/=tongagent/"


def shard_of(folder: Path, paths: Iterable[str]) -> Path:
    records = [image_record(f"r{number}", path) for number, path in enumerate(paths)]
    return write_shard(folder / "mat.json", records)


def pictures(paths: Iterable[str]) -> Mapping[str, bytes]:
    return {path: picture((20, 20), number) for number, path in enumerate(paths)}


def options_in(text: str) -> list[str]:
    """The proposed options of the last line with a proposal."""
    found = re.findall(r"--rewrite [^\n]*", text)
    return shlex.split(found[-1]) if found else []


@pytest.mark.parametrize(
    ("asked", "there", "given"),
    [
        pytest.param(["g/1.jpg", "g/a/2.jpg"], ["d/g/1.jpg", "d/g/a/2.jpg"], "", id="down"),
        pytest.param(["x/g/1.jpg", "x/g/2.jpg"], ["g/1.jpg", "g/2.jpg"], "", id="up"),
        pytest.param(["g/1.jpg", "g/2.jpg"], ["1.jpg", "2.jpg"], "", id="no folder"),
        pytest.param(["1.jpg", "2.jpg"], ["g/1.jpg", "g/2.jpg"], "", id="into a folder"),
        pytest.param(["a/1.jpg", "b/1.jpg"], ["d/a/1.jpg", "d/b/1.jpg"], "", id="two folders"),
        pytest.param(["o/1.jpg", "o/2.jpg"], ["o/1.png", "o/2.png"], "", id="suffix"),
        pytest.param(["o/1.JPG"], ["o/1.jpg"], "", id="case of the suffix"),
        pytest.param(["C/1.jpg", "C/2.jpg"], ["c/1.jpg", "c/2.jpg"], "", id="case of a folder"),
        pytest.param(["c/A.jpg"], ["c/a.jpg"], "", id="case of a name"),
        pytest.param(["c/\u00e9.jpg"], ["c/e\u0301.jpg"], "", id="Unicode form"),
        pytest.param(["g/1.jpg", "g/2.jpg"], ["d/g/1.png", "d/g/2.png"], "", id="both"),
        pytest.param(["a b/1's.jpg"], ["d/a b/1's.jpg"], "", id="quoted"),
        pytest.param(["data/open_llava_next/c/1.jpg"], ["c/1.jpg"], "", id="rewritten by default"),
        pytest.param(
            ["a/c/1.jpg", "a/2.jpg"], ["x/c/1.jpg", "y/2.jpg"], "a/=y/", id="before the user's"
        ),
        pytest.param(
            ["a/c/1.jpg", "a/d/2.jpg"], ["y/1.jpg", "d/2.jpg"], "a/c/=y/", id="after the user's"
        ),
        pytest.param(
            ["data/1.jpg", "data/2.jpg", "data/open_llava_next/3.jpg"],
            ["1.jpg", "2.jpg", "tongagent/3.jpg"],
            "",
            id="after the default",
        ),
    ],
)
def test_what_is_proposed_works(
    tmp_path: Path, asked: list[str], there: list[str], given: str
) -> None:
    shard = shard_of(tmp_path, asked)
    images = write_zip(tmp_path / "files.zip", pictures(there))
    options = ["--rewrite", given] if given else []
    first = run(*convert_words(shard, images, tmp_path / "one"), *options)
    assert first.code == 0, first.err
    missed = dataset.rejects(tmp_path / "one")
    assert {one["reason"] for one in missed} == {"image_missing"}
    proposed = options_in(first.out)
    assert proposed, first.out
    second = run(*convert_words(shard, images, tmp_path / "two"), *proposed)
    assert second.code == 0, second.err
    assert dataset.rejects(tmp_path / "two") == []
    # The option in a reject makes its own image match.
    for number, one in enumerate(missed):
        assert " has " in one["detail"]
        own = run(
            *convert_words(shard, images, tmp_path / f"own{number}"), *options_in(one["detail"])
        )
        assert own.code == 0, own.err
        left = {reject["index"] for reject in dataset.rejects(tmp_path / f"own{number}")}
        assert one["index"] not in left
