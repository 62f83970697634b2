"""A watch under stress: files arrive in any order and pace, and the job is killed again and again.

`scripts/soak` runs it at length, and the tests in small.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq

from tests.command import PROGRAM, ROOT, convert_words
from tests.outputs import commits
from tests.processes import end, mark, survivors

WINDOWS = ("1s", "2s", "3s")


@dataclass
class Landing:
    """One file that is to arrive: what it holds, and how."""

    name: str
    versions: list[bytes]
    slowly: bool = False


@dataclass
class Soak:
    """What a soak did and found."""

    kills: int = 0
    landed: dict[str, float] = field(default_factory=dict)
    windows: list[str] = field(default_factory=list)


def landings(json_file: Path, zip_file: Path, shards: int, zips: int, seed: int) -> list[Landing]:
    """Cuts a shard and a zip into so many, some of which land twice, or in two halves."""
    chance = random.Random(seed)
    records = json.loads(json_file.read_bytes())
    chance.shuffle(records)
    made = []
    for number in range(shards):
        own = records[number::shards]
        data = json.dumps(own, indent=1).encode()
        versions = [data]
        if chance.random() < 0.15:
            # A first version with a record too few, which the second has.
            versions.insert(0, json.dumps(own[1:]).encode())
        made.append(Landing(f"shard-{number:04d}.json", versions, chance.random() < 0.3))
    with zipfile.ZipFile(zip_file) as archive:
        members = [(info, archive.read(info)) for info in archive.infolist() if not info.is_dir()]
    chance.shuffle(members)
    for number in range(zips):
        made.append(Landing(f"part-{number:03d}.zip", [_zip(members[number::zips])]))
    chance.shuffle(made)
    return made


def whole(files: Sequence[Path], seed: int) -> list[Landing]:
    """Files that land as they are, in any order."""
    chance = random.Random(seed)
    made = [Landing(file.name, [file.read_bytes()], chance.random() < 0.5) for file in files]
    chance.shuffle(made)
    return made


def _zip(members: Sequence[tuple[zipfile.ZipInfo, bytes]]) -> bytes:
    import io

    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for info, data in members:
            archive.writestr(zipfile.ZipInfo(info.filename, (2024, 12, 10, 0, 0, 0)), data)
    return out.getvalue()


def land(folder: Path, what: Landing, chance: random.Random, pace: float) -> None:
    """Has a file arrive, in the versions and as slowly as it says."""
    for version in what.versions:
        if what.slowly:
            half = len(version) // 2
            with (folder / what.name).open("wb") as file:
                file.write(version[:half])
                file.flush()
                time.sleep(pace * 2)
                file.write(version[half:])
        else:
            # Whole at once, as most who write for others do.
            partial = folder / f".{what.name}.partial"
            partial.write_bytes(version)
            partial.replace(folder / what.name)
        time.sleep(pace * chance.random() * 2)


class Watch:
    """A watch in a process of its own, that can be killed."""

    def __init__(
        self,
        folder: Path,
        prism: Path,
        window: str,
        *options: str,
        largest: int | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._marked = mark()
        self.log = folder / "log.jsonl"
        # What is said again in `options` counts.
        words = [
            "watch",
            "--json",
            str(folder / "in" / "*.json"),
            "--images",
            str(folder / "in" / "*.zip"),
            "--output",
            str(folder / "out"),
            "--prism_location",
            str(prism),
            *("--interval", "0.3s", "--window", window, *options),
        ]
        with self.log.open("ab") as log, (folder / "err.txt").open("ab") as err:
            self.process = subprocess.Popen(
                [*PROGRAM, *words],
                env={
                    **os.environ,
                    "PYTHONPATH": str(ROOT),
                    **(environment or {}),
                    **self._marked,
                },
                stdout=log,
                stderr=err,
            )
        if largest is not None:
            # As on a disk that is full: no file may grow beyond so many bytes.
            psutil.Process(self.process.pid).rlimit(psutil.RLIMIT_FSIZE, (largest, largest))

    def kill(self, *, runner: bool) -> None:
        """kill -9 of the command, or of Prism alone; nothing of it is left when this returns."""
        victim = psutil.Process(self.process.pid)
        if runner:
            victim = next(iter(victim.children()), victim)
        victim.kill()
        self.process.wait(60)
        self.end()

    def end(self) -> None:
        """Ends what a killed command has left."""
        end(self._marked)

    def errors(self) -> str:
        """What this watch and those before it have written to standard error."""
        return (self.log.parent / "err.txt").read_text()

    def survivors(self) -> list[str]:
        """Processes of this watch that have not ended with it."""
        return survivors(self._marked)

    def stop(self, wait: float = 120) -> int:
        """Asks it to end, and returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(wait)


def soak(
    folder: Path,
    prism: Path,
    files: Sequence[Landing],
    *,
    kills: int,
    pace: float,
    seed: int,
    image_wait: str = "4s",
) -> Soak:
    """Has files land while a watch is killed again and again, and lets it come to an end.

    Args:
        folder: For everything.
        prism: The runner's program.
        files: What is to land, in order.
        kills: How often to kill at least, before the watch is left alone.
        pace: Seconds between two files, on average.
        seed: Of chance.
        image_wait: As the option.
    """
    chance = random.Random(seed)
    done = Soak()
    (folder / "in").mkdir(parents=True)
    landing = threading.Thread(target=_land_all, args=(folder, files, pace, seed, done))
    landing.start()
    with Reader(folder / "out") as reader:
        _kill_and_go_on(folder, prism, landing, done, kills, chance, image_wait)
    assert reader.looks
    assert reader.faults == []
    return done


