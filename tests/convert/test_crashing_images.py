"""A picture that crashes its decoder, or keeps it busy, costs its records and nothing else.

The decoder misbehaves if the file orders it: see tests/crashing.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from beam_mat.convert import driver
from beam_mat.work import images
from beam_mat.work.worker import Limits
from beam_mat.work.workers import Workers
from tests import outputs
from tests.command import PROGRAM, ROOT, convert_words, converted, run, spawn
from tests.crashing.pictures import (
    CRASHES,
    CRASHING,
    ENVIRONMENT,
    GOOD,
    bad,
    check,
    faults,
    write_inputs,
)
from tests.making import image_record, picture, write_shard, write_zip
from tests.processes import mark, running, survivors

TWO_PROCESSES = ("--direct_num_workers", "2", "--direct_running_mode", "multi_processing")


def made(folder: Path, *orders: str) -> list[str]:
    """Writes a set with bad pictures between good ones. Returns the words of `convert`."""
    return convert_words(*write_inputs(folder, *orders), folder / "out")


@pytest.mark.parametrize(
    "options",
    [(), pytest.param(TWO_PROCESSES, marks=pytest.mark.slow)],
    ids=["in process", "two processes"],
)
def test_a_crash_costs_one_image(tmp_path: Path, options: tuple[str, ...]) -> None:
    marked = mark()
    words = made(tmp_path, *CRASHES)
    ran = spawn(*words, *options, environment={**ENVIRONMENT, **marked})
    assert ran.code == 0, ran.err
    check(tmp_path / "out", *CRASHES)
    assert survivors(marked) == []


@pytest.mark.prism
def test_a_crash_costs_one_image_on_prism(tmp_path: Path, prism: Path) -> None:
    words = made(tmp_path, *CRASHES)
    ran = spawn(
        *words, "--runner", "PrismRunner", "--prism_location", prism, environment=ENVIRONMENT
    )
    assert ran.code == 0, ran.err
    check(tmp_path / "out", *CRASHES)


def test_the_other_images_are_as_if_it_had_not_been_there(tmp_path: Path) -> None:
    assert spawn(*made(tmp_path, "abort", "exit"), environment=ENVIRONMENT).code == 0
    alone = write_zip(tmp_path / "alone.zip", GOOD)
    shard = write_shard(tmp_path / "alone.json", [image_record(path, path) for path in GOOD])
    expected = converted(shard, alone, tmp_path / "alone")
    assert outputs.images(tmp_path / "out") == outputs.images(expected)


def test_the_number_of_workers_changes_nothing(tmp_path: Path) -> None:
    shard = write_shard(tmp_path / "in.json", [image_record(path, path) for path in GOOD])
    archive = write_zip(tmp_path / "in.zip", GOOD)
    found = [
        outputs.tree(converted(shard, archive, tmp_path / f"out-{number}", *options))
        for number, options in enumerate([(), ("--image-workers", 1), ("--image-workers", 3)])
    ]
    assert found[0] == found[1] == found[2]


def test_check_finds_them_too(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    pictures = {**GOOD, **bad("abort", "allocate")}
    for path, data in pictures.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    rows = [
        {
            "messages": [
                {"role": "user", "content": "<image>What?"},
                {"role": "assistant", "content": "It."},
            ],
            "images": [path],
        }
        for path in pictures
    ]
    (folder / "rows.json").write_text(json.dumps(rows))
    tags = {
        "role_tag": "role",
        "content_tag": "content",
        "user_tag": "user",
        "assistant_tag": "assistant",
    }
    entry = {
        "file_name": "rows.json",
        "formatting": "sharegpt",
        "columns": {"messages": "messages", "images": "images"},
        "tags": tags,
    }
    (folder / "dataset_info.json").write_text(json.dumps({"set": entry}))
    ran = spawn("check", folder, "--json", environment=ENVIRONMENT)
    assert ran.code == 3, ran.err
    ((violation),) = json.loads(ran.out)["violations"]
    assert (violation["kind"], violation["count"]) == ("image_crashes_decoder", 2)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Lowers the limits of time, and lets decoders misbehave, in this process."""
    monkeypatch.syspath_prepend(str(CRASHING))
    made = Workers(2, ["beam_mat.work.convert_image"], Limits(cpu_seconds=0.5, seconds=4))
    for module in (driver, images):
        monkeypatch.setattr(module, "image_workers", lambda _: made)
    yield
    made.close()


@pytest.mark.usefixtures("impatient")
def test_an_image_that_takes_too_long_costs_itself(tmp_path: Path) -> None:
    ran = run(*made(tmp_path, "spin", "wait"))
    assert ran.code == 0, ran.err
    spin, wait = bad("spin", "wait")
    assert faults(tmp_path / "out") == {
        spin: ("image_too_slow", f"{spin!r}: it takes more than 0.5 seconds of CPU time"),
        wait: ("image_too_slow", f"{wait!r}: it is not finished after 4 seconds"),
    }


@pytest.mark.slow
def test_workers_that_are_killed_change_nothing(tmp_path: Path) -> None:
    """Somebody kills image workers and their template at random moments."""
    some = [picture((2000, 1500), number) for number in range(10)]
    pictures = {f"{number}.jpg": some[number % 10] for number in range(200)}
    shard = write_shard(tmp_path / "in.json", [image_record(path, path) for path in pictures])
    archive = write_zip(tmp_path / "in.zip", pictures)
    expected = outputs.tree(converted(shard, archive, tmp_path / "expected"))

    marked = mark()
    program = subprocess.Popen(
        [*PROGRAM, *convert_words(shard, archive, tmp_path / "out")],
        env={**os.environ, **marked, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    killed = 0
    chosen = random.Random(7)
    with program:
        while program.poll() is None:
            time.sleep(chosen.uniform(0, 0.15))
            workers = [one for one in running(marked) if one.pid != program.pid]
            if len(workers) > 1:
                with contextlib.suppress(psutil.NoSuchProcess):
                    chosen.choice(workers).kill()
                    killed += 1
        assert program.stderr
        assert program.returncode == 0, program.stderr.read()
    assert killed > 3
    assert outputs.tree(tmp_path / "out") == expected
    assert survivors(marked) == []
