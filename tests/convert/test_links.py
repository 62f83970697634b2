"""A link in place of one of our folders: no command writes or removes anything behind it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from beam_mat.convert import driver
from tests import outputs as dataset
from tests.command import convert_words, run
from tests.making import image_record, picture, record, write_shard, write_zip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of two generations in `out`, and inputs from which a third one can be made."""
    root = tmp_path_factory.mktemp("made")
    pictures = {f"a/{name}.jpg": picture(seed=ord(name)) for name in "xyz"}
    write_zip(root / "files.zip", pictures)
    records: list[object] = [image_record(name, f"a/{name}.jpg") for name in "xyz"]
    generations: list[list[list[object]]] = [[[*records[:2], 1]], [[*records], [record("t"), 2]]]
    for shards in generations:
        paths = [write_shard(root / f"{at}.json", one) for at, one in enumerate(shards)]
        words = convert_words(paths, root / "files.zip", root / "out")
        assert run(*words, "--keep-generations", "all").code == 0
    return root


def folders(out: Path) -> list[str]:
    """Each folder of a dataset, also those that are not there at every time."""
    there = [str(path.relative_to(out)) for path in sorted(out.rglob("*")) if path.is_dir()]
    return [*there, "_beam_mat/scratch", "_beam_mat/unpacked", "_beam_mat/watch", "parquet_val"]


def again(root: Path) -> list[str]:
    """A conversion with changed inputs: it removes, moves and writes files of every kind."""
    write_zip(root / "files.zip", {f"a/{name}.jpg": picture(seed=9) for name in "xyz"})
    write_shard(root / "0.json", [image_record("n", "a/z.jpg"), record("m"), 3])
    return convert_words([root / "0.json"], root / "files.zip", root / "out")


def convert(root: Path) -> list[str]:
    return [*again(root), "--keep-generations", "1"]


def overwrite(root: Path) -> list[str]:
    return [*again(root), "--overwrite", "--val-fraction", "0.5"]


def publish(root: Path) -> list[str]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(driver, "finish", lambda *_: 0)  # the driver is gone
        run(*again(root), "--keep-generations", "1")
    return ["publish", str(root / "out")]


def vacuum(root: Path) -> list[str]:
    return ["vacuum", str(root / "out"), "--keep", "1"]


def verify(root: Path) -> list[str]:
    return ["verify", str(root / "out")]


def report(root: Path) -> list[str]:
    return ["report", str(root / "out")]


def bait(folder: Path) -> None:
    """Adds files to a foreign folder that has names of ours."""
    for name in ("mine.txt", "000001.json", "train-x.jsonl", "deep/mine.jpg", "deep/er/mine"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"mine")
    (folder / "empty").mkdir()


def tree(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


@pytest.mark.parametrize("command", [convert, overwrite, publish, vacuum, verify, report])
def test_nothing_changes_behind_a_link(
    command: Callable[[Path], list[str]], made: Path, tmp_path: Path
) -> None:
    refused = []
    for number, name in enumerate(folders(made / "out")):
        root = tmp_path / str(number)
        shutil.copytree(made, root)
        foreign, link = root / "foreign", root / "out" / name
        words = command(root)
        if link.exists():
            shutil.move(link, foreign)
        else:
            foreign.mkdir()
            link.parent.mkdir(parents=True, exist_ok=True)
        bait(foreign)
        before = tree(foreign)
        os.symlink(foreign, link)
        ran = run(*words)
        assert tree(foreign) == before, name
        if ran.code:
            assert ran.code in (1, 2, 3), name
            assert "Traceback" not in ran.err
            refused.append(name)
            assert f"out/{name}" in ran.err, (name, ran.err)
    top = {name for name in folders(made / "out") if "/" not in name}
    if command in (convert, overwrite, publish, vacuum):
        assert top - {*refused} == set()


@pytest.mark.parametrize("name", ["lease/local.json", "job.json", "watched", "verified.json"])
def test_a_work_file_that_is_a_link(made: Path, tmp_path: Path, name: str) -> None:
    root = tmp_path / "made"
    shutil.copytree(made, root)
    mine, link = tmp_path / "mine", root / "out" / "_beam_mat" / name
    mine.write_bytes(b"mine")
    link.unlink(missing_ok=True)
    link.symlink_to(mine)
    for words in (convert(root), vacuum(root), verify(root)):
        run(*words)
        assert mine.read_bytes() == b"mine"


def test_an_output_may_be_a_link(made: Path, tmp_path: Path) -> None:
    root = tmp_path / "made"
    shutil.copytree(made, root)
    shutil.move(root / "out", tmp_path / "disk")
    (root / "out").symlink_to(tmp_path / "disk")
    for words in (convert(root), vacuum(root), verify(root), report(root)):
        ran = run(*words)
        assert ran.code == 0, ran.err
    assert [row["id"] for row in dataset.rows(root / "out")]
