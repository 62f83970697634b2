"""Histories of an output folder: inputs come, change and go, runs are killed and files get lost.

Whatever happened, the next whole run must leave what a run into an empty folder leaves. Every
command runs in a process of its own that is forked here, so that a kill is one: at some change that
it makes to its output the process ends on the spot, with its lock held and scratch files lying
about.

    python -m tests.histories --count 100
    python -m tests.histories --count 100 --prism .cache/prism/prism
"""

from __future__ import annotations

import argparse
import importlib
import io
import json
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from beam_mat import cli
from beam_mat.storage import files, local, stores, uploads
from tests.making import image_record, picture, record, write_files, write_shard, write_zip
from tests.processes import end, mark
from tests.stands.reach import Options

KILLED = 137
CHANGES: tuple[tuple[Any, str], ...] = (
    *((local, name) for name in ("place", "remove_file", "remove", "create", "prune")),
    (uploads.Upload, "send"),
    *((files, name) for name in ("create", "remove_file", "remove", "move")),
)
"""What changes an output folder, on a disk or a store."""

IMAGES = [f"{folder}/{name}" for folder in "ab" for name in ("0.jpg", "1.png", "2.jpg", "3.jpg")]
LOG = ("generations/", "replaced/")
"""What a watch leaves and a conversion does not."""

Tree = dict[str, bytes]


def forked(work: Callable[[], Any], kill_at: int | None = None) -> tuple[int, Any]:
    """Does something in a child.

    Args:
        work: What.
        kill_at: How many changes to a folder it makes before it dies in the next.

    Returns:
        The child's exit code, and what `work` returned; None where it came to no end.
    """
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    marked = mark()

    def child() -> None:
        os.environ.update(marked)
        if kill_at is not None:
            _die_at(kill_at)
        theirs.send(work())

    process = context.Process(target=child)
    process.start()
    theirs.close()
    found = None
    with suppress(EOFError):
        found = ours.recv()
    process.join()
    end(marked)
    return process.exitcode or 0, found


def _die_at(kill_at: int) -> None:
    made = 0
    lock = threading.RLock()

    def dying(change: Callable[..., Any], *arguments: Any) -> Any:
        nonlocal made
        with lock:
            made += 1
            if made > kill_at:
                if made % 2:
                    change(*arguments)
                os._exit(KILLED)
        return change(*arguments)

    for owner, name in CHANGES:
        change = getattr(owner, name)
        if owner is uploads.Upload:
            setattr(owner, name, lambda *arguments, change=change: dying(change, *arguments))
        else:
            setattr(owner, name, partial(dying, change))


@dataclass
class Place:
    """Where outputs lie.

    Attributes:
        uri: Of a folder for them.
        options: What the store has to be told.
    """

    uri: str
    options: Options = field(default_factory=dict)

    def run(self, *words: str, kill_at: int | None = None) -> tuple[int, str]:
        """Runs a command.

        Returns:
            Its exit code, and what it said.
        """
        told = ["--storage-options", json.dumps(self.options)] if self.options else []

        def command() -> tuple[int, str]:
            said = io.StringIO()
            with redirect_stdout(said), redirect_stderr(said):
                code = cli.main([*words, *told])
            return code, said.getvalue()

        code, found = forked(command, kill_at)
        return found or (code, "")

    def ask(self, question: Callable[..., Any], *arguments: Any) -> Any:
        """Calls something of `beam_mat.storage.files`."""

        def call() -> Any:
            stores.use(self.options)
            return question(*arguments)

        return forked(call)[1]


def names(output: str) -> list[str]:
    """Every file below a folder, notes included."""
    return [name for name, _ in files.find(output)]


def tree(output: str) -> Tree:
    """A dataset's files."""
    found = [name for name in names(output) if not name.startswith(("_beam_mat/", *LOG))]
    data = files.read_each(files.join(output, name) for name in found)
    return dict(zip(found, data, strict=True))


def rows(found: Tree) -> Counter[bytes]:
    """JSONL rows and rejected records, in any order."""
    lines = Counter[bytes]()
    for name, data in found.items():
        if name.startswith(("jsonl", "rejects/")):
            lines.update(data.splitlines())
    return lines


