"""Fixtures that several test modules share."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import settings

from beam_mat.sample import SampleSummary, write_sample
from tests import properties, quick_beam
from tests.build import SHARED
from tests.command import ROOT, converted
from tests.stands import servers

collect_ignore = ["crashing"]
"""It changes the decoders of the process that imports it."""

quick_beam.install()
settings.load_profile(properties.THOROUGH)

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell lets background processes ignore Ctrl-C, but some tests need it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


LONGEST = ("test_histories.py", "test_soak.py", "test_kill.py", "test_watch.py", "test_docs.py")
"""These files come first, so that no process has to wait for another one at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.fixture(scope="session")
def mat_sample() -> Path:
    """Returns a folder with forty real trajectories: mat_train.json and files.zip."""
    folder = SHARED / "mat-sample"
    if not folder.exists():
        pytest.skip(f"the real trajectories are missing: {folder} does not exist")
    return folder


@pytest.fixture(scope="session")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> SampleSummary:
    """Makes a sample with every fault, in two shards and a truncated one."""
    return write_sample(tmp_path_factory.mktemp("sample") / "set", shards=2, faults=True)


@pytest.fixture(scope="session")
def made_up_output(tmp_path_factory: pytest.TempPathFactory, made_up: SampleSummary) -> Path:
    """Returns the output of a conversion of `made_up`. Tests must not change it."""
    output = tmp_path_factory.mktemp("made-up") / "out"
    return converted(made_up.shards, made_up.image_zip, output, "--val-fraction", "0.2")


@pytest.fixture(scope="session")
def prism() -> Path:
    """Returns the Prism runner's program, as scripts/prism built it."""
    found = Path(os.environ.get("BEAM_MAT_PRISM", ROOT / ".cache" / "prism" / "prism"))
    if not found.exists():
        servers.missing(found)
    return found


@pytest.fixture(scope="session")
def google(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yields the address of an emulator of Google's store with a bucket named tests."""
    if not servers.FAKE_GCS.exists() or not find_spec("gcsfs"):
        servers.missing(servers.FAKE_GCS)
    with servers.google(tmp_path_factory.mktemp("google")) as url:
        servers.google_bucket(url, "tests")
        yield url


@pytest.fixture(scope="session")
def amazon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yields the address of an emulator of S3 with a bucket named tests."""
    if not find_spec("moto") or not find_spec("s3fs"):
        servers.missing("moto")
    with servers.amazon(tmp_path_factory.mktemp("amazon")) as url:
        servers.amazon_bucket(url, "tests")
        yield url
