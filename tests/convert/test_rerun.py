"""Rerun, restart, grow: only what is not done is done, and the result is that of a fresh run."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

import beam_mat.convert.driver
from beam_mat.dataset import conversion
from beam_mat.dataset.dataset import Dataset
from beam_mat.storage import files, inputs, parts
from beam_mat.work import images
from tests import outputs as dataset
from tests.command import convert_words, converted, run
from tests.making import image_record, picture, record, write_files, write_shard, write_zip

pytestmark = pytest.mark.slow

OPTIONS = ("--val-fraction", "0.3", "--duplicates", "drop")


class Work:
    """What a conversion read and wrote, unit by unit."""

    def __init__(self) -> None:
        self.scanned: list[str] = []
        self.read: list[str] = []
        self.converted: list[str] = []
        self.written: list[str] = []


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    """Counts the units that are worked on in this process."""
    seen = Work()
    chunks, records, convert, write = (
        inputs.chunks,
        inputs.records,
        images._sources,
        parts.write_unit,
    )

    def scan(reading, digest):  # type: ignore[no-untyped-def]
        seen.scanned.append(Path(reading.shard.uri).name)
        return chunks(reading, digest)

    def read(chunk):  # type: ignore[no-untyped-def]
        seen.read.append(Path(chunk.shard.uri).name)
        return records(chunk)

    def image(members):  # type: ignore[no-untyped-def]
        seen.converted.extend(member.path for member in members)
        return convert(members)

    def unit(settings, unit, rows, **how):  # type: ignore[no-untyped-def]
        seen.written.append(unit.name)
        return write(settings, unit, rows, **how)

    monkeypatch.setattr(inputs, "chunks", scan)
    monkeypatch.setattr(inputs, "records", read)
    monkeypatch.setattr(images, "_sources", image)
    monkeypatch.setattr(parts, "write_unit", unit)
    return seen


def picture_zip(path: Path, *names: str, seed: int = 0) -> Path:
    return write_zip(
        path, {f"{name}.jpg": picture((700, 600), seed=seed + ord(name)) for name in names}
    )


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    """Records over a, b and c, some without images, one repeated and one that is spoiled."""
    records = [image_record(f"{n}", f"{'abc'[n % 3]}.jpg") for n in range(9)]
    records += [record(f"t{n}") for n in range(4)] + [record("t0")]
    return write_shard(tmp_path / "in" / "m.json", [*records, 3])


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """Records without images, whose rows are mixed with those of another shard."""
    return write_shard(tmp_path / "in" / "t.json", [record(f"x{n}") for n in range(6)])


@pytest.fixture
def zipped(tmp_path: Path) -> Path:
    """Holds a and b."""
    return picture_zip(tmp_path / "in" / "m.zip", "a", "b")


def fresh(tmp_path: Path, json: list[Path], sources: list[Path]) -> dict[str, bytes]:
    """What a run into an empty folder writes."""
    output = tmp_path / "fresh"
    shutil.rmtree(output, ignore_errors=True)
    return dataset.tree(converted(json, sources, output, *OPTIONS))


def check(output: Path, expected: dict[str, bytes]) -> None:
    found = dataset.tree(output)
    assert found.keys() == expected.keys()
    assert [name for name in found if found[name] != expected[name]] == []
    empty = [path for path in output.rglob("*") if path.is_dir() and not any(path.iterdir())]
    assert [path for path in empty if "_beam_mat" not in path.parts] == []
    assert not (output / "_beam_mat" / "scratch").exists()
    assert not (output / "_beam_mat" / "job.json").exists()
    # One generation stays, so one commit and one table of images.
    (commit,) = dataset.commits(output)
    assert len(list((output / "generations").iterdir())) == 2
    assert commit["generation"] == dataset.manifest(output)["generation"]
    assert not (output / "replaced").exists()


def kept_images(output: Path) -> set[str]:
    """The first words of the names of the image files."""
    return {path.name.split(".")[0] for path in output.glob("images/*")}


def test_nothing_to_do_is_nothing_done(
    tmp_path: Path, shard: Path, zipped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = converted(shard, zipped, tmp_path / "out", *OPTIONS)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}

    def refuse(*_: object) -> None:
        raise AssertionError("no graph is to be built")

    monkeypatch.setattr(beam_mat.convert.driver, "run", refuse)
    ran = run(*convert_words(shard, zipped, out), *OPTIONS)
    assert ran.code == 0, ran.err
    assert ran.out.startswith("Nothing to do: all 15 records of these inputs are already converted")
    assert "llamafactory-cli train YOUR.yaml dataset=mat" in ran.out
    after = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    assert {path for path in after if after[path] != before.get(path)} <= {
        out / "_beam_mat" / "lease" / "local.json"
    }


def test_without_work_results_there_is_still_nothing_to_do(
    tmp_path: Path, shard: Path, zipped: Path
) -> None:
    out = converted(shard, zipped, tmp_path / "out", *OPTIONS)
    shutil.rmtree(out / "_beam_mat")
    assert run(*convert_words(shard, zipped, out), *OPTIONS).out.startswith("Nothing to do")
    more = write_shard(tmp_path / "in" / "n.json", [image_record("n", "a.jpg")])
    converted([shard, more], zipped, out, *OPTIONS)
    check(out, fresh(tmp_path, [shard, more], [zipped]))


def test_a_folder_of_images_is_recognised_too(tmp_path: Path, shard: Path, work: Work) -> None:
    folder = write_files(
        tmp_path / "folder", {f"{n}.jpg": picture((600, 600), seed=ord(n)) for n in "bc"}
    )
    out = converted(shard, folder, tmp_path / "out", *OPTIONS)
    assert run(*convert_words(shard, folder, out), *OPTIONS).out.startswith("Nothing to do")
    # A file before the others moves all of them to another place.
    write_files(folder, {"a.jpg": picture((600, 600), seed=1)})
    work.converted.clear()
    converted(shard, folder, out, *OPTIONS)
    assert work.converted == ["a.jpg"]
    check(out, fresh(tmp_path, [shard], [folder]))


@pytest.mark.parametrize("first", ["l.json", "n.json"])
def test_a_new_shard_costs_its_own_work(
    tmp_path: Path, shard: Path, texts: Path, zipped: Path, work: Work, first: str
) -> None:
    out = converted([shard, texts], zipped, tmp_path / "out", *OPTIONS)
    # Before or behind the old one; its duplicate of 1 is the one that stays when it is first.
    more = write_shard(
        tmp_path / "in" / first, [image_record("1", "a.jpg"), image_record("n", "b.jpg")]
    )
    work.__init__()  # type: ignore[misc]
    all_of_them = sorted([shard, texts, more])
    converted(all_of_them, zipped, out, *OPTIONS)
    assert work.scanned == [first]
    assert work.converted == []
    assert "t.json" not in work.read
    check(out, fresh(tmp_path, all_of_them, [zipped]))


def test_an_old_chunk_is_not_read_for_a_new_one(
    tmp_path: Path, shard: Path, zipped: Path, work: Work
) -> None:
    out = converted(shard, zipped, tmp_path / "out")
    more = write_shard(tmp_path / "in" / "n.json", [image_record("n", "b.jpg")])
    work.__init__()  # type: ignore[misc]
    converted([shard, more], zipped, out)
    assert set(work.read) == {"n.json"}
    assert dataset.tree(out) == dataset.tree(converted([shard, more], zipped, tmp_path / "fresh"))


@pytest.mark.parametrize("name", ["a.zip", "z.zip"])
def test_records_are_taken_in_when_their_image_has_come(
    tmp_path: Path, shard: Path, zipped: Path, work: Work, name: str
) -> None:
    out = converted(shard, zipped, tmp_path / "out", *OPTIONS)
    counts = dataset.manifest(out)["counts"]
    assert counts["rejected_by_reason"]["image_missing"] == 3
    more = picture_zip(tmp_path / "in" / name, "c")
    work.__init__()  # type: ignore[misc]
    sources = sorted([zipped, more])
    converted(shard, sources, out, *OPTIONS)
    assert work.scanned == []
    assert work.converted == ["c.jpg"]
    assert "image_missing" not in dataset.manifest(out)["counts"]["rejected_by_reason"]
    check(out, fresh(tmp_path, [shard], sources))


def test_a_zip_that_goes_first_replaces_images(tmp_path: Path, shard: Path, zipped: Path) -> None:
    out = converted(shard, zipped, tmp_path / "out", *OPTIONS)
    first = picture_zip(tmp_path / "in" / "first.zip", "a", "c", seed=50)
    sources = [first, zipped]
    converted(shard, sources, out, *OPTIONS)
    check(out, fresh(tmp_path, [shard], sources))
    # And back again: the images of the first are gone, and those of the second made anew.
    converted(shard, zipped, out, *OPTIONS)
    check(out, fresh(tmp_path, [shard], [zipped]))


def test_a_changed_shard_replaces_what_it_gave(
    tmp_path: Path, shard: Path, zipped: Path, work: Work
) -> None:
    other = write_shard(tmp_path / "in" / "o.json", [image_record("o", "a.jpg")])
    out = converted([shard, other], zipped, tmp_path / "out", *OPTIONS)
    write_shard(shard, [image_record("new", "b.jpg"), record("text")])
    work.__init__()  # type: ignore[misc]
    converted([shard, other], zipped, out, *OPTIONS)
    assert work.scanned == ["m.json"]
    assert work.converted == []
    check(out, fresh(tmp_path, [shard, other], [zipped]))
    # A shard that is no more named takes what it gave with it, its images included.
    converted(shard, zipped, out, *OPTIONS)
    check(out, fresh(tmp_path, [shard], [zipped]))
    assert kept_images(out) == {"b"}


def test_a_shard_without_work_results_takes_its_images_with_it_too(
    tmp_path: Path, shard: Path, zipped: Path
) -> None:
    other = write_shard(tmp_path / "in" / "o.json", [image_record("o", "a.jpg")])
    out = converted([shard, other], zipped, tmp_path / "out", *OPTIONS)
    shutil.rmtree(out / "_beam_mat")
    converted(other, zipped, out, *OPTIONS)
    assert kept_images(out) == {"a"}
    check(out, fresh(tmp_path, [other], [zipped]))


def test_growing_does_not_list_the_images(
    tmp_path: Path, shard: Path, zipped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = write_shard(tmp_path / "in" / "o.json", [image_record("o", "a.jpg")])
    out = converted([shard, other], zipped, tmp_path / "out", *OPTIONS)
    find = files.find

    def held(folder: str, *more: Any, **how: Any) -> Any:
        assert folder.rstrip("/") != f"{out}/images"
        return find(folder, *more, **how)

    with monkeypatch.context() as patched:
        patched.setattr(files, "find", held)
        converted(other, zipped, out, *OPTIONS)
    assert kept_images(out) == {"a"}
    check(out, fresh(tmp_path, [other], [zipped]))


def test_an_image_that_is_spoiled_or_gone_now_leaves_no_file(
    tmp_path: Path, shard: Path, zipped: Path
) -> None:
    out = converted(shard, zipped, tmp_path / "out", *OPTIONS)
    assert kept_images(out) == {"a", "b"}
    write_zip(zipped, {"a.jpg": b"no picture"})
    converted(shard, zipped, out, *OPTIONS)
    assert not (out / "images").exists()
    check(out, fresh(tmp_path, [shard], [zipped]))


def test_until_there_is_a_dataset_every_image_stays(
    tmp_path: Path, shard: Path, zipped: Path
) -> None:
    bad = write_shard(tmp_path / "in" / "o.json", [image_record("o", "a.jpg"), 3])
    out = converted([shard, bad], zipped, tmp_path / "out", *OPTIONS)
    ran = run(*convert_words(bad, zipped, out), *OPTIONS, "--max-rejected", "0")
    assert ran.code == 3
    assert kept_images(out) == {"a", "b"}
    converted(bad, zipped, out, *OPTIONS)
    assert kept_images(out) == {"a"}
    check(out, fresh(tmp_path, [bad], [zipped]))


def test_summaries_of_an_earlier_run_are_not_taken_for_a_finished_graph(
    tmp_path: Path, shard: Path, zipped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = write_shard(tmp_path / "in" / "o.json", [image_record("o", "a.jpg")])
    out = converted([shard, other], zipped, tmp_path / "out", *OPTIONS)
    converted(other, zipped, out, *OPTIONS)

    def die(*_: object) -> None:
        raise RuntimeError("the driver died")

    with monkeypatch.context() as patched:
        patched.setattr(beam_mat.convert.driver, "run", die)
        assert run(*convert_words([shard, other], zipped, out), *OPTIONS).code == 1
    ran = run("publish", out)
    assert ran.code == 1
    assert "the job is not finished" in ran.err
    assert not (out / "manifest.json").exists()
    converted([shard, other], zipped, out, *OPTIONS)
    check(out, fresh(tmp_path, [shard, other], [zipped]))


def test_a_zip_that_changed_under_the_job_leaves_nothing_to_publish(
    tmp_path: Path, shard: Path, zipped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, times = zipped.read_bytes(), zipped.stat()
    out = tmp_path / "out"
    collect = conversion.collect

    def change(job: Any) -> Any:
        picture_zip(zipped, "a")
        return collect(job)

    with monkeypatch.context() as patched:
        patched.setattr(conversion, "collect", change)
        ran = run(*convert_words(shard, zipped, out), *OPTIONS)
    assert ran.code == 1
    assert "nothing was published" in ran.err
    zipped.write_bytes(before)
    os.utime(zipped, ns=(times.st_atime_ns, times.st_mtime_ns))
    ran = run("publish", out)
    assert ran.code == 1
    assert "the job is not finished" in ran.err
    converted(shard, zipped, out, *OPTIONS)
    check(out, fresh(tmp_path, [shard], [zipped]))


def test_what_is_there_when_its_log_is_lost_does_not_stay(
    tmp_path: Path, shard: Path, texts: Path, zipped: Path
) -> None:
    out = converted([shard, texts], zipped, tmp_path / "out", *OPTIONS)
    (out / "manifest.json").unlink()
    shutil.rmtree(out / "generations")
    write_shard(shard, [image_record("n", "b.jpg"), record("m")])
    converted(shard, zipped, out, *OPTIONS)
    check(out, fresh(tmp_path, [shard], [zipped]))


def test_what_was_lost_is_made_again(
    tmp_path: Path, shard: Path, texts: Path, zipped: Path, work: Work
) -> None:
    out = converted([shard, texts], zipped, tmp_path / "out", *OPTIONS)
    expected = dataset.tree(out)
    (out / "manifest.json").unlink()
    (out / dataset.image_table(out)["a.jpg"]["file"]).unlink()
    next((out / "parquet").iterdir()).unlink()
    work.__init__()  # type: ignore[misc]
    converted([shard, texts], zipped, out, *OPTIONS)
    assert work.converted == ["a.jpg"]
    check(out, expected)


def test_of_a_job_that_broke_off_only_what_was_not_done_is_done(
    tmp_path: Path, shard: Path, zipped: Path, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = write_shard(tmp_path / "in" / "o.json", [image_record("o", "a.jpg")])
    out = tmp_path / "out"
    write = parts.write_unit

    def second_fails(settings, unit, rows, **how):  # type: ignore[no-untyped-def]
        if work.written:
            raise RuntimeError("broken off")
        return write(settings, unit, rows, **how)

    with monkeypatch.context() as patched:
        patched.setattr(parts, "write_unit", second_fails)
        assert run(*convert_words([shard, other], zipped, out)).code == 1
    (done,) = work.written
    work.__init__()  # type: ignore[misc]
    converted([shard, other], zipped, out)
    assert (work.scanned, work.converted) == ([], [])
    assert len(work.written) == 1
    assert done not in work.written
    fresh = converted([shard, other], zipped, tmp_path / "fresh")
    assert dataset.tree(out) == dataset.tree(fresh)


def break_off(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_graph_that_is_done_is_published_without_it(
    tmp_path: Path, shard: Path, zipped: Path, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    with monkeypatch.context() as patched:
        patched.setattr(Dataset, "commit", break_off)
        assert run(*convert_words(shard, zipped, out), *OPTIONS).code == 130
    work.__init__()  # type: ignore[misc]
    ran = run("publish", out)
    assert ran.code == 0, ran.err
    assert f"Dataset in {out}" in ran.out
    assert vars(work) == vars(Work())
    check(out, fresh(tmp_path, [shard], [zipped]))
    assert run("publish", out).out.startswith("Nothing to do")


def test_a_graph_that_is_not_done_is_not_published(
    tmp_path: Path, shard: Path, zipped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = converted(shard, zipped, tmp_path / "out", *OPTIONS)
    more = picture_zip(tmp_path / "in" / "z.zip", "c")
    with monkeypatch.context() as patched:
        patched.setattr(beam_mat.convert.driver, "run", break_off)
        assert run(*convert_words(shard, [zipped, more], out), *OPTIONS).code == 130
    # Every chunk has a result, of the dataset that was there before.
    ran = run("publish", out)
    assert ran.code == 1
    assert f"{out}: the job is not finished" in ran.err
    assert "run the same beam-mat convert again" in ran.err
    assert not (out / "manifest.json").exists()
    converted(shard, [zipped, more], out, *OPTIONS)
    check(out, fresh(tmp_path, [shard], [zipped, more]))


def test_publish_needs_a_job(tmp_path: Path) -> None:
    ran = run("publish", tmp_path / "nowhere")
    assert ran.code == 2
    assert "there is no dataset here" in ran.err
    assert not (tmp_path / "nowhere").exists()


def test_work_results_of_another_version_are_none(
    tmp_path: Path, shard: Path, texts: Path, zipped: Path
) -> None:
    out = converted([shard, texts], zipped, tmp_path / "out", *OPTIONS)
    expected = dataset.tree(out)
    (out / "manifest.json").unlink()
    for folder in ("shards", "requests", "chunks", "mixes", "summaries"):
        results = list((out / "_beam_mat" / folder).rglob("*.json"))
        assert results
        for result in results:
            result.write_text(json.dumps({"something": "else"}))
    for result in (out / "_beam_mat" / "chunks").iterdir():
        result.write_bytes(result.read_bytes()[:5])
    converted([shard, texts], zipped, out, *OPTIONS)
    check(out, expected)


def test_scratch_is_cleared(tmp_path: Path, shard: Path, zipped: Path) -> None:
    out = converted(shard, zipped, tmp_path / "out", *OPTIONS)
    (out / "manifest.json").unlink()
    write_files(out / "_beam_mat" / "scratch", {"half": b"written"})
    converted(shard, zipped, out, *OPTIONS)
    assert not (out / "_beam_mat" / "scratch").exists()


def test_job_json_holds_no_secret(
    tmp_path: Path, shard: Path, zipped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    secret = '{"s3": {"key": "AKIA0123", "secret": "hush-hush"}}'
    words = [*convert_words(shard, zipped, out), "--storage-options", secret]
    with monkeypatch.context() as patched:
        patched.setattr(Dataset, "commit", break_off)
        assert run(*words).code == 130
    assert (out / "_beam_mat" / "job.json").read_bytes()
    assert run(*words).code == 0
    for file in out.rglob("*"):
        if file.is_file():
            assert b"hush-hush" not in file.read_bytes()


def stamps(output: Path) -> dict[Path, tuple[int, int]]:
    """Inode and time of every file that nothing may change once it is there."""
    folders = ("images", "jsonl", "parquet", "rejects", "generations")
    found = (file for folder in folders for file in output.glob(f"{folder}/**/*"))
    stats = {file: file.stat() for file in found if file.is_file()}
    return {file: (stat.st_ino, stat.st_mtime_ns) for file, stat in stats.items()}


def test_a_rerun_overwrites_nothing_that_is_whole(
    tmp_path: Path, shard: Path, zipped: Path, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where no result says that the images are there."""
    out = tmp_path / "out"

    def fail(*_: object) -> None:
        raise RuntimeError("no result is written")

    with monkeypatch.context() as patched:
        patched.setattr(images, "write_rows", fail)
        assert run(*convert_words(shard, zipped, out)).code == 1
    before = stamps(out)
    assert kept_images(out) <= {"a", "b"}
    assert before
    work.__init__()  # type: ignore[misc]
    converted(shard, zipped, out)
    assert sorted(work.converted) == ["a.jpg", "b.jpg"]
    assert before.items() <= stamps(out).items()


def test_a_job_of_other_inputs_that_broke_off_has_overwritten_nothing(
    tmp_path: Path, shard: Path, zipped: Path, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = converted(shard, zipped, tmp_path / "out", *OPTIONS)
    expected, before = dataset.tree(out), stamps(out)
    # Other pictures of the same names.
    first = picture_zip(tmp_path / "in" / "first.zip", "a", "b", seed=50)
    with monkeypatch.context() as patched:
        patched.setattr(Dataset, "commit", break_off)
        assert run(*convert_words(shard, [first, zipped], out), *OPTIONS).code == 130
    assert before.items() <= stamps(out).items()
    assert len(list((out / "images").iterdir())) == 4
    work.__init__()  # type: ignore[misc]
    converted(shard, zipped, out, *OPTIONS)
    assert work.converted == []
    check(out, expected)
