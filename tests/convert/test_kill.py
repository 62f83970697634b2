"""kill -9 at any moment: the same command again completes, as if nothing had happened."""

from __future__ import annotations

import contextlib
import json
import os
import random
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest

from beam_mat.storage import files, stores
from tests import outputs as dataset
from tests.command import convert_words, spawn
from tests.making import image_record, picture, record, write_shard, write_zip
from tests.processes import end, mark
from tests.runners.test_runners import TWO_PROCESSES
from tests.stands import reach, servers
from tests.warm import Warm, warm

SEED = int(os.environ.get("BEAM_MAT_KILL_SEED", "20260729"))
KILLS = 20
IN_A_ROW = 5
"""Kills before a run is left to complete."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A conversion of many units with every step in it, but for its output."""
    folder = tmp_path_factory.mktemp("kill")
    zips = [
        write_zip(
            folder / f"{z}.zip",
            {f"{z}/{n}.jpg": picture((400, 300 + n), seed=10 * z + n) for n in range(6)},
        )
        for z in range(4)
    ]
    shards = [
        write_shard(
            folder / f"{s}.json",
            [image_record(f"{s}-{n}", f"{n % 5}/{n // 5}.jpg") for n in range(30)]
            + [record(f"t{n}") for n in range(3)]
            + [s],
        )
        for s in range(4)
    ]
    texts = [
        write_shard(folder / f"text-{t}.json", [record(f"x{t}-{n}") for n in range(9)])
        for t in range(2)
    ]
    options = ["--val-fraction", "0.4", "--duplicates", "drop"]
    return [*convert_words([*shards, *texts], zips, Path())[:-2], *options]


class Disk:
    """Output folders on the local disk."""

    options: tuple[str, ...] = ()
    look_seconds = 0.002

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def output(self, number: int) -> str:
        return str(self._folder / f"{number}")

    def count(self, output: str) -> int:
        """Number of files, notes included: how far a run has come."""
        return sum(len(names) for _, _, names in os.walk(output))

    def tree(self, output: str) -> dict[str, bytes]:
        return dataset.tree(Path(output))

    def stamps(self, output: str) -> dict[str, object]:
        """What changes when an image is written again, for each that is whole: inode and time."""
        found = {str(file): file.stat() for file in Path(output).glob("images/**/*.jpg")}
        return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in found.items()}


class Bucket:
    """Output folders on an emulator of Google's store. The package is told of it.

    Each is a bucket of its own, since the emulator goes through all of a bucket for a listing.
    """

    look_seconds = 0.05

    def __init__(self, url: str) -> None:
        options = reach.google(url)
        self.options = ("--storage-options", json.dumps(options))
        stores.use(options)
        self._url = url
        self._name = f"kill-{uuid.uuid4().hex[:12]}"

    def output(self, number: int) -> str:
        servers.google_bucket(self._url, f"{self._name}-{number}")
        return f"gs://{self._name}-{number}/out"

    def count(self, output: str) -> int:
        """As of a disk."""
        return len(files.find(output))

    def tree(self, output: str) -> dict[str, bytes]:
        found = [pair for pair in files.find(output) if not pair[0].startswith("_beam_mat/")]
        data = files.read_each(file.uri for _, file in found)
        tree = dict(zip((name for name, _ in found), data, strict=True))
        return dataset.content(tree)

    def stamps(self, output: str) -> dict[str, object]:
        """As on a disk: the store's generation of each image."""
        return {name: file.version for name, file in files.find(f"{output}/images")}


@pytest.fixture
def bucket(request: pytest.FixtureRequest) -> Iterator[Bucket]:
    yield Bucket(request.getfixturevalue("google"))
    stores.use({})


