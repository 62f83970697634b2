"""`beam-mat watch` as a program of its own, on Prism."""

from __future__ import annotations

import gzip
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psutil
import pytest

from tests import outputs as dataset
from tests.command import ROOT, convert_words, converted, run, spawn
from tests.crashing import pictures as crashing
from tests.making import image_record, picture, record, write_shard, write_zip
from tests.watch.soak import Watch, check, flat, union

pytestmark = [pytest.mark.slow, pytest.mark.prism]

PATIENCE = 180.0
COUNTS = ("records", "accepted", "rejected")


def wait_for(what: Callable[[], bool], watch: Watch, why: str) -> None:
    """Waits until something is so; no test depends on how long that takes."""
    give_up = time.monotonic() + PATIENCE
    while not what():
        assert watch.process.poll() is None, watch.errors()
        assert time.monotonic() < give_up, f"{why}: {watch.errors()}"
        time.sleep(0.1)


class Site:
    """A folder where files arrive, and the dataset beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.output = folder / "out"
        self.arriving = folder / "in"
        self.arriving.mkdir()

    def land_shard(self, name: str, *records: object) -> None:
        write_shard(self.folder / "partial", records).replace(self.arriving / name)

    def land_zip(self, name: str, **members: bytes) -> None:
        packed = {f"{path}.jpg": data for path, data in members.items()}
        write_zip(self.folder / "partial", packed).replace(self.arriving / name)

    def written(self) -> bool:
        """Whether a chunk is written."""
        return any(self.output.glob("_beam_mat/chunks/*.json"))

    def committed(self, name: str, accepted: int) -> bool:
        """Whether a shard is in the dataset with so many rows."""
        last = {
            Path(entry["uri"]).name: entry["accepted"]
            for generation in dataset.commits(self.output)
            for entry in generation["shards"]["added"]
        }
        return last.get(name) == accepted


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def started(site: Site, prism: Path) -> Iterator[Callable[..., Watch]]:
    """Starts watches, and ends them with the test."""
    made: list[Watch] = []

    def start(
        *options: str, window: str = "1s", environment: Mapping[str, str] | None = None
    ) -> Watch:
        made.append(Watch(site.folder, prism, window, *options, environment=environment))
        return made[-1]

    yield start
    for watch in made:
        watch.end()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def metric(port: int, name: str) -> float:
    _, text = get(port, "/metrics")
    (line,) = (line for line in text.splitlines() if line.startswith(f"{name} "))
    return float(line.split()[1])


def shows_what_is_there(port: int, site: Site) -> bool:
    """Whether the metrics say what the manifest and the log say, while all stand still."""
    there = dataset.manifest(site.output)
    shown = {f"beam_mat_dataset_{name}": there["counts"][name] for name in COUNTS}
    shown["beam_mat_watch_generation"] = there["generation"]
    return all(metric(port, name) == value for name, value in shown.items()) and (
        len(dataset.commits(site.output)) == there["generation"]
    )


def test_shards_as_people_have_them(site: Site, started: Callable[..., Watch]) -> None:
    port = free_port()
    (site.arriving / "page.json").write_bytes(b"<!doctype html><html>")
    (site.arriving / "._a.json").write_bytes(b"\0\5\x16\7")
    write_shard(site.arriving / os.fsdecode(b"\xff.json"), [record("n")])
    write_shard(site.arriving / "x::y.json", [record("x")])
    watch = started("--metrics-port", str(port))
    packed = gzip.compress(json.dumps([record(f"a{n}") for n in range(5)]).encode())
    (site.arriving / "a.json").write_bytes(packed)
    (site.arriving / "cut.json").write_bytes(gzip.compress(b'[{"id": ') + packed[:20])
    wrapped = {"info": {}, "data": [record("b"), 5]}
    (site.arriving / "b.json").write_bytes(json.dumps(wrapped, indent=1).encode())
    wait_for(lambda: site.committed("a.json", 5), watch, "a compressed shard")
    wait_for(lambda: site.committed("b.json", 1), watch, "the list in an object")
    wait_for(lambda: site.committed("x::y.json", 1), watch, "a name with two colons")
    wait_for(lambda: site.committed("cut.json", 0), watch, "a shard that breaks off")
    wait_for(lambda: metric(port, "beam_mat_watch_unreadable") == 1, watch, "a page")
    wait_for(lambda: metric(port, "beam_mat_watch_waiting") == 0, watch, "it is not waited for")
    assert "page.json: the file is a web page" in watch.errors()
    assert watch.errors().count("\\udcff.json: its name is not UTF-8; the file is left out") == 1
    write_shard(site.arriving / "page.json", [record("c")])
    wait_for(lambda: site.committed("page.json", 1), watch, "the right file")
    wait_for(lambda: metric(port, "beam_mat_watch_unreadable") == 0, watch, "none unreadable")
    assert watch.stop() == 0
    told = [json.loads(line) for line in watch.log.read_text().splitlines()]
    assert {Path(uri).name for one in told for uri in one["broken_shards"]} == {"cut.json"}
    assert "._a.json" not in watch.errors()
    assert not list(site.output.glob("_beam_mat/unpacked/*"))


def test_a_day_of_a_watch(site: Site, started: Callable[..., Watch]) -> None:
    port = free_port()
    # Beam waits so long for its job, if it is not kept from that.
    limit = ("--job_server_timeout", "5")
    watch = started("--image-wait", "2s", "--metrics-port", str(port), *limit)

    # A record before its image: rejected when it has waited, and taken in when the image comes.
    site.land_shard("a.json", image_record("a", "a.jpg"), record("text"))
    wait_for(lambda: site.committed("a.json", 1), watch, "rejected for want of an image")
    assert [reject["reason"] for reject in dataset.rejects(site.output)] == ["image_missing"]
    site.land_zip("a.zip", a=picture(seed=1), b=picture(seed=2))
    # The folder follows the log.
    wait_for(
        lambda: site.committed("a.json", 2) and dataset.rejects(site.output) == [],
        watch,
        "taken in again",
    )

    # An image before its record, and one image for two shards.
    site.land_shard("b.json", image_record("b", "b.jpg"), image_record("b2", "a.jpg"))
    wait_for(lambda: site.committed("b.json", 2), watch, "an image that was there")

    # The same name with other content is a new version.
    site.land_shard("b.json", image_record("b3", "b.jpg"))
    wait_for(lambda: site.committed("b.json", 1), watch, "a new version")
    assert sorted(row["id"] for row in dataset.rows(site.output)) == ["a", "b3", "text"]

    # A zip that breaks off harms nobody, and is read when it is whole.
    whole = write_zip(site.folder / "whole", {"c.jpg": picture(seed=3)}).read_bytes()
    (site.arriving / "c.zip").write_bytes(whole[:-30])
    wait_for(lambda: metric(port, "beam_mat_watch_unreadable") == 1, watch, "an unreadable zip")
    (site.arriving / "c.zip").write_bytes(whole)
    site.land_shard("c.json", image_record("c", "c.jpg"), 5)
    wait_for(lambda: site.committed("c.json", 1), watch, "the whole zip")
    wait_for(lambda: metric(port, "beam_mat_watch_unreadable") == 0, watch, "none unreadable")

    # What is shown is what is there.
    wait_for(lambda: shows_what_is_there(port, site), watch, "the metrics")
    assert get(port, "/healthz") == (200, "well\n")

    # One watch at a time, and no conversion beside it.
    refused = spawn(*words(site), "--prism_location", "/nowhere")
    assert refused.code == 1
    assert "is writing here" in refused.err

    assert watch.stop() == 0
    told = [json.loads(line) for line in watch.log.read_text().splitlines()]
    assert [one["generation"] for one in told] == list(range(1, len(told) + 1))
    assert {Path(uri).name for one in told for uri in one["new_versions_of"]} == {"b.json"}
    assert {Path(uri).name for one in told for uri in one["taken_in_again"]} == {"a.json"}
    assert "Traceback" not in watch.errors()

    # Any generation can still be read, with what the later ones have replaced.
    for number, generation in enumerate(dataset.commits(site.output), 1):
        rows, rejects = union(site.output, number)
        assert sum(rows.values()) == generation["counts"]["accepted"]
        assert sum(rejects.values()) == generation["counts"]["rejected"]
    check(site.folder)

    # The next run does nothing again, whatever its window.
    before = {file: file.stat().st_mtime_ns for file in (site.output / "jsonl").iterdir()}
    again = started("--stop-when-idle", "1s", window="3s")
    assert again.process.wait(PATIENCE) == 0
    assert len(dataset.commits(site.output)) == len(told)
    assert {file: file.stat().st_mtime_ns for file in before} == before

    # A conversion of the same goes over it once, and changes no row.
    rows, rejects = flat(site.output)
    shards, images = sorted(site.arriving.glob("*.json")), sorted(site.arriving.glob("*.zip"))
    converted(shards, images, site.output)
    assert flat(site.output) == (rows, rejects)
    assert run(*convert_words(shards, images, site.output)).out.startswith("Nothing to do")


def test_a_crash_of_a_decoder_costs_one_image(site: Site, started: Callable[..., Watch]) -> None:
    shard, archive = crashing.write_inputs(site.folder, *crashing.CRASHES)
    archive.replace(site.arriving / archive.name)
    shard.replace(site.arriving / shard.name)
    watch = started("--stop-when-idle", "2s", environment=crashing.ENVIRONMENT)
    assert watch.process.wait(PATIENCE) == 0, watch.errors()
    crashing.check(site.output, *crashing.CRASHES)
    assert watch.survivors() == []


def words(site: Site) -> list[str]:
    return [
        "watch",
        *("--json", f"{site.arriving}/*.json", "--images", f"{site.arriving}/*.zip"),
        *("--output", str(site.output)),
    ]


def test_a_conversions_dataset_is_gone_on_from_and_back(
    site: Site, started: Callable[..., Watch]
) -> None:
    site.land_zip("a.zip", a=picture(seed=1))
    site.land_shard("a.json", image_record("a", "a.jpg"), image_record("later", "b.jpg"))
    site.land_shard("t.json", *(record(f"t{number}") for number in range(3)))
    both = [site.arriving / "a.json", site.arriving / "t.json"]
    converted(both, site.arriving / "a.zip", site.output)
    before = dataset.tree(site.output)

    site.land_zip("b.zip", b=picture(seed=2))
    site.land_shard("b.json", image_record("b", "b.jpg"))
    watch = started("--stop-when-idle", "2s", "--image-wait", "2s")
    assert watch.process.wait(PATIENCE) == 0, watch.errors()
    assert len(dataset.commits(site.output)[0]["shards"]["added"]) == 2
    rows, _ = union(site.output, 1)
    assert sum(rows.values()) == sum(
        data.count(b"\n") for name, data in before.items() if name.startswith("jsonl/")
    )
    check(site.folder)

    # A conversion with more gives what it gives in an empty folder; older generations stay whole.
    site.land_shard("z.json", image_record("z", "a.jpg"))
    shards, zips = sorted(site.arriving.glob("*.json")), sorted(site.arriving.glob("*.zip"))
    converted(shards, zips, site.output)
    fresh = converted(shards, zips, site.folder / "fresh")
    assert flat(site.output) == flat(fresh)
    last = len(dataset.commits(site.output))
    found, expected = dataset.manifest(site.output), dataset.manifest(fresh)
    assert (found.pop("generation"), expected.pop("generation")) == (last, 1)
    assert found == expected
    assert union(site.output) == flat(fresh)
    assert sum(union(site.output, last - 1)[0].values()) == 6
    watch = started("--stop-when-idle", "1s")
    assert watch.process.wait(PATIENCE) == 0, watch.errors()
    assert len(dataset.commits(site.output)) == last


def test_a_zip_that_counts_more_is_taken_from_though_it_came_while_no_watch_ran(
    site: Site, started: Callable[..., Watch]
) -> None:
    site.land_zip("m.zip", i=picture(seed=1))
    site.land_shard("s.json", image_record("1", "i.jpg"))
    assert started("--stop-when-idle", "1s").process.wait(PATIENCE) == 0
    site.land_zip("a.zip", i=picture(seed=2))
    assert started("--stop-when-idle", "2s").process.wait(PATIENCE) == 0
    check(site.folder)
    batch, output = site.folder / "batch", site.output
    assert dataset.parquet_rows(output) == dataset.parquet_rows(batch)
    assert dataset.images(output) == dataset.images(batch)


def test_a_second_signal_ends_at_once_and_loses_nothing(
    site: Site, started: Callable[..., Watch]
) -> None:
    # Nothing is committed for an hour but by an end in good order.
    watch = started(window="3600s")
    site.land_shard("a.json", record("a"))
    wait_for(site.written, watch, "a chunk")
    watch.process.send_signal(signal.SIGINT)
    watch.process.send_signal(signal.SIGINT)
    code = watch.process.wait(PATIENCE)
    if code == 0:  # it was through with the first before the second came
        assert site.committed("a.json", 1)
    else:
        assert code == 130
    watch = started("--stop-when-idle", "1s")
    assert watch.process.wait(PATIENCE) == 0
    assert [row["id"] for row in dataset.rows(site.output)] == ["a"]


def test_an_end_in_good_order_waits_for_no_window(
    site: Site, started: Callable[..., Watch]
) -> None:
    watch = started(window="3600s")
    site.land_shard("a.json", record("a"))
    wait_for(site.written, watch, "a chunk")
    assert watch.stop() == 0
    assert site.committed("a.json", 1)


def test_prisms_death_ends_the_watch_with_a_sentence(
    site: Site, started: Callable[..., Watch]
) -> None:
    watch = started()
    site.land_shard("a.json", record("a"))
    wait_for(lambda: site.committed("a.json", 1), watch, "a generation")
    watch.kill(runner=True)
    assert watch.process.returncode == 1
    assert "run the same command again, which resumes" in watch.errors()
    assert "Traceback" not in watch.errors()


def test_a_workers_death_loses_nothing(
    site: Site, started: Callable[..., Watch], tmp_path: Path
) -> None:
    port = free_port()
    pool = subprocess.Popen(
        [
            *(sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main"),
            *("--service_port", str(port)),
        ],
        # The pool starts a worker by the name of python.
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        watch = started(
            *("--environment_type", "EXTERNAL", "--environment_config", f"localhost:{port}")
        )
        site.land_shard("a.json", record("a"))
        wait_for(lambda: site.committed("a.json", 1), watch, "a generation")
        site.land_shard("b.json", record("b"), image_record("b2", "b.jpg"))
        for worker in psutil.Process(pool.pid).children(recursive=True):
            worker.kill()
        # At most moments Prism notices, and at others the watch does, some minutes later.
        try:
            assert watch.process.wait(20) == 1
        except subprocess.TimeoutExpired:
            watch.kill(runner=False)
    finally:
        for process in [*psutil.Process(pool.pid).children(recursive=True), pool]:
            process.kill()
        pool.wait(10)
    site.land_zip("b.zip", b=picture(seed=1))
    watch = started("--stop-when-idle", "1s")
    assert watch.process.wait(PATIENCE) == 0, watch.errors()
    check(site.folder)


@pytest.mark.skipif(not hasattr(psutil.Process, "rlimit"), reason="limits are set on Linux alone")
def test_a_full_disk_is_one_sentence_and_what_is_left_is_gone_on_from(
    site: Site,
    prism: Path,
) -> None:
    site.land_zip("a.zip", a=picture((640, 400), seed=1))
    site.land_shard("a.json", image_record("a", "a.jpg"))
    for largest, code in ((8 << 10, 1), (None, 0)):
        watch = Watch(site.folder, prism, "1s", "--stop-when-idle", "1s", largest=largest)
        try:
            assert watch.process.wait(PATIENCE) == code
        finally:
            watch.end()
        if largest:
            assert "Traceback" not in watch.errors()
            last = watch.errors().splitlines()[-1]
            assert last.startswith(f"beam-mat: {site.output}/")
            assert "may write" in last
            assert dataset.commits(site.output) == []
    check(site.folder)


def test_nothing_is_left_over(site: Site, started: Callable[..., Watch]) -> None:
    watch = started("--stop-when-idle", "1s")
    site.land_shard("a.json", record("a"))
    assert watch.process.wait(PATIENCE) == 0
    assert watch.survivors() == []
    assert not (site.output / "_beam_mat" / "scratch").exists() or not os.listdir(
        site.output / "_beam_mat" / "scratch"
    )
