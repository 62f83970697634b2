"""Random histories of an output folder: inputs change, runs are killed and files get lost.

After any history, the next complete run must give the same result as a run into an empty folder.
Every command runs in a forked process, which can be killed at any change of its output. The process
then ends at once, holding its lock and leaving scratch files.

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
import re
import shutil
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from beam_mat.cli import entry as cli
from beam_mat.storage import files, store, stores
from beam_mat.storage.local_store import LocalStore
from beam_mat.storage.remote_store import MemoryStore, RemoteStore
from tests import log_checks, quick_beam
from tests.making import image_record, picture, record, write_files, write_shard, write_zip
from tests.processes import end, mark
from tests.stands.reach import Options

KILLED = 137
NOTHING_ACCEPTED = 3
CHANGES = tuple(
    (kind, name) for kind in (LocalStore, MemoryStore, RemoteStore) for name in store.CHANGES
)
"""Every method that changes an output folder: see `beam_mat.storage.store`."""

IMAGES = [f"{folder}/{name}" for folder in "ab" for name in ("0.jpg", "1.png", "2.jpg", "3.jpg")]
LOG = ("generations/", "replaced/")
"""Folders whose content depends on the history."""
COMMIT = re.compile(r"generations/\d{6}\.json")

Tree = dict[str, bytes]


def forked(work: Callable[[], Any], kill_at: int | None = None) -> tuple[int, Any]:
    """Calls a function in a child process.

    Args:
        work: The function.
        kill_at: The number of changes to a folder after which the process dies in the next one.

    Returns:
        The child's exit code, and the function's result; None if it did not return.
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
        setattr(owner, name, lambda *arguments, change=change: dying(change, *arguments))


