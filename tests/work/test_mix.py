"""Mixes: found again exactly where the same units were mixed and the files are there."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from beam_mat.core import layout
from beam_mat.core.mix import plan
from beam_mat.core.record import Trajectory, Turn
from beam_mat.core.results import MixJob, MixOutput, Unit
from beam_mat.core.settings import Settings
from beam_mat.storage import files, parts
from beam_mat.work import results
from beam_mat.work.mix import mix
from tests import outputs as dataset
from tests.making import write_files

IMAGE = "images/a.2d711642b726b044.jpg"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(str(tmp_path), formats=("jsonl",), resume=True)


def unit(settings: Settings, name: str, images: int, texts: int) -> Unit:
    """Writes the rows of a unit."""
    made = Unit(name, "train", images, images + texts)
    turns = (Turn("user", "Why?"), Turn("assistant", "So."))
    rows = [
        parts.row_of(Trajectory(f"{name}{at}", "", turns, (IMAGE,) * (at < images)))
        for at in range(images + texts)
    ]
    parts.write_unit(settings, made, rows)
    return made


@pytest.fixture
def job(settings: Settings) -> MixJob:
    (made,) = plan([unit(settings, "a", 2, 1), unit(settings, "t", 0, 3)])
    return made


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The parts whose rows were read."""
    found: list[str] = []
    read = files.read_bytes

    def watched(uri: str, *arguments: object) -> bytes:
        if uri.endswith(".jsonl"):
            found.append(uri)
        return read(uri, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(files, "read_bytes", watched)
    return found


def ids(settings: Settings, made: MixOutput) -> list[str]:
    root = Path(settings.output)
    return sorted(row["id"] for one in made.parts for row in dataset.json_lines(root / one.path))


ALL = ["a0", "a1", "a2", "t0", "t1", "t2"]


def test_a_mix_has_all_rows(settings: Settings, job: MixJob) -> None:
    made = mix(settings, job)
    assert ids(settings, made) == ALL
    assert made.replaced == (
        "jsonl/train-a.jsonl",
        f"{layout.TEXT_ONLY}/jsonl/train-t.jsonl",
    )
    assert all(files.exists(files.join(settings.output, path)) for path in made.replaced)
    assert list(results.read(settings, layout.MIXES, [job.name], MixOutput)) == [made]


def test_a_mix_that_was_made_is_found(settings: Settings, job: MixJob, reads: list[str]) -> None:
    made = mix(settings, job)
    reads.clear()
    assert mix(settings, job) == made
    assert reads == []
    fresh = msgspec.structs.replace(settings, resume=False)
    assert mix(fresh, job) == made
    assert len(reads) == 2


def test_a_mix_whose_file_is_lost_is_made_again(
    settings: Settings, job: MixJob, reads: list[str]
) -> None:
    made = mix(settings, job)
    before = dataset.tree(Path(settings.output))
    reads.clear()
    files.remove_file(files.join(settings.output, made.parts[0].path))
    assert mix(settings, job) == made
    assert len(reads) == 2
    assert dataset.tree(Path(settings.output)) == before


def test_a_mix_whose_file_was_moved_is_found(
    settings: Settings, job: MixJob, reads: list[str]
) -> None:
    made = mix(settings, job)
    reads.clear()
    for one in made.parts:
        moved = files.join(settings.output, layout.REPLACED, one.path)
        files.move(files.join(settings.output, one.path), moved)
    assert mix(settings, job) == made
    assert reads == []


def test_parts_that_a_commit_moved_are_read_there(settings: Settings, job: MixJob) -> None:
    path = "jsonl/train-a.jsonl"
    files.move(
        files.join(settings.output, path), files.join(settings.output, layout.REPLACED, path)
    )
    assert ids(settings, mix(settings, job)) == ALL


def test_other_units_make_another_mix(settings: Settings, job: MixJob) -> None:
    made = mix(settings, job)
    assert job.base is not None
    other = MixJob(job.base, (*job.texts, unit(settings, "u", 0, 2)))
    assert other.name != job.name
    more = mix(settings, other)
    assert not {one.path for one in made.parts} & {one.path for one in more.parts}
    assert ids(settings, more) == [*ALL, "u0", "u1"]
    assert ids(settings, made) == ALL, "nothing is overwritten"


@pytest.mark.parametrize("format", ["jsonl", "parquet"])
@pytest.mark.parametrize("lost", ["jsonl", "text-only", "both"])
def test_rows_of_parts_that_are_gone_are_read_from_their_mix(
    settings: Settings, format: str, lost: str
) -> None:
    """A conversion that keeps one generation has removed what it mixed."""
    settings = msgspec.structs.replace(settings, formats=(format,))
    write_files(Path(settings.output), {IMAGE: b"x"})
    first, text, other = (unit(settings, *rows) for rows in (("a", 3, 5), ("t", 0, 4), ("u", 0, 2)))
    (job,) = plan([first, text])
    (again,) = plan([first, text, other])
    expected = mix(settings, again)
    data = [files.read_bytes(files.join(settings.output, one.path)) for one in expected.parts]
    files.remove(files.join(settings.output, layout.MIXES))
    made = mix(settings, job)
    for path in made.replaced:
        if lost in ("both", "text-only" if path.startswith(layout.TEXT_ONLY) else "jsonl"):
            files.remove_file(files.join(settings.output, path))
    for one in expected.parts:
        files.remove_file(files.join(settings.output, one.path))
    assert mix(settings, again, [made]) == expected
    assert data == [
        files.read_bytes(files.join(settings.output, one.path)) for one in expected.parts
    ]


def test_a_text_only_unit_that_was_alone_is_read_from_its_mix(settings: Settings) -> None:
    text = unit(settings, "t", 0, 3)
    (alone,) = plan([text])
    made = mix(settings, alone)
    files.remove(files.join(settings.output, layout.TEXT_ONLY))
    (job,) = plan([text, unit(settings, "a", 1, 0)])
    assert ids(settings, mix(settings, job, [made])) == ["a0", "t0", "t1", "t2"]


def test_a_unit_that_is_nowhere_is_an_error(settings: Settings, job: MixJob) -> None:
    files.remove_file(files.join(settings.output, "jsonl/train-a.jsonl"))
    with pytest.raises(FileNotFoundError):
        mix(settings, job)
