"""The same input gives the same bytes on every runner, and no worker outlives the command."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from beam_mat.sample import SampleSummary, write_sample
from tests import outputs as dataset
from tests.command import convert_words, run, spawn
from tests.making import image_record, picture, record, write_files, write_shard, write_zip
from tests.processes import mark, survivors

TWO_PROCESSES = ("--direct_num_workers", "2", "--direct_running_mode", "multi_processing")


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A conversion with every step in it, but for its output: faults, duplicates, mixing."""
    made = write_sample(tmp_path_factory.mktemp("runners") / "set", shards=3, faults=True)
    texts = [
        write_shard(
            made.image_zip.parent / f"text-{n}.json", [record(f"{n}-{m}") for m in range(9)]
        )
        for n in range(4)
    ]
    options = ["--val-fraction", "0.4", "--duplicates", "drop"]
    return [*convert_words([*made.shards, *texts], made.image_zip, Path())[:-2], *options]


@pytest.fixture(scope="module")
def in_process(words: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    output = tmp_path_factory.mktemp("in-process") / "out"
    ran = spawn(*words, "--output", output)
    assert ran.code == 0, ran.err
    assert "in this process" in ran.out
    parts = dataset.manifest(output)["parts"]
    mixed = re.compile(r"-[0-9a-f]{16}-\d{4}\.jsonl")
    assert any(mixed.search(part["path"]) for part in parts), "no mixing"
    return dataset.tree(output)


def check(words: list[str], output: Path, expected: dict[str, bytes]) -> None:
    marked = mark()
    ran = spawn(*words, "--output", output, environment=marked)
    assert ran.code == 0, ran.err
    found = dataset.tree(output)
    assert found.keys() == expected.keys()
    assert [name for name in found if found[name] != expected[name]] == []
    assert survivors(marked) == []


@pytest.mark.slow
def test_two_worker_processes(
    words: list[str], in_process: dict[str, bytes], tmp_path: Path
) -> None:
    check([*words, *TWO_PROCESSES], tmp_path / "out", in_process)


@pytest.mark.slow
def test_two_worker_threads(words: list[str], in_process: dict[str, bytes], tmp_path: Path) -> None:
    options = ["--direct_num_workers", "2", "--direct_running_mode", "multi_threading"]
    check([*words, *options], tmp_path / "out", in_process)


@pytest.mark.prism
@pytest.mark.parametrize("runner", ["PrismRunner", "DirectRunner"])
def test_prism(
    words: list[str], in_process: dict[str, bytes], prism: Path, tmp_path: Path, runner: str
) -> None:
    options = ["--runner", runner, "--prism_location", str(prism)]
    check([*words, *options], tmp_path / "out", in_process)


@pytest.fixture
def missing(tmp_path: Path) -> list[str]:
    """Arguments of a conversion with missing images, most of which have a near member."""
    paths = [f"g/e{at % 40}/{at}.jpg" for at in range(200)]
    shard = write_shard(tmp_path / "m.json", [image_record(path, path) for path in paths])
    members = dict.fromkeys((f"d/{path}" for path in paths[::2]), b"x")
    folder = write_files(tmp_path / "folder", {"g/e1/1.PNG": b"x", "g/e0/0.jpg": picture()})
    write_zip(folder / "inside.zip", {"g/e3/3.jpg": b"x"})
    return convert_words(shard, [write_zip(tmp_path / "m.zip", members), folder], tmp_path)[:-2]


@pytest.mark.slow
def test_nearest_members_with_two_processes(missing: list[str], tmp_path: Path) -> None:
    here = run(*missing, "--output", tmp_path / "here")
    check([*missing, *TWO_PROCESSES], tmp_path / "out", dataset.tree(tmp_path / "here"))
    assert "  99 images below g/: m.zip has them below d/g/: --rewrite g/=d/g/" in here.out
    assert "1 image, g/e3/3.jpg: inside.zip, which is in a folder of --images" in here.out


@pytest.mark.prism
def test_nearest_members_on_prism(missing: list[str], prism: Path, tmp_path: Path) -> None:
    assert run(*missing, "--output", tmp_path / "here").code == 0
    options = ["--runner", "PrismRunner", "--prism_location", str(prism)]
    check([*missing, *options], tmp_path / "out", dataset.tree(tmp_path / "here"))
    told = [run(*missing, "--dry-run", *more) for more in ((), options)]
    assert [ran.code for ran in told] == [0, 0]
    first, second = (ran.out.partition("\n")[2] for ran in told)
    assert first == second


@pytest.fixture
def bad_zip(tmp_path: Path, made_up: SampleSummary) -> Path:
    """A zip whose fault shows only when a worker reads it."""
    path = tmp_path / "bad.zip"
    path.write_bytes(made_up.image_zip.read_bytes().replace(b"PK\1\2", b"PK\0\0"))
    return path


def check_failure(made_up: SampleSummary, bad_zip: Path, output: Path, *options: object) -> None:
    marked = mark()
    ran = spawn(*convert_words(made_up.shards, bad_zip, output), *options, environment=marked)
    assert ran.code == 1
    # Runners log to standard error what befalls their workers; one line is ours.
    (said,) = [line for line in ran.err.splitlines() if line.startswith("beam-mat: ")]
    assert said.startswith(f"beam-mat: {bad_zip}: the zip cannot be read")
    assert said.endswith("; download or pack it again")
    assert survivors(marked) == []


@pytest.mark.slow
def test_a_worker_process_that_fails_names_the_cause(
    made_up: SampleSummary, bad_zip: Path, tmp_path: Path
) -> None:
    check_failure(made_up, bad_zip, tmp_path / "out", *TWO_PROCESSES)


@pytest.mark.prism
def test_a_worker_of_prism_that_fails_names_the_cause(
    made_up: SampleSummary, bad_zip: Path, prism: Path, tmp_path: Path
) -> None:
    options = ("--runner", "PrismRunner", "--prism_location", prism)
    check_failure(made_up, bad_zip, tmp_path / "out", *options)


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["--runner", "DirectRunner"]])
def test_without_a_place_to_take_prism_from_nothing_is_downloaded(
    made_up: SampleSummary, tmp_path: Path, options: list[str]
) -> None:
    # Beam keeps what it downloads below the home folder.
    home = tmp_path / "home"
    home.mkdir()
    words = convert_words(made_up.shards, made_up.image_zip, tmp_path / "out")
    ran = spawn(*words, *options, environment={"HOME": str(home)})
    assert ran.code == 0
    assert "in this process" in ran.out
    assert list(home.iterdir()) == []


@pytest.mark.prism
def test_prism_is_of_the_version_of_beam(prism: Path) -> None:
    import apache_beam

    said = subprocess.run([prism, "--help"], capture_output=True, text=True, check=False).stderr
    assert "job_port" in said
    version = prism.with_name("version")
    assert not version.exists() or version.read_text().strip() == apache_beam.__version__