def _kill_and_go_on(
    folder: Path,
    prism: Path,
    landing: threading.Thread,
    done: Soak,
    kills: int,
    chance: random.Random,
    image_wait: str,
) -> None:
    while done.kills < kills or landing.is_alive():
        window = chance.choice(WINDOWS)
        done.windows.append(window)
        watch = Watch(folder, prism, window, "--image-wait", image_wait)
        try:
            try:
                watch.process.wait(1.0 + chance.random() * 7)
                raise AssertionError((folder / "err.txt").read_text())
            except subprocess.TimeoutExpired:
                watch.kill(runner=chance.random() < 0.3)
                done.kills += 1
        finally:
            watch.end()
    landing.join()
    watch = Watch(folder, prism, "1s", "--image-wait", image_wait, "--stop-when-idle", "3s")
    try:
        code = watch.process.wait(300)
    finally:
        watch.end()
    assert code == 0, (folder / "err.txt").read_text()


class Reader:
    """Reads the dataset's folders all the time, as a trainer may: each part there is whole.

    Attributes:
        faults: What was not.
        looks: How often it has looked.
    """

    def __init__(self, output: Path) -> None:
        self._output = output
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read)
        self.faults: list[str] = []
        self.looks = 0

    def __enter__(self) -> Reader:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _read(self) -> None:
        while not self._over.wait(0.2):
            self.looks += 1
            for file in [*self._output.glob("jsonl/*"), *self._output.glob("parquet/*")]:
                try:
                    if file.suffix == ".jsonl":
                        assert all(json.loads(line) for line in file.read_bytes().splitlines())
                    else:
                        pq.ParquetFile(file).read()
                except FileNotFoundError:
                    continue  # it has been replaced since the folder was listed
                except Exception as error:  # noqa: BLE001  # whatever it is, it is told
                    self.faults.append(f"{file}: {error!r}")


def _land_all(folder: Path, files: Sequence[Landing], pace: float, seed: int, done: Soak) -> None:
    chance = random.Random(seed + 1)
    for what in files:
        land(folder / "in", what, chance, pace)
        done.landed[what.name] = time.time()


def expected(folder: Path) -> Path:
    """What a conversion makes of the files that have landed."""
    output = folder / "batch"
    found = sorted((folder / "in").glob("*.json")), sorted((folder / "in").glob("*.zip"))
    subprocess.run(
        [*PROGRAM, *convert_words(found[0], found[1], output)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
    )
    return output


def union(output: Path, upto: int | None = None) -> tuple[Counter[bytes], Counter[bytes]]:
    """JSONL rows and rejects that the generations add up to, each with how often it is there."""
    live: dict[str, dict[str, Any]] = {}
    for generation in commits(output)[:upto]:
        if generation["previous"] == 0:
            live.clear()
        for changes in (generation["parts"], generation["rejects"]):
            for part in changes["removed"]:
                del live[part["path"]]
            for part in changes["added"]:
                assert part["path"] not in live, "a part is added twice"
                live[part["path"]] = part
    rows, rejects = Counter[bytes](), Counter[bytes]()
    for path, part in live.items():
        file = output / path if (output / path).exists() else output / "replaced" / path
        if path.startswith("rejects/"):
            rejects.update(file.read_bytes().splitlines())
        elif part["format"] == "jsonl":
            rows.update(file.read_bytes().splitlines())
    return rows, rejects


def flat(output: Path) -> tuple[Counter[bytes], Counter[bytes]]:
    """JSONL rows and rejects that the folders hold."""
    found = []
    for folder in ("jsonl", "rejects"):
        lines = Counter[bytes]()
        for file in (output / folder).glob("*"):
            lines.update(file.read_bytes().splitlines())
        found.append(lines)
    return found[0], found[1]


def check(folder: Path) -> None:
    """Holds the generations against a conversion of the same files, record by record.

    Raises:
        AssertionError: A record is missing, is there twice, or is otherwise.
    """
    batch = expected(folder)
    output = folder / "out"
    assert union(output) == flat(batch), "the generations do not add up to the conversion"
    assert flat(output) == flat(batch), "the folders hold other rows"
    found, wanted = (
        json.loads((place / "manifest.json").read_bytes()) for place in (output, batch)
    )
    assert found["counts"]["records"] == wanted["counts"]["records"]
    assert found["counts"] == wanted["counts"]
    assert found["inputs"] == wanted["inputs"]
    assert found["generation"] == len(commits(output))


def main() -> None:
    """Runs a long soak from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--zip", type=Path, required=True)
    parser.add_argument("--prism", type=Path, default=ROOT / ".cache" / "prism" / "prism")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--shards", type=int, default=40)
    parser.add_argument("--zips", type=int, default=10)
    parser.add_argument("--pace", type=float, default=0.8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--faults", type=Path, help="a folder of `beam-mat sample --faults`")
    typed = parser.parse_args()
    files = landings(typed.json, typed.zip, typed.shards, typed.zips, typed.seed)
    if typed.faults:
        files += whole(sorted(typed.faults.iterdir()), typed.seed)
        random.Random(typed.seed).shuffle(files)
    done = soak(
        typed.folder, typed.prism, files, kills=typed.kills, pace=typed.pace, seed=typed.seed
    )
    check(typed.folder)
    made = len(commits(typed.folder / "out"))
    sys.stdout.write(
        f"{done.kills} kills, {len(files)} files, {made} generations: equal to a conversion\n"
    )


if __name__ == "__main__":
    main()