@dataclass
class Place:
    """The location of outputs.

    Attributes:
        uri: URI of a folder.
        options: Storage options.
    """

    uri: str
    options: Options = field(default_factory=dict)

    def run(self, *words: str, kill_at: int | None = None) -> tuple[int, str]:
        """Runs a command.

        Returns:
            Its exit code and its output.
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
        """Calls a function of `beam_mat.storage.files` and returns its result."""

        def call() -> Any:
            stores.use(self.options)
            return question(*arguments)

        return forked(call)[1]


def names(output: str) -> list[str]:
    """Returns all files below a folder, including work results."""
    return [name for name, _ in files.find(output)]


def tree(output: str) -> Tree:
    """Returns the files of a dataset."""
    found = [name for name in names(output) if not name.startswith(("_beam_mat/", *LOG))]
    data = files.read_each(files.join(output, name) for name in found)
    return dict(zip(found, data, strict=True))


def without_generation(manifest: bytes) -> bytes:
    """Returns a manifest without its generation number, which depends on the history."""
    return re.sub(rb'  "generation": \d+,\n', b"", manifest)


def rows(found: Tree) -> Counter[bytes]:
    """Counts the JSONL rows and rejected records."""
    lines = Counter[bytes]()
    for name, data in found.items():
        if name.startswith(("jsonl", "rejects/")):
            lines.update(data.splitlines())
    return lines


class World:
    """The inputs and an output, with random changes to them.

    Attributes:
        told: The steps so far, one line per step.
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
        self._lost = False
        self._keep: list[str] = []
        if kept := chance.choice((None, "1", "2", "all")):
            self._keep = ["--keep-generations", kept]
        self._folder.mkdir()

    def go_through(self, steps: int) -> None:
        """Makes random steps, and then a complete run."""
        weighted = (*STEPS, *WATCHING) if self._prism else STEPS
        kinds, weights = zip(*weighted, strict=True)
        first = (World.put_shard, World.put_source)
        for step in (*first, *self._chance.choices(kinds, weights, k=steps), World.whole):
            if self._sources or step in (World.put_shard, World.put_source, World.bring_back):
                self.told.append(step.__name__)
                step(self)
                self._hold_to_log()

    # Changes of the inputs.

    def put_shard(self) -> None:
        """Adds or replaces a shard."""
        name = f"{self._chance.choice('stuv')}.json"
        self._land(name, [self._record() for _ in range(self._chance.randint(0, 6))])

    def put_source(self) -> None:
        """Adds or replaces a zip or a folder of images."""
        name = self._chance.choice(("y.zip", "z.zip", *(() if self._prism else ("folder",))))
        paths = self._chance.sample(IMAGES, self._chance.randint(0, len(IMAGES)))
        self._land(name, {path: self._picture(path) for path in paths})

    def repaint(self) -> None:
        """Some pictures of a source become others, under their old names."""
        name = self._chance.choice([*self._sources])
        members = dict(self._sources[name])
        for path in self._chance.sample(sorted(members), min(len(members), 2)):
            format = "PNG" if path.endswith("png") else "JPEG"
            members[path] = picture((80, 60), self._chance.randint(4, 99), format)
        taken_away = self._taken_away
        self._land(name, members)
        self._taken_away = taken_away  # every path is still there

    def take_away(self) -> None:
        """Removes an input."""
        name = self._chance.choice([*self._shards, *self._sources])
        self._tell(name)
        if len(self._shards) > 1 or name not in self._shards:
            self._drop(name)
            self._taken_away = True

    def bring_back(self) -> None:
        """Restores an earlier version of an input, with its time."""
        if self._past:
            name = self._chance.choice(sorted(self._past))
            self._land(name, *self._chance.choice(self._past[name]))

    def touch(self) -> None:
        """Changes the time of an input but not its content."""
        name = self._chance.choice([*self._shards, *self._sources])
        self._land(name, self._shards[name] if name in self._shards else self._sources[name])

    def shuffle(self) -> None:
        """Changes the precedence of sources. In a watch it depends on their names."""
        if not self._prism:
            self._chance.shuffle(self._order)

    def decide_otherwise(self) -> None:
        """Changes an option that affects the output, so that the next run needs --overwrite."""
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

    # Changes of the output.

    def lose(self) -> None:
        """Removes files and the manifest. With a manifest, a run would not look for lost files."""
        found = self._place.ask(names, self._output)
        if not any(name.startswith("_beam_mat/") for name in found):
            return  # without work results the folder is not a dataset
        if self._prism or self._keep:  # older generations cannot be made again
            found = [name for name in found if name.startswith("_beam_mat/")]
        else:
            self._lost = True
        lost = self._chance.sample(found, min(len(found), self._chance.randint(1, 3)))
        for name in {*lost, "manifest.json"}:
            self._tell(name)
            self._place.ask(files.remove_file, files.join(self._output, name))

    def forget(self) -> None:
        """Removes all work results of a finished dataset. A watch needs them."""
        if not self._prism and self._published():
            self._place.ask(files.remove, files.join(self._output, "_beam_mat"))

    def killed(self) -> None:
        """Kills a conversion."""
        at = self._chance.randint(0, self._changes)
        code, said = self._convert(at)
        self._tell(f"at {at}: {'killed' if code == KILLED else 'done'}")
        assert code in (0, KILLED), said
        if code == 0:
            self._strays = False
            self._hold_to_fresh()
        else:
            self._hold_to_manifest()

    def vacuum(self) -> None:
        """Older generations are removed, or the vacuum is killed while it removes them."""
        keep = self._chance.randint(1, 3)
        at = self._chance.choice((None, self._chance.randint(0, 20)))
        code, said = self._place.run("vacuum", self._output, "--keep", str(keep), kill_at=at)
        self._tell(f"--keep {keep} at {at}: {code}")
        assert code in ((0, 1, 2, KILLED) if self._lost else (0, 2, KILLED)), said
        assert "Traceback" not in said, said
        if code == 0:
            assert len(self._place.ask(log_checks.kept, self._output)) <= keep
            self._strays = False
        self._hold_to_manifest()

    def publish(self) -> None:
        """Runs ``publish`` in any state."""
        code, said = self._place.run("publish", self._output)
        self._tell(code)
        assert code in (0, 1, 2, NOTHING_ACCEPTED), said
        assert "Traceback" not in said, said

    def whole(self) -> None:
        """Makes a complete conversion."""
        code, said = self._convert()
        assert code == 0, said
        self._strays = False
        self._hold_to_fresh()

    def watch(self) -> None:
        """Runs a watch until it is idle."""
        if not self._overwrite:
            code, said = self._watch()
            assert code == 0, said
            self._strays = False
            self._hold_to_manifest()
            self._hold_to_rows()

    def watch_killed(self) -> None:
        """Kills a watch."""
        if not self._overwrite:
            at = self._chance.randint(0, 2 * self._changes)
            code, said = self._watch(at)
            self._tell(f"at {at}: {'killed' if code == KILLED else 'done'}")
            assert code in (0, KILLED), said
            # Files that were not committed remain until the next run.
            self._strays |= code == KILLED
            self._hold_to_manifest()

    def _convert(self, kill_at: int | None = None) -> tuple[int, str]:
        more = [*self._keep, *(["--overwrite"] if self._overwrite else [])]
        code, said = self._place.run(*self._words(self._output), *more, kill_at=kill_at)
        code = 0 if code == NOTHING_ACCEPTED else code
        if code == 0:
            self._overwrite = self._lost = False
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
        return self._place.run(*words, *self._keep, kill_at=kill_at)

    # Checks.

    def _published(self) -> bool:
        return bool(self._place.ask(files.exists, files.join(self._output, "manifest.json")))

    def _hold_to_manifest(self) -> None:
        """Checks that if there is a manifest, all its files are valid."""
        if self._published():
            code, said = self._place.run("verify", self._output)
            faults = [line for line in said.splitlines() if line.startswith("  ")]
            if self._strays:
                faults = [fault for fault in faults if not _is_left_by_a_kill(fault)]
                code = code if faults else 0
            assert code == 0, said

    def _hold_to_log(self) -> None:
        """Every generation in the log can be read whole, with its own pictures."""
        if not self._lost:
            faults = self._place.ask(log_checks.faults, self._output)
            assert faults == [], faults

    def _anew(self) -> Tree:
        """Returns the files of a run into an empty folder."""
        self._place.ask(files.remove, self._fresh)
        code, said = self._place.run(*self._words(self._fresh))
        assert code in (0, NOTHING_ACCEPTED), said
        return dict(self._place.ask(tree, self._fresh))

    def _hold_to_rows(self) -> None:
        """Compares rows with those of a run into an empty folder. A watch keeps removed inputs."""
        if not self._taken_away:
            found, expected = rows(self._place.ask(tree, self._output)), rows(self._anew())
            assert found == expected, f"too much: {found - expected}, missing: {expected - found}"

    def _hold_to_fresh(self) -> None:
        """Compares all files with those of a run into an empty folder."""
        self._hold_to_manifest()
        found = self._place.ask(tree, self._output)
        expected = self._anew()
        self._changes = 2 * len(expected)
        for one in (found, expected):
            one["manifest.json"] = without_generation(one["manifest.json"])
        commits = [name for name in self._place.ask(names, self._output) if COMMIT.fullmatch(name)]
        if len(commits) > 1:
            kept = [name for name in found.keys() - expected.keys() if name.startswith("images/")]
            for name in kept:  # rows of older generations use them
                del found[name]
        faults = [f"{name}: is too much" for name in found.keys() - expected.keys()]
        faults += [f"{name}: is missing" for name in expected.keys() - found.keys()]
        faults += [f"{name}: differs" for name in found if found[name] != expected.get(name)]
        assert not faults, "\n".join(faults)