class World:
    """The inputs, an output, and what chance does to them.

    Attributes:
        told: What has happened, a line a step.
    """

    def __init__(self, folder: Path, place: Place, seed: int, prism: Path | None) -> None:
        self.told: list[str] = []
        self._folder = folder / "in"
        self._place = place
        self._output = files.join(place.uri, f"out-{seed}")
        self._fresh = files.join(place.uri, f"fresh-{seed}")
        self._prism = prism
        self._chance = chance = random.Random(seed)
        self._clock = 1_700_000_000
        self._changes = 40
        self._shards: dict[str, list[object]] = {}
        self._sources: dict[str, dict[str, bytes]] = {}
        self._order: list[str] = []
        self._past: dict[str, list[tuple[Any, int]]] = {}
        self._taken_away = False
        self._overwrite = False
        self._strays = False
        self._options = ["--formats", chance.choice(("jsonl", "parquet", "jsonl,parquet"))]
        if chance.random() < 0.5:
            self._options += ["--val-fraction", "0.4"]
        if not prism and chance.random() < 0.5:
            self._options += ["--duplicates", "drop"]
        self._options.append("--max-pixels=100000")
        self._folder.mkdir()

    def go_through(self, steps: int) -> None:
        """Lets so many things happen, and then has a whole run."""
        weighted = (*STEPS, *WATCHING) if self._prism else STEPS
        kinds, weights = zip(*weighted, strict=True)
        first = (World.put_shard, World.put_source)
        for step in (*first, *self._chance.choices(kinds, weights, k=steps), World.whole):
            if self._sources or step in (World.put_shard, World.put_source, World.bring_back):
                self.told.append(step.__name__)
                step(self)

    # What happens to the inputs.

    def put_shard(self) -> None:
        """A shard comes, or another takes its place."""
        name = f"{self._chance.choice('stuv')}.json"
        self._land(name, [self._record() for _ in range(self._chance.randint(0, 6))])

    def put_source(self) -> None:
        """A zip or a folder of images comes, or another takes its place."""
        name = self._chance.choice(("y.zip", "z.zip", *(() if self._prism else ("folder",))))
        paths = self._chance.sample(IMAGES, self._chance.randint(0, len(IMAGES)))
        self._land(name, {path: self._picture(path) for path in paths})

    def take_away(self) -> None:
        """An input goes."""
        name = self._chance.choice([*self._shards, *self._sources])
        self._tell(name)
        if len(self._shards) > 1 or name not in self._shards:
            self._drop(name)
            self._taken_away = True

    def bring_back(self) -> None:
        """An input is again what it was once, its time included."""
        if self._past:
            name = self._chance.choice(sorted(self._past))
            self._land(name, *self._chance.choice(self._past[name]))

    def touch(self) -> None:
        """An input gets another time and no other content."""
        name = self._chance.choice([*self._shards, *self._sources])
        self._land(name, self._shards[name] if name in self._shards else self._sources[name])

    def shuffle(self) -> None:
        """Another source comes first; for a watch their names decide."""
        if not self._prism:
            self._chance.shuffle(self._order)

    def decide_otherwise(self) -> None:
        """Another option that changes bytes: all is to be replaced."""
        self._options[-1] = f"--max-pixels={self._chance.choice((10_000, 100_000))}"
        self._overwrite = True

    def _tell(self, more: object) -> None:
        self.told[-1] += f" {more}"

    def _land(self, name: str, what: Any, time: int | None = None) -> None:
        self._taken_away |= name in self._sources
        self._drop(name)
        if time is None:
            self._clock += 1
            time = self._clock
            self._past.setdefault(name, []).append((what, time))
        self._tell(f"{name} of {len(what)} at {time}")
        path = self._folder / name
        if name.endswith(".json"):
            self._shards[name] = what
            write_shard(path, what)
        else:
            self._sources[name] = what
            self._order.insert(self._chance.randint(0, len(self._order)), name)
            if self._prism:
                self._order.sort()
            if name.endswith(".zip"):
                write_zip(path, what)
            else:
                path.mkdir()
                write_files(path, what)
        for file in (path, *path.rglob("*")):
            os.utime(file, (time, time))

    def _drop(self, name: str) -> None:
        self._shards.pop(name, None)
        if self._sources.pop(name, None) is not None:
            self._order.remove(name)
        path = self._folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def _record(self) -> object:
        chance = self._chance
        id = f"r{chance.randint(0, 12)}"
        kind = chance.randint(0, 9)
        if kind == 0:
            return chance.choice((3, {}, {"id": id}, record(id, answer="")))
        if kind < 4:
            return record(id, answer=f"Thought: {chance.random()}.")
        return image_record(id, chance.choice(IMAGES), answer=f"Thought: {chance.random()}.")

    def _picture(self, path: str) -> bytes:
        if self._chance.random() < 0.1:
            return b"no picture"
        size = self._chance.choice(((80, 60), (800, 700)))
        return picture(size, self._chance.randint(0, 3), "PNG" if path[-3:] == "png" else "JPEG")

    # What happens to the output.

    def lose(self) -> None:
        """Files get lost, and the manifest with them, or else nobody would look."""
        found = self._place.ask(names, self._output)
        if not any(name.startswith("_beam_mat/") for name in found):
            return  # without any note it would not be taken for a dataset
        if self._prism:  # what is in its log a watch takes for being there
            found = [name for name in found if name.startswith("_beam_mat/")]
        lost = self._chance.sample(found, min(len(found), self._chance.randint(1, 3)))
        for name in {*lost, "manifest.json"}:
            self._tell(name)
            self._place.ask(files.remove_file, files.join(self._output, name))

    def forget(self) -> None:
        """The notes of all jobs get lost, of a dataset that is there. A watch cannot do without."""
        if not self._prism and self._published():
            self._place.ask(files.remove, files.join(self._output, "_beam_mat"))

    def killed(self) -> None:
        """A run is killed."""
        at = self._chance.randint(0, self._changes)
        code, said = self._convert(at)
        self._tell(f"at {at}: {'killed' if code == KILLED else 'done'}")
        assert code in (0, KILLED), said
        if code == 0:
            self._strays = False
            self._hold_to_fresh()
        else:
            self._hold_to_manifest()

    def publish(self) -> None:
        """Somebody tries to publish what is there."""
        code, said = self._place.run("publish", self._output)
        self._tell(code)
        assert code in (0, 1, 2), said
        assert "Traceback" not in said, said

    def whole(self) -> None:
        """A run that nothing disturbs."""
        code, said = self._convert()
        assert code == 0, said
        self._strays = False
        self._hold_to_fresh()

    def watch(self) -> None:
        """A watch comes to rest."""
        if not self._overwrite:
            code, said = self._watch()
            assert code == 0, said
            self._strays = False
            self._hold_to_manifest()
            self._hold_to_rows()

    def watch_killed(self) -> None:
        """A watch is killed."""
        if not self._overwrite:
            at = self._chance.randint(0, 2 * self._changes)
            code, said = self._watch(at)
            self._tell(f"at {at}: {'killed' if code == KILLED else 'done'}")
            assert code in (0, KILLED), said
            # What it was about to commit lies there until somebody begins again.
            self._strays |= code == KILLED
            self._hold_to_manifest()

    def _convert(self, kill_at: int | None = None) -> tuple[int, str]:
        more = ["--overwrite"] if self._overwrite else []
        code, said = self._place.run(*self._words(self._output), *more, kill_at=kill_at)
        if code == 0:
            self._overwrite = False
        return code, said

    def _words(self, output: str) -> list[str]:
        json = [str(self._folder / name) for name in sorted(self._shards)]
        images = [str(self._folder / name) for name in self._order]
        where = ("--json", *json, "--images", *images, "--output", output)
        return ["convert", *where, *self._options]

    def _watch(self, kill_at: int | None = None) -> tuple[int, str]:
        where = ("--json", f"{self._folder}/*.json", "--images", f"{self._folder}/*.zip")
        soon = ("--interval", "0.1s", "--window", "0.1s", "--image-wait", "0.1s")
        rest = ("--stop-when-idle", "1s", "--prism_location", str(self._prism))
        words = ["watch", *where, "--output", self._output, *soon, *rest, *self._options]
        return self._place.run(*words, kill_at=kill_at)

    # What has to be.

    def _published(self) -> bool:
        return bool(self._place.ask(files.exists, files.join(self._output, "manifest.json")))

    def _hold_to_manifest(self) -> None:
        """A manifest is there only with all that it promises."""
        if self._published():
            code, said = self._place.run("verify", self._output)
            faults = [line for line in said.splitlines() if line.startswith("  ")]
            if self._strays:
                faults = [fault for fault in faults if not _is_left_by_a_kill(fault)]
                code = code if faults else 0
            assert code == 0, said

    def _anew(self) -> Tree:
        """What a run into an empty folder leaves."""
        self._place.ask(files.remove, self._fresh)
        code, said = self._place.run(*self._words(self._fresh))
        assert code == 0, said
        return dict(self._place.ask(tree, self._fresh))

    def _hold_to_rows(self) -> None:
        """The rows are those of a run into an empty folder; but a watch keeps what it has taken."""
        if not self._taken_away:
            found, expected = rows(self._place.ask(tree, self._output)), rows(self._anew())
            assert found == expected, f"too much: {found - expected}, missing: {expected - found}"

    def _hold_to_fresh(self) -> None:
        """All is what a run into an empty folder leaves."""
        self._hold_to_manifest()
        found = self._place.ask(tree, self._output)
        expected = self._anew()
        self._changes = 2 * len(expected)
        if any(name.startswith(LOG) for name in self._place.ask(names, self._output)):
            for one in (found, expected):  # these tell of the log
                del one["manifest.json"], one["report.html"]
            kept = [name for name in found.keys() - expected.keys() if name.startswith("images/")]
            for name in kept:  # older generations have rows with them
                del found[name]
        faults = [f"{name}: is too much" for name in found.keys() - expected.keys()]
        faults += [f"{name}: is missing" for name in expected.keys() - found.keys()]
        faults += [f"{name}: differs" for name in found if found[name] != expected.get(name)]
        assert not faults, "\n".join(faults)


