"""The intake, beat by beat: word that images have come is never lost."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from beam_mat.core.generation import Contents, ShardEntry
from beam_mat.core.settings import Settings
from beam_mat.storage import files, generations
from beam_mat.watch import wakes
from beam_mat.watch.facts import WatchSettings
from beam_mat.watch.intake import Intake


class Dataset:
    """A dataset of one shard whose record lacks images."""

    def __init__(self, folder: Path) -> None:
        shard = folder / "a.json"
        shard.write_text("[]")
        found = files.info(str(shard))
        self.settings = Settings(str(folder / "out"), watched=True)
        self.watch = WatchSettings(self.settings, "r", (found.uri,), (), 0.0, 1.0, 1.0)
        self.contents = Contents()
        self.entry = ShardEntry(found.uri, 0, found.size, found.version, 0, 0, 0, "s", ())
        self.commit()

    def commit(self) -> None:
        made = self.contents.next([self.entry], (), {}, None, {})
        assert generations.write(self.settings.output, made)
        self.contents.apply(made)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return Dataset(tmp_path)


def beat(intake: Intake, at: float) -> int:
    list(intake.sources(at))
    return len(list(intake.shards(at)))


def test_an_image_that_comes_while_a_shard_is_worked_on_again_wakes_it_once_more(
    dataset: Dataset,
) -> None:
    intake = Intake(dataset.watch)
    assert beat(intake, 1.0) == 0
    wakes.leave(dataset.settings, "s")
    assert beat(intake, 2.0) == 1
    wakes.leave(dataset.settings, "s")
    assert beat(intake, 3.0) == 0, "one after the other"
    dataset.commit()
    assert beat(intake, 4.0) == 1
    dataset.commit()
    assert beat(intake, 5.0) == 0
    assert beat(Intake(dataset.watch), 6.0) == 0, "it has been heeded"


def test_word_that_was_taken_up_and_not_heeded_is_found_by_the_next_run(dataset: Dataset) -> None:
    wakes.leave(dataset.settings, "s")
    assert beat(Intake(dataset.watch), 1.0) == 1
    again = msgspec.structs.replace(dataset.watch, run="r2")
    assert beat(Intake(again), 1.0) == 1
