"""The intake, tick by tick: a request to reprocess a shard is never lost."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from beam_mat.core.settings import Settings
from beam_mat.dataset import log
from beam_mat.dataset.commit import Snapshot
from beam_mat.storage import files
from beam_mat.watch.elements import WatchSettings
from beam_mat.watch.intake import Intake
from beam_mat.watch.messages import Stop, request_reprocessing, send
from tests.dataset.made import content, how, shard


class Dataset:
    """A dataset of one shard whose record lacks images."""

    def __init__(self, folder: Path) -> None:
        file = folder / "a.json"
        file.write_text("[]")
        found = files.info(str(file))
        self.settings = Settings(str(folder / "out"), resume=True)
        self.watch = WatchSettings(self.settings, (found.uri,), (), 0.0, 1.0, 1.0, run="r")
        self.snapshot = Snapshot()
        self.shard = msgspec.structs.replace(
            shard("s"), uri=found.uri, size=found.size, version=found.version, stem="s"
        )
        self.commit()

    def commit(self) -> None:
        """Commits the shard, as it is when it was worked on again with another result."""
        respelled = self.snapshot.number
        self.shard = msgspec.structs.replace(self.shard, respelled=respelled)
        made = self.snapshot.next(how(command="watch"), content([self.shard]))
        assert log.write(self.settings.output, made)
        self.snapshot.apply(made)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return Dataset(tmp_path)


def tick(intake: Intake, at: float) -> int:
    list(intake.sources(at))
    return len(list(intake.shards(at)))


def test_an_image_that_comes_while_a_shard_is_reprocessed_has_it_reprocessed_once_more(
    dataset: Dataset,
) -> None:
    intake = Intake(dataset.watch)
    assert tick(intake, 1.0) == 0
    request_reprocessing(dataset.settings, "s")
    assert tick(intake, 2.0) == 1
    request_reprocessing(dataset.settings, "s")
    assert tick(intake, 3.0) == 0, "one after the other"
    dataset.commit()
    assert tick(intake, 4.0) == 1
    dataset.commit()
    assert tick(intake, 5.0) == 0
    assert tick(Intake(dataset.watch), 6.0) == 0, "it has been served"


def test_a_request_that_was_taken_up_and_not_served_is_found_by_the_next_run(
    dataset: Dataset,
) -> None:
    request_reprocessing(dataset.settings, "s")
    assert tick(Intake(dataset.watch), 1.0) == 1
    again = msgspec.structs.replace(dataset.watch, run="r2")
    assert tick(Intake(again), 1.0) == 1


def test_nothing_is_let_in_when_the_watch_is_to_end(dataset: Dataset) -> None:
    intake = Intake(dataset.watch)
    request_reprocessing(dataset.settings, "s")
    send(dataset.watch, Stop(dataset.watch.run))
    assert tick(intake, 1.0) == 0
    assert intake.stopping