@pytest.fixture(scope="module")
def undisturbed(words: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an undisturbed run writes."""
    output = tmp_path_factory.mktemp("undisturbed") / "out"
    ran = spawn(*words, "--output", output)
    assert ran.code == 0, ran.err
    return output


@pytest.fixture(scope="module")
def programs() -> Iterator[Warm]:
    with warm() as started:
        yield started


def killed(
    process: psutil.Process, reached: Callable[[], bool], look_seconds: float, *, worker: bool
) -> bool:
    """Kills a command, or one of its workers, when `reached` says so.

    Args:
        process: The command.
        reached: Looks how far it has come.
        look_seconds: Between two looks.
        worker: Whether a worker is killed.

    Returns:
        Whether it was killed, and did not end before.
    """
    while process.is_running() and not reached():
        time.sleep(look_seconds)
    try:
        victim = process
        if worker:
            victim = max(process.children(recursive=True), key=lambda one: one.pid, default=victim)
        victim.kill()
    except psutil.NoSuchProcess:
        return False
    # Whoever loses a worker ends, whatever the moment.
    process.wait(60)
    return True


def check_nothing_is_half_written(found: dict[str, bytes], expected: dict[str, bytes]) -> None:
    for name, data in found.items():
        if name.startswith("images/"):
            assert data == expected[name], f"{name} is not whole"
        if name.endswith(".jsonl"):
            assert all(json.loads(line) for line in data.splitlines())
    if "manifest.json" in found:
        assert found == expected


@pytest.mark.parametrize(
    "place", ["disk", pytest.param("bucket", marks=pytest.mark.stands, id="on Google's store")]
)
@pytest.mark.parametrize(
    ("runner", "worker"),
    [
        pytest.param("FnApiRunner", False, id="in process"),
        pytest.param("FnApiRunner", True, id="a worker of two"),
        pytest.param("PrismRunner", False, id="on Prism", marks=pytest.mark.prism),
        pytest.param("PrismRunner", True, id="Prism itself", marks=pytest.mark.prism),
    ],
)
def test_a_kill_at_any_moment_changes_nothing(
    words: list[str],
    undisturbed: Path,
    programs: Warm,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    place: str,
    runner: str,
    worker: bool,
) -> None:
    expected = dataset.tree(undisturbed)
    disk = Disk(tmp_path)
    whole = disk.count(str(undisturbed))
    at_work: Disk | Bucket = disk
    if place == "bucket":
        if worker:
            pytest.skip("what a worker leaves does not depend on the store")
        at_work = request.getfixturevalue("bucket")
    chance = random.Random(f"{SEED} {place} {runner} {worker}")
    sys.stdout.write(f"BEAM_MAT_KILL_SEED={SEED}\n")  # shown when it fails
    options = ["--runner", runner, *at_work.options]
    if runner == "PrismRunner":
        options += ["--prism_location", str(request.getfixturevalue("prism"))]
    elif worker:
        options += TWO_PROCESSES
    kills = number = 0
    while kills < (KILLS // 4 if worker else KILLS):
        number += 1
        output = at_work.output(number)
        command = [*words, *options, "--output", output]
        for _ in range(IN_A_ROW):
            # Along the way of a run, and now and then a little later: a file that is written again
            # does not count again.
            at = max(chance.randint(0, whole), at_work.count(output))
            due = Due(at, chance.choice((0.0, 0.0, 0.2)), partial(at_work.count, output))
            marked = mark()
            process = programs.start(command, marked)
            try:
                if not killed(process, due, at_work.look_seconds, worker=worker):
                    break
            finally:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
                end(marked)
            kills += 1
            check_nothing_is_half_written(at_work.tree(output), expected)
        before = at_work.stamps(output)
        ran = spawn(*command)
        assert ran.code == 0, ran.err
        assert before.items() <= at_work.stamps(output).items(), "an image was written again"
        found = at_work.tree(output)
        assert found.keys() == expected.keys()
        assert [name for name in found if found[name] != expected[name]] == []


class Due:
    """Whether a run has come as far as to `at` files, and `later` seconds have passed since."""

    def __init__(self, at: int, later: float, count: Callable[[], int]) -> None:
        self._at = at
        self._later = later
        self._count = count
        self._since: float | None = None

    def __call__(self) -> bool:
        if self._since is None and self._count() >= self._at:
            self._since = time.monotonic()
        return self._since is not None and time.monotonic() >= self._since + self._later
