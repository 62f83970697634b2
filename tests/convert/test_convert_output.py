"""The output folder: whose it is, and what happens to what lies there."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

from beam_mat.dataset import lease
from beam_mat.dataset.dataset import Dataset
from beam_mat.storage import files
from tests import outputs as dataset
from tests.command import convert_words, converted, run
from tests.making import image_record, picture, record, write_shard, write_zip


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return write_zip(tmp_path / "files.zip", {f"{n}.jpg": picture(seed=n) for n in range(3)})


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    return write_shard(tmp_path / "mat.json", [image_record("1", "1.jpg"), record("t"), 3])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a dataset in it, and what it was made of. Not to be changed."""
    folder = tmp_path_factory.mktemp("made")
    shard = write_shard(folder / "mat.json", [image_record("1", "1.jpg"), record("t"), record("u")])
    converted(shard, write_zip(folder / "files.zip", {"1.jpg": picture()}), folder / "out")
    return folder


def test_an_empty_folder_will_do(tmp_path: Path, shard: Path, images: Path) -> None:
    (tmp_path / "out").mkdir()
    converted(shard, images, tmp_path / "out")


def test_a_folder_of_other_files_is_refused(tmp_path: Path, shard: Path, images: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    for option in ([], ["--overwrite"]):
        ran = run(*convert_words(shard, images, out), *option)
        assert ran.code == 2
        assert (
            f"--output {out}: contains other files that are not part of a dataset of beam-mat"
            in ran.err
        )
    assert dataset.tree(out) == {"thesis.txt": b"mine"}


def test_a_dataset_is_replaced_only_when_asked(tmp_path: Path, shard: Path, images: Path) -> None:
    out = converted(shard, images, tmp_path / "out", "--val-fraction", "0.5")
    before = dataset.tree(out)
    options = ("--exif", "apply", "--formats", "jsonl", "--rewrite", "a/=b/", "c/=d/")
    ran = run(*convert_words(shard, images, out), *options)
    assert ran.code == 2
    # Every option that differs is named, with both values.
    assert "beam-mat: 4 configuration errors" in ran.err
    for told in (
        "--val-fraction 0.0: the dataset in {} was made with 0.5",
        "--exif apply: the dataset in {} was made with ignore",
        "--formats jsonl: the dataset in {} was made with jsonl,parquet",
        "--rewrite a/=b/ c/=d/: the dataset in {} was made with data/open_llava_next/=tongagent/",
    ):
        assert told.format(out) in ran.err
    assert ran.err.count("or start over with --overwrite") == 4
    assert dataset.tree(out) == before


def test_a_dataset_of_other_versions_is_not_grown(
    tmp_path: Path, shard: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = converted(shard, images, tmp_path / "out")
    more = write_shard(tmp_path / "more.json", [record("m")])
    monkeypatch.setattr(metadata, "version", lambda package: f"of {package}")
    ran = run(*convert_words([shard, more], images, out))
    assert ran.code == 2
    assert "pillow of pillow: the dataset in" in ran.err
    assert "pyarrow of pyarrow: the dataset in" in ran.err
    # What is complete stays complete.
    assert run(*convert_words(shard, images, out)).code == 0
    converted([shard, more], images, out, "--overwrite")


def test_a_manifest_of_something_else_is_left_alone(
    tmp_path: Path, shard: Path, images: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "manifest.json").write_text('{"name": "a web application"}')
    ran = run(*convert_words(shard, images, out))
    assert ran.code == 2
    assert f"{out}/manifest.json: this version of beam-mat cannot read this manifest" in ran.err
    assert (out / "manifest.json").exists()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--max-pixels", "5000"),
        ("--min-pixels", "900"),
        ("--exif", "apply"),
        ("--rewrite", "a/=b/"),
        ("--duplicates", "drop"),
        ("--val-fraction", "0.5"),
        ("--limit", "2"),
        ("--formats", "jsonl"),
    ],
)
def test_each_option_that_decides_bytes_is_named_when_it_differs(
    made: Path, option: str, value: str
) -> None:
    words = convert_words(made / "mat.json", made / "files.zip", made / "out")
    before = dataset.tree(made / "out")
    ran = run(*words, option, value)
    assert ran.code == 2
    (fault,) = ran.err.splitlines()[1:]
    assert fault.startswith(f"  {option} {value}: the dataset in {made}/out was made with ")
    assert dataset.tree(made / "out") == before


def test_a_second_run_beside_a_living_one_is_refused(
    tmp_path: Path, shard: Path, images: Path
) -> None:
    out = tmp_path / "out"
    with lease.held(str(out), pytest.fail):
        ran = run(*convert_words(shard, images, out))
        assert ran.code == 1
        assert re.fullmatch(
            f"beam-mat: {out}: process {os.getpid()} on .* \\(started .* UTC\\) is writing here; "
            "wait until it ends, stop it, or choose another folder\n",
            ran.err,
        )
        assert dataset.tree(out) == {}
    converted(shard, images, out)