def _is_left_by_a_kill(fault: str) -> bool:
    """Whether a watch that was killed as it committed may leave this fault until the next start."""
    return "is not listed" in fault or fault.startswith(("  images.parquet: ", "  images/"))


STEPS = (
    (World.put_shard, 3),
    (World.put_source, 3),
    (World.take_away, 1),
    (World.bring_back, 2),
    (World.touch, 1),
    (World.shuffle, 1),
    (World.decide_otherwise, 0.5),
    (World.lose, 1),
    (World.forget, 0.3),
    (World.killed, 5),
    (World.publish, 1),
    (World.whole, 2),
)
"""What may happen, and how often."""
WATCHING = ((World.watch, 2), (World.watch_killed, 4))


def history(
    folder: Path, seed: int, steps: int, place: Place | None = None, prism: Path | None = None
) -> None:
    """Goes through a history.

    Args:
        folder: For the inputs; for the output too where no `place` is named.
        seed: Of chance.
        steps: How many.
        place: Where the output lies.
        prism: The runner of watches; without it there are none.

    Raises:
        AssertionError: Something was not as of a fresh run. Tells all that had happened.
    """
    world = World(folder, place or Place(str(folder)), seed, prism)
    try:
        world.go_through(steps)
    except AssertionError as error:
        past = "\n".join(f"  {line}" for line in world.told)
        raise AssertionError(f"history {seed}:\n{past}\n{error}") from error


def main() -> None:
    """Goes through histories, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=0, help="seed of the first")
    parser.add_argument("--count", type=int, default=10, help="how many")
    parser.add_argument("--steps", type=int, default=14, help="of each")
    parser.add_argument("--prism", type=Path, help="Prism's program: watches are among the steps")
    parser.add_argument("--output", help="where outputs lie, such as s3://bucket; else on disk")
    parser.add_argument("--storage-options", type=json.loads, default={}, help="as of a command")
    typed = parser.parse_args()
    # What a command imports is here already when it is forked.
    for module in ("convert", "finish", "verify", "watch.command"):
        importlib.import_module(f"beam_mat.{module}")
    place = Place(typed.output, typed.storage_options) if typed.output else None
    for seed in range(typed.first, typed.first + typed.count):
        with tempfile.TemporaryDirectory() as folder:
            history(Path(folder), seed, typed.steps, place, typed.prism)
        sys.stdout.write(f"history {seed}: as a fresh run\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
