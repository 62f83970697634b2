"""What goes wrong around a job: one clear error, nothing published, and the next run works."""

from __future__ import annotations

import ctypes
import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import beam_mat.convert.driver
from beam_mat.runners.run import run as real_run
from tests import outputs as dataset
from tests.command import PROGRAM, ROOT, Ran, convert_words, converted, run
from tests.making import image_record, picture, record, write_files, write_shard, write_zip

pytestmark = pytest.mark.slow


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    records = [image_record(f"{n}", f"{n % 4}.jpg") for n in range(8)]
    return write_shard(tmp_path / "in" / "m.json", [*records, record("t")])


@pytest.fixture
def zipped(tmp_path: Path) -> Path:
    members = {f"{n}.jpg": picture((600, 500), seed=n) for n in range(4)}
    return write_zip(tmp_path / "in" / "m.zip", members)


def check_error(ran: Ran, output: Path, pattern: str) -> None:
    """One line, and no dataset."""
    assert ran.code == 1, ran.err
    (said,) = [line for line in ran.err.splitlines() if line.startswith("beam-mat: ")]
    assert re.fullmatch(f"beam-mat: {pattern}", said), said
    assert "Traceback" not in ran.err
    assert not (output / "manifest.json").exists()


def limited(words: list[str], **limits: object) -> Ran:
    """Runs the command as a program under limits of the system."""
    ended = subprocess.run(
        [*PROGRAM, *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        **limits,  # type: ignore[call-overload]
    )
    return Ran(ended.returncode, ended.stdout, ended.stderr)


def test_a_file_that_cannot_grow(tmp_path: Path, shard: Path, zipped: Path) -> None:
    """As a full disk looks to a process, and without one."""
    out = tmp_path / "out"
    largest = max(
        path.stat().st_size
        for path in converted(shard, zipped, tmp_path / "fresh").rglob("*.parquet")
    )

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest - 1, largest - 1))

    ran = limited(convert_words(shard, zipped, out), preexec_fn=limit)
    check_error(
        ran,
        out,
        rf"{out}/parquet/train-m-.*\.parquet: the file is larger than this process may write "
        r"\(File too large\); fix this and run the same command again; it resumes from here",
    )
    assert list((out / "_beam_mat" / "scratch").iterdir()) == []
    converted(shard, zipped, out)
    assert dataset.tree(out) == dataset.tree(tmp_path / "fresh")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_full_disk(tmp_path: Path, shard: Path, zipped: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=100k", "none", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        check_error(
            limited(convert_words(shard, zipped, disk / "out")),
            disk / "out",
            rf"{disk}/out/.*: the disk is full \(No space left on device\); fix this .*",
        )
        subprocess.run(["mount", "-o", "remount,size=50m", disk], check=True)
        converted(shard, zipped, disk / "out")
        expected = dataset.tree(converted(shard, zipped, tmp_path / "fresh"))
        assert dataset.tree(disk / "out") == expected
    finally:
        subprocess.run(["umount", disk], check=True)


def obey_permissions() -> None:
    """Takes root's right to write everywhere from a process to be started."""
    bounding_set_drop, dac_override = 24, 1
    ctypes.CDLL(None).prctl(bounding_set_drop, dac_override, 0, 0, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="root cannot be kept off elsewhere")
@pytest.mark.parametrize("place", ["", "images", "_beam_mat", "_beam_mat/chunks"])
def test_a_folder_without_permission(tmp_path: Path, shard: Path, zipped: Path, place: str) -> None:
    out = tmp_path / "out"
    folder = out / place
    folder.mkdir(parents=True)
    (out / "_beam_mat").mkdir(exist_ok=True)
    folder.chmod(0o555)
    words = convert_words(shard, zipped, out)
    ran = limited(words, preexec_fn=obey_permissions)
    check_error(ran, out, rf"{folder}.*: there is no permission \(Permission denied\); fix this .*")
    folder.chmod(0o755)
    ran = limited(words, preexec_fn=obey_permissions)
    assert ran.code == 0, ran.err
    assert dataset.tree(out) == dataset.tree(converted(shard, zipped, tmp_path / "fresh"))