def test_replacing_leaves_nothing_of_the_old(tmp_path: Path, shard: Path, images: Path) -> None:
    out = converted(shard, images, tmp_path / "out", "--val-fraction", "0.5")
    other = write_shard(tmp_path / "other.json", [image_record("2", "2.jpg")])
    converted(other, images, out, "--formats", "jsonl", "--overwrite")
    fresh = converted(other, images, tmp_path / "fresh", "--formats", "jsonl")
    assert dataset.tree(out) == dataset.tree(fresh)
    assert not any(path.is_dir() and not any(path.iterdir()) for path in out.rglob("*"))


@pytest.mark.slow
def test_what_a_broken_off_run_left_is_cleared_by_the_next(
    tmp_path: Path, shard: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"

    def break_off(*_: object) -> None:
        raise KeyboardInterrupt

    other = write_shard(tmp_path / "other.json", [image_record("2", "2.jpg"), record("v")])
    with monkeypatch.context() as patched:
        patched.setattr(Dataset, "commit", break_off)
        ran = run(*convert_words(other, images, out), "--exif", "apply")
    assert ran.code == 130
    assert "nothing was published" in ran.err
    left = dataset.tree(out)
    assert "manifest.json" not in left
    assert any(name.startswith("images/") for name in left)
    ran = run(*convert_words(shard, images, out))
    assert ran.code == 2
    assert f"--exif ignore: the dataset in {out} was made with apply" in ran.err
    converted(shard, images, out, "--overwrite")
    assert dataset.tree(out) == dataset.tree(converted(shard, images, tmp_path / "fresh"))


@pytest.mark.slow
def test_overwrite_that_breaks_off_leaves_no_dataset_behind(
    tmp_path: Path, shard: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = converted(shard, images, tmp_path / "out")

    def break_off(*_: object) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patched:
        patched.setattr("beam_mat.convert.driver.run", break_off)
        ran = run(*convert_words(shard, images, out), "--overwrite")
    assert ran.code == 1
    assert "disk full" in ran.err
    assert not (out / "manifest.json").exists()
    # The folder is still known as ours: the same command goes on without --overwrite.
    converted(shard, images, out)


@pytest.mark.slow
@pytest.mark.parametrize("at", ["manifest.json", "generations", "images", "parquet"])
def test_clearing_that_breaks_off_can_be_begun_anew(
    tmp_path: Path, shard: Path, images: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    out = converted(shard, images, tmp_path / "out")

    def breaking(remove: Callable[[str], None]) -> Callable[[str], None]:
        def break_off(uri: str) -> None:
            if uri.endswith(f"/{at}"):
                raise KeyboardInterrupt
            remove(uri)

        return break_off

    with monkeypatch.context() as patched:
        for name in ("remove", "remove_file"):
            patched.setattr(files, name, breaking(getattr(files, name)))
        assert run(*convert_words(shard, images, out), "--overwrite").code == 130
    converted(shard, images, out, "--overwrite")
    assert dataset.tree(out) == dataset.tree(converted(shard, images, tmp_path / "fresh"))


def test_the_folder_may_not_hold_the_images(tmp_path: Path, shard: Path) -> None:
    folder = tmp_path / "unzipped"
    folder.mkdir()
    (folder / "1.jpg").write_bytes(picture())
    for output in (folder, folder / "out", tmp_path):
        ran = run(*convert_words(shard, folder, output))
        assert ran.code == 2
        assert f"--output {output}: overlaps the input {folder}" in ran.err


def test_the_folder_may_not_hold_the_shards(tmp_path: Path, shard: Path, images: Path) -> None:
    out = converted(shard, images, tmp_path / "out", "--formats", "jsonl")
    before = dataset.tree(out)
    (part,) = (out / "jsonl").iterdir()
    ran = run(*convert_words(part, images, out), "--formats", "jsonl")
    assert ran.code == 2
    assert f"--output {out}: overlaps the input {part}" in ran.err
    assert dataset.tree(out) == before


def test_the_folder_is_no_generation(tmp_path: Path, shard: Path, images: Path) -> None:
    ran = run(*convert_words(shard, images, tmp_path / "out@1"))
    assert ran.code == 2
    assert "what follows the @ names a generation" in ran.err
    assert not (tmp_path / "out@1").exists()


def test_a_file_is_no_folder(tmp_path: Path, shard: Path, images: Path) -> None:
    ran = run(*convert_words(shard, images, shard))
    assert ran.code == 2
    assert f"--output {shard}: this is a file; name a folder" in ran.err