def _is_left_by_a_kill(fault: str) -> bool:
    """Returns whether a watch that was killed during a commit may leave this fault."""
    return "is not in the manifest" in fault or fault.startswith(
        ("  images.parquet: ", "  images/")
    )


STEPS = (
    (World.put_shard, 3),
    (World.put_source, 3),
    (World.repaint, 2),
    (World.take_away, 1),
    (World.bring_back, 2),
    (World.touch, 1),
    (World.shuffle, 1),
    (World.decide_otherwise, 0.5),
    (World.lose, 1),
    (World.forget, 0.3),
    (World.killed, 5),
    (World.publish, 1),
    (World.vacuum, 1.5),
    (World.whole, 2),
)
"""The possible steps and their weights."""
WATCHING = ((World.watch, 2), (World.watch_killed, 4))


def history(
    folder: Path, seed: int, steps: int, place: Place | None = None, prism: Path | None = None
) -> None:
    """Runs one history.

    Args:
        folder: Folder for the inputs, and for the output if there is no `place`.
        seed: Seed of the random steps.
        steps: Number of steps.
        place: Location of the output.
        prism: Prism's program for watches. Without it there are no watches.

    Raises:
        AssertionError: The result differs from a fresh run. The message lists all steps.
    """
    world = World(folder, place or Place(str(folder)), seed, prism)
    try:
        world.go_through(steps)
    except AssertionError as error:
        past = "\n".join(f"  {line}" for line in world.told)
        raise AssertionError(f"history {seed}:\n{past}\n{error}") from error


def main() -> None:
    """Runs histories one after another."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=0, help="seed of the first")
    parser.add_argument("--count", type=int, default=10, help="how many")
    parser.add_argument("--steps", type=int, default=14, help="of each")
    parser.add_argument("--prism", type=Path, help="Prism's program: watches are among the steps")
    parser.add_argument("--output", help="where outputs lie, such as s3://bucket; else on disk")
    parser.add_argument("--storage-options", type=json.loads, default={}, help="as of a command")
    typed = parser.parse_args()
    # Import the modules of the commands before the fork.
    for module in ("convert.driver", "dataset.verify", "watch.driver"):
        importlib.import_module(f"beam_mat.{module}")
    quick_beam.install()
    place = Place(typed.output, typed.storage_options) if typed.output else None
    for seed in range(typed.first, typed.first + typed.count):
        with tempfile.TemporaryDirectory() as folder:
            history(Path(folder), seed, typed.steps, place, typed.prism)
        sys.stdout.write(f"history {seed}: as a fresh run\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