def after_the_graph(monkeypatch: pytest.MonkeyPatch, do: Callable[[], object]) -> None:
    def run_and_do(*given: object) -> object:
        spent = real_run(*given)  # type: ignore[arg-type]
        do()
        return spent

    monkeypatch.setattr(beam_mat.convert.driver, "run", run_and_do)


def before_the_graph(monkeypatch: pytest.MonkeyPatch, do: Callable[[], object]) -> None:
    def do_and_run(*given: object) -> object:
        do()
        return real_run(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(beam_mat.convert.driver, "run", do_and_run)


@pytest.mark.parametrize("when", [before_the_graph, after_the_graph])
@pytest.mark.parametrize("what", ["shard", "zip", "folder"])
@pytest.mark.parametrize("how", ["changed", "gone"])
def test_an_input_that_changes_under_the_job(
    tmp_path: Path,
    shard: Path,
    zipped: Path,
    monkeypatch: pytest.MonkeyPatch,
    when: Callable[[pytest.MonkeyPatch, Callable[[], object]], None],
    what: str,
    how: str,
) -> None:
    folder = write_files(tmp_path / "in" / "folder", {"9.jpg": picture(seed=9)})
    place = {"shard": shard, "zip": zipped, "folder": folder}[what]
    aside = tmp_path / "aside"

    def change() -> None:
        if how == "gone":
            place.rename(aside)
        elif what == "shard":
            write_shard(shard, [image_record("new", "0.jpg"), image_record("9", "9.jpg")])
        elif what == "zip":
            write_zip(zipped, {f"{n}.jpg": picture((600, 500), seed=n + 9) for n in range(4)})
        else:
            write_files(folder, {"8.jpg": picture(seed=8)})

    words = convert_words(shard, [zipped, folder], tmp_path / "out")
    with monkeypatch.context() as patched:
        when(patched, change)
        ran = run(*words)
    told = (
        "existed when the job began, but no longer exists" if how == "gone" else r"changed while .*"
    )
    again = "nothing was published: run the same command again"
    check_error(ran, tmp_path / "out", rf"{place}: {told}; {again}")
    if how == "gone":
        aside.rename(place)
    assert run(*words).code == 0
    fresh = converted(shard, [zipped, folder], tmp_path / "fresh")
    assert dataset.tree(tmp_path / "out") == dataset.tree(fresh)


def test_what_was_noted_of_a_changed_input_is_not_believed(
    tmp_path: Path, shard: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The input comes back as it was, to the byte and to the time."""
    folder = write_files(
        tmp_path / "in" / "folder", {f"{n}.jpg": picture((600, 500), seed=n) for n in range(4)}
    )
    copy = shutil.copytree(folder, tmp_path / "copy")
    words = convert_words(shard, folder, tmp_path / "out")

    def change() -> None:
        for n in range(4):
            (folder / f"{n}.jpg").write_bytes(picture((600, 500), seed=n + 9))

    for when in (before_the_graph, after_the_graph):
        with monkeypatch.context() as patched:
            when(patched, change)
            assert run(*words).code == 1
        shutil.rmtree(folder)
        shutil.copytree(copy, folder)
    assert run(*words).code == 0
    fresh = converted(shard, folder, tmp_path / "fresh")
    assert dataset.tree(tmp_path / "out") == dataset.tree(fresh)


def test_a_part_s_folder_that_is_a_file(tmp_path: Path, shard: Path, zipped: Path) -> None:
    out = tmp_path / "out"
    (out / "_beam_mat").mkdir(parents=True)
    (out / "jsonl").write_text("in the way")
    ran = run(*convert_words(shard, zipped, out))
    assert ran.code == 1
    assert f"{out}/jsonl" in ran.err
    assert not (out / "manifest.json").exists()
    (out / "jsonl").unlink()
    converted(shard, zipped, out)
    assert dataset.tree(out) == dataset.tree(converted(shard, zipped, tmp_path / "fresh"))
