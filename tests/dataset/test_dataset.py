"""Open, work, commit: in every state, after every kind of kill."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from beam_mat.core import layout
from beam_mat.core.errors import ConfigError, OutputInUseError
from beam_mat.core.job import IN_PROCESS, Job
from beam_mat.core.settings import Settings
from beam_mat.dataset import conversion, flat, log, vacuum, views
from beam_mat.dataset import dataset as datasets
from beam_mat.dataset.commit import CONVERT, WATCH, Commit, Content, Made, Snapshot
from beam_mat.dataset.dataset import Dataset
from beam_mat.dataset.state import Action, Command, State
from beam_mat.dataset.views import Manifest
from beam_mat.storage import files
from tests.dataset.made import content, how, images, line, put, shard, source, table_of, there

Wanted = Callable[[str], Content]


class Killed(BaseException):
    """Stands for a kill."""


def die(*_: object, **__: object) -> None:
    raise Killed


def opened(output: str, command: Command = Command.CONVERT, **options: Any) -> Any:
    return Dataset.open(output, command, pytest.fail, **options)


def job(output: str, fingerprint: str = "f1", **settings: Any) -> Job:
    return Job(
        (), (), Settings(output, fingerprint=fingerprint, **settings), None, None, IN_PROCESS
    )


def made(fingerprint: str = "f1", command: str = CONVERT, keep: int | None = 1) -> Made:
    return msgspec.structs.replace(how(fingerprint, command), keep=keep)


def one(output: str) -> Content:
    return _content(output, "a", "b")


def two(output: str) -> Content:
    return _content(output, "a", "c")


def _content(output: str, *names: str) -> Content:
    """Shards with an image each, whose files are written."""
    shards = [shard(name, rejected=1) for name in names]
    for data in (part for it in shards for part in (*it.parts, *it.rejects)):
        if not files.exists(files.join(output, layout.REPLACED, data.path)):
            put(output, data.path, line())
    pictures: dict[str, str | None] = {f"{name}.png": f"images/{name}.0.png" for name in names}
    return content(shards, [images(output, pictures)])


def convert(output: str, wanted: Wanted = one, how: Made | None = None) -> Snapshot:
    """What the driver of a conversion does."""
    how = how or made()
    with opened(output) as dataset:
        dataset.begin(job(output, how.fingerprint), how.keep)
        snapshot: Snapshot = dataset.commit(how, wanted(output))
        return snapshot


def shown(output: str) -> Manifest:
    found = views.read_manifest(output)
    assert found is not None
    return found


def check_shown(output: str) -> None:
    """The folder shows just the newest generation."""
    newest = log.snapshot(output)
    assert shown(output).generation == newest.number
    assert there(output, *layout.FLAT_FOLDERS) == newest.files()
    assert conversion.read_pending(output) is None


def test_a_conversion_makes_a_dataset_in_an_empty_folder(root: str) -> None:
    with opened(root) as dataset:
        assert (dataset.state, dataset.action) == (State.EMPTY, Action.BEGIN)
        assert dataset.pending is None
        dataset.begin(job(root), 1)
        assert conversion.read_pending(root) is not None
        assert dataset.commit(made(), one(root)).number == 1
    check_shown(root)
    assert [commit.generation for commit in log.commits(root)] == [1]
    with opened(root) as again:
        assert (again.state, again.action) == (State.CURRENT, Action.RESUME)


def test_the_views_are_withdrawn_while_a_conversion_runs(root: str) -> None:
    convert(root)
    with opened(root) as dataset:
        dataset.begin(job(root, "f2"), 1)
        assert views.read_manifest(root) is None
        assert not {layout.DATASET_INFO, layout.IMAGE_TABLE} & there(root)
    with opened(root) as again:
        assert (again.state, again.action) == (State.BEHIND, Action.RESUME)
        assert again.pending is not None
        assert again.pending.fingerprint == "f2"


def test_the_same_content_is_committed_once(root: str) -> None:
    for _ in range(2):
        assert convert(root, how=made(keep=None)).number == 1
        check_shown(root)
    assert convert(root, how=made("f2", keep=None)).number == 2, "made in another way"
    assert convert(root, two, made("f2", keep=None)).number == 3
    check_shown(root)


def test_one_generation_stays(root: str) -> None:
    convert(root)
    assert convert(root, two, made("f2")).number == 2
    assert log.numbers(root).commits == (2,)
    check_shown(root)
    assert there(root, layout.REPLACED) == set()
    assert there(root, layout.IMAGES) == {"images/a.0.png", "images/c.0.png"}


def test_all_generations_stay(root: str) -> None:
    convert(root, one, made(keep=None))
    convert(root, two, made("f2", keep=None))
    assert log.numbers(root).commits == (1, 2)
    check_shown(root)
    assert "replaced/jsonl/train-b-1-0.jsonl" in there(root)
    assert "images/b.0.png" in there(root)
    convert(root, one, made("f1", keep=None))
    check_shown(root)
    assert "replaced/jsonl/train-c-1-0.jsonl" in there(root)


def test_some_generations_stay(root: str) -> None:
    for number in range(4):
        convert(root, (one, two)[number % 2], made(f"f{number}", keep=2))
    assert log.numbers(root).commits == (3, 4)
    assert log.snapshot(root, 3).files() != log.snapshot(root).files()
    check_shown(root)


@pytest.mark.parametrize("command", list(Command))
def test_a_kill_between_commit_and_views_leaves_nothing_to_repair(
    root: str, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    convert(root, one, made(keep=None))
    with monkeypatch.context() as patched:
        patched.setattr(flat, "arrange", die)
        with pytest.raises(Killed):
            convert(root, two, made("f2", keep=None))
    assert log.numbers(root).commits == (1, 2)
    assert views.read_manifest(root) is None
    if command is Command.VACUUM:
        with (
            pytest.raises(ConfigError, match="run the same beam-mat convert again"),
            opened(root, command),
        ):
            pass
        return
    with opened(root, command) as dataset:
        assert dataset.state is State.BEHIND
        assert dataset.pending is None
        if command is Command.CONVERT:
            assert dataset.action is Action.RESUME
            dataset.begin(job(root, "f2"), None)
            assert dataset.commit(made("f2", keep=None), two(root)).number == 2
        else:
            assert dataset.action is Action.UPDATE
    assert log.numbers(root).commits == (1, 2)
    check_shown(root)
    assert "replaced/jsonl/train-b-1-0.jsonl" in there(root)


@pytest.mark.parametrize("step", ["complete", "remove", "write"])
def test_a_kill_at_any_step_after_the_commit_is_made_good_by_the_same_conversion(
    root: str, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    convert(root)
    owner = {"complete": flat, "remove": vacuum, "write": views}[step]
    with monkeypatch.context() as patched:
        patched.setattr(owner, step, die)
        with pytest.raises(Killed):
            convert(root, two, made("f2"))
    assert convert(root, two, made("f2")).number == 2
    check_shown(root)
    assert log.numbers(root).commits == (2,)
    assert there(root, layout.IMAGES) == {"images/a.0.png", "images/c.0.png"}
    assert there(root, layout.REPLACED) == set()


@pytest.mark.parametrize("step", ["complete", "remove", "ThreadPoolExecutor", "write"])
def test_publish_ends_what_a_killed_conversion_had_begun_to_remove(
    root: str, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    convert(root)
    owner = {"complete": flat, "write": views}.get(step, vacuum)
    with monkeypatch.context() as patched:
        patched.setattr(owner, step, die)
        with pytest.raises(Killed):
            convert(root, two, made("f2"))
    with opened(root, Command.PUBLISH) as dataset:
        assert dataset.action is Action.UPDATE
    check_shown(root)
    assert log.numbers(root).commits == (2,)
    assert there(root, layout.IMAGES) == {"images/a.0.png", "images/c.0.png"}
    assert there(root, layout.REPLACED) == set()


@pytest.mark.parametrize("before", [None, one])
def test_a_conversion_that_keeps_all_removes_what_a_killed_one_left(
    root: str, monkeypatch: pytest.MonkeyPatch, before: Wanted | None
) -> None:
    if before:
        convert(root, before, made(keep=None))
    with monkeypatch.context() as patched:
        patched.setattr(log, "write", die)
        with pytest.raises(Killed):
            convert(root, two, made("f2", keep=None))
    convert(root, one, made("f3", keep=None))
    check_shown(root)
    assert there(root, layout.IMAGES) == {"images/a.0.png", "images/b.0.png"}
    assert there(root, layout.REPLACED) == set()


@pytest.mark.parametrize("keep", [1, None])
def test_a_conversion_removes_images_that_a_watch_left(root: str, keep: int | None) -> None:
    convert(root, one, made(keep=keep))
    with opened(root) as dataset:
        dataset.begin(job(root, "f2"), 1)
        left = {put(root, "images/of-a-killed-conversion.0.png")}
    with opened(root, Command.WATCH):  # it gives the conversion up
        left.add(put(root, "images/of-a-killed-watch.0.png"))
    convert(root, two, made("f3", keep=keep))
    check_shown(root)
    assert not left & there(root, layout.IMAGES)
    stray = put(root, "images/unknown.0.png")
    convert(root, one, made("f4", keep=keep))
    assert stray in there(root, layout.IMAGES), "without a killed run, images are not listed"


def test_a_kill_before_the_commit_leaves_the_dataset_in_the_log(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert(root)
    with monkeypatch.context() as patched:
        patched.setattr(log, "write", die)
        with pytest.raises(Killed):
            convert(root, two, made("f2"))
    with opened(root, Command.PUBLISH) as dataset:
        assert dataset.action is Action.COMMIT
        assert dataset.pending.fingerprint == "f2"
        dataset.commit(made("f2"), two(root))
    check_shown(root)


def test_a_watch_gives_up_a_conversion_that_is_not_finished(root: str) -> None:
    convert(root)
    with opened(root) as dataset:
        dataset.begin(job(root, "f2"), 1)
        put(root, "jsonl/train-new.jsonl")
    with opened(root, Command.WATCH) as dataset:
        assert (dataset.action, dataset.pending) == (Action.UPDATE, None)
    check_shown(root)
    assert "replaced/jsonl/train-new.jsonl" in there(root)


def test_a_watch_gives_up_a_conversion_before_the_first_commit(root: str) -> None:
    with opened(root) as dataset:
        dataset.begin(job(root), 1)
        put(root, "jsonl/train-new.jsonl")
    with opened(root, Command.WATCH) as dataset:
        assert (dataset.state, dataset.action) == (State.STARTED, Action.RESUME)
        assert dataset.pending is None
    assert there(root, *layout.FLAT_FOLDERS, layout.REPLACED) == set()


def test_a_watch_moves_what_an_earlier_one_left(root: str) -> None:
    convert(root, how=made(command=WATCH, keep=None))
    stray = put(root, "jsonl/train-stray.jsonl")
    with opened(root, Command.WATCH) as dataset:
        assert dataset.state is State.CURRENT
    assert f"replaced/{stray}" in there(root)
    check_shown(root)


def test_a_vacuum_moves_what_a_killed_watch_left(root: str) -> None:
    """Before it looks for garbage: an older generation may have the file."""
    convert(root, one, made(keep=None))
    convert(root, two, made("f2", keep=None))
    moved = "jsonl/train-b-1-0.jsonl"
    files.move(files.join(root, layout.REPLACED, moved), files.join(root, moved))
    with opened(root, Command.VACUUM) as dataset:
        assert (dataset.state, dataset.action) == (State.CURRENT, Action.CONTINUE)
    check_shown(root)
    assert f"{layout.REPLACED}/{moved}" in there(root)


@pytest.mark.parametrize("command", [Command.WATCH, Command.PUBLISH, Command.VACUUM])
def test_a_file_that_is_lost_is_named(root: str, command: Command) -> None:
    convert(root, two)
    files.remove_file(files.join(root, "jsonl/train-c-1-0.jsonl"))
    files.remove_file(files.join(root, "rejects/c-1-0.jsonl"))
    files.remove_file(files.join(root, layout.MANIFEST))
    message = r"jsonl/train-c-1-0\.jsonl: is missing \(and 1 more\); restore it, or recreate it"
    with pytest.raises(ConfigError, match=message), opened(root, command):
        pass
    assert convert(root, two).number == 1, "a conversion makes it again"
    check_shown(root)


def test_a_conversion_that_lost_a_file_on_the_way_says_so(root: str) -> None:
    convert(root)
    with opened(root) as dataset:
        wanted = two(root)
        files.remove_file(files.join(root, "jsonl/train-c-1-0.jsonl"))
        with pytest.raises(ConfigError, match=r"train-c-1-0\.jsonl: is missing;"):
            dataset.commit(made("f2"), wanted)


@pytest.mark.parametrize("command", [Command.PUBLISH, Command.VACUUM])
@pytest.mark.parametrize("leftovers", [False, True])
def test_without_a_dataset_there_is_nothing_to_do(
    root: str, command: Command, leftovers: bool
) -> None:
    if leftovers:
        put(root, "images/a.png")
    with (
        pytest.raises(
            ConfigError, match=f"{re.escape(root)}: there is no dataset here; create one"
        ),
        opened(root, command),
    ):
        pass


def test_leftovers_are_used(root: str) -> None:
    put(root, f"{layout.SPLITS}/a.json")
    with opened(root) as dataset:
        assert (dataset.state, dataset.action) == (State.LEFTOVERS, Action.RESUME)
    assert f"{layout.SPLITS}/a.json" in there(root)


def test_scratch_files_and_leases_are_no_leftovers(root: str) -> None:
    files.write_bytes(files.join(root, layout.SCRATCH, "x"), b"x", files.join(root, "y"))
    with opened(root) as dataset:
        assert dataset.state is State.EMPTY


@pytest.mark.parametrize("command", [Command.WATCH, Command.PUBLISH, Command.VACUUM])
def test_a_damaged_log_is_refused(root: str, command: Command) -> None:
    convert(root, one, made(keep=None))
    convert(root, two, made("f2", keep=None))
    files.remove_file(files.join(root, "generations/000001.json"))
    before = there(root, layout.GENERATIONS, layout.REPLACED, *layout.FLAT_FOLDERS)
    with (
        pytest.raises(ConfigError, match="a commit is missing in generations/; restore it"),
        opened(root, command),
    ):
        pass
    assert there(root, layout.GENERATIONS, layout.REPLACED, *layout.FLAT_FOLDERS) == before
    assert shown(root).generation == 2


@pytest.mark.parametrize("lost", [[1], [2], [1, 2]])
@pytest.mark.parametrize("keep", [1, 2, None])
def test_a_conversion_starts_a_damaged_log_anew(
    root: str, lost: list[int], keep: int | None
) -> None:
    convert(root, one, made(keep=None))
    convert(root, two, made("f2", keep=None))
    for number in lost:
        files.remove_file(files.join(root, f"generations/{number:06d}.json"))
    with opened(root) as dataset:
        assert (dataset.state, dataset.action) == (State.DAMAGED, Action.RESTART)
        dataset.begin(job(root, "f3"), keep)
        assert dataset.commit(made("f3", keep=keep), one(root)).number == 3
    commit = log.read(root, 3)
    assert commit is not None
    assert commit.previous == 0
    check_shown(root)
    assert convert(root, two, made("f4", keep=keep)).number == 4
    check_shown(root)


def test_another_run_s_commit_is_not_overwritten(root: str) -> None:
    convert(root, one, made(keep=None))
    with opened(root) as dataset:
        other = log.snapshot(root).next(made("other", keep=None), one(root))
        assert log.write(root, other)
        with pytest.raises(OutputInUseError, match="another run has committed generation 2"):
            dataset.commit(made("f2", keep=None), two(root))
    newest = log.snapshot(root)
    assert newest.made
    assert (newest.number, newest.made.fingerprint) == (2, "other")


def test_a_run_that_lost_its_lease_commits_nothing(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(root) as dataset:

        def lost(_: object) -> None:
            raise OutputInUseError("taken")

        monkeypatch.setattr(type(dataset._lease), "check", lost)
        with pytest.raises(OutputInUseError, match="taken"):
            dataset.commit(made(), one(root))
    assert log.numbers(root).newest == 0


def test_a_second_run_is_refused(tmp_path: Path) -> None:
    output = str(tmp_path)
    with opened(output), pytest.raises(OutputInUseError), opened(output):
        pass


def test_a_service_that_still_writes_is_waited_for(root: str) -> None:
    def busy(uri: str) -> None:
        raise OutputInUseError(f"{uri}: busy")

    with pytest.raises(OutputInUseError, match="busy"), opened(root, busy=busy):
        pass


def test_a_dataset_is_made_by_the_job_of_its_inputs_and_configuration(root: str) -> None:
    wanted = one(root)
    shards = tuple(it.shard for it in wanted.shards.values())
    this = msgspec.structs.replace(job(root), shards=shards)
    how = msgspec.structs.replace(
        made(), configuration=conversion.configuration(this.settings, None)
    )
    convert(root, one, how)
    others = [
        msgspec.structs.replace(this, shards=shards[:1]),
        msgspec.structs.replace(this, sources=(source("x"),)),
        msgspec.structs.replace(this, limit=5),
        msgspec.structs.replace(this, settings=job(root, val_fraction=0.5).settings),
    ]
    with opened(root) as dataset:
        assert dataset.is_made_by(this, 1)
        newer = msgspec.structs.replace(this, settings=job(root, "newer versions").settings)
        assert dataset.is_made_by(newer, 1), "what is complete stays complete"
        assert not any(dataset.is_made_by(other, 1) for other in others)
    files.remove_file(files.join(root, layout.MANIFEST))
    with opened(root) as dataset:
        assert not dataset.is_made_by(this, 1), "its views do not show it"
    convert(root, one, msgspec.structs.replace(how, command=WATCH))
    with opened(root) as dataset:
        assert not dataset.is_made_by(this, 1), "a watch may have other inputs"


def test_other_options_are_differences(root: str) -> None:
    settings = Settings(root, fingerprint="f1", resizer="r 1")
    configuration = conversion.configuration(settings, None)
    how = Made(CONVERT, "f1", conversion.made_by(settings), configuration, 1)
    with opened(root) as dataset:
        assert dataset.differences(settings, 5) == [], "there is nothing that could differ"
    convert(root, how=how)
    with opened(root) as dataset:
        assert dataset.differences(settings, None) == []
        (fault,) = dataset.differences(settings, 5)
        assert fault.startswith(f"--limit 5: the dataset in {root} was made with none")
        dataset.clear()
        assert dataset.differences(settings, 5) == []


def test_a_conversion_that_was_started_has_differences_too(root: str) -> None:
    with opened(root) as dataset:
        dataset.begin(job(root), 1)
    with opened(root) as dataset:
        faults = dataset.differences(Settings(root, formats=("jsonl",)), None)
    assert len(faults) == 1
    assert "--formats jsonl" in faults[0]


def test_clearing_removes_all_but_what_others_put_there(root: str) -> None:
    convert(root, one, made(keep=None))
    convert(root, two, made("f2", keep=None))
    for path in (
        f"{layout.SPLITS}/a.json",
        f"{layout.TEXT_ONLY}/jsonl/a.jsonl",
        f"{layout.WATCH}/a.json",
        layout.VERIFIED,
        layout.REPORT,
    ):
        put(root, path)
    mine = put(root, "mine.txt")
    with opened(root) as dataset:
        dataset.clear()
        assert (dataset.state, dataset.action) == (State.EMPTY, Action.BEGIN)
        assert (dataset.snapshot.number, dataset.pending) == (0, None)
        left = {path for path in there(root) if not path.startswith(f"{layout.LEASE}")}
        assert left == {mine}
        assert dataset.commit(made("f9"), one(root)).number == 1
    check_shown(root)


def test_what_this_version_cannot_read_is_replaced_on_request(root: str) -> None:
    convert(root)
    put(root, layout.MANIFEST, b'{"format": 1}')
    with (
        pytest.raises(
            ConfigError, match="has layout version 1, but this version of beam-mat uses 3"
        ),
        opened(root),
    ):
        pass
    with opened(root, overwrite=True) as dataset:
        assert dataset.state is State.EMPTY
    assert log.numbers(root).newest == 0


def commit_window(
    root: str, before: Snapshot, how: Made, wanted: Content, table: pa.Table
) -> Commit | None:
    """Commits as a watch does."""
    commit = log.append(root, before, how, wanted)
    if commit:
        datasets.show_commit(root, before, commit, table)
    return commit


def test_windows_of_a_watch_follow_one_another(root: str) -> None:
    before = Snapshot()
    watch = made("w", WATCH, None)
    for number, wanted in enumerate((one, two, one), 1):
        commit = commit_window(root, before, watch, wanted(root), table_of({}))
        assert commit is not None
        assert (commit.generation, before.number) == (number, number)
        check_shown(root)
    assert "replaced/jsonl/train-c-1-0.jsonl" in there(root)
    stale = log.snapshot(root, 2)
    assert commit_window(root, stale, watch, two(root), table_of({})) is None
    assert log.numbers(root).commits == (1, 2, 3)


def test_a_watch_writes_checkpoints(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "CHECKPOINT_EVERY", 2)
    before = Snapshot()
    for wanted in (one, two, one, two, one):
        commit_window(root, before, made("w", WATCH), wanted(root), table_of({}))
    assert log.numbers(root).checkpoints == (2, 4)
