"""The case of the interpreter lock: how long the runner's process holds it for each image."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cache import fresh_folder
from comparison import Case, Figure, Results, Side

if TYPE_CHECKING:
    from cases import Setup

SAMPLES_PER_SECOND = 500


class Lock:
    """Seconds for which the interpreter lock was held, by the number of images."""

    def __init__(self, convert: Sequence[str], counts: Sequence[int]) -> None:
        self._convert = convert
        self.held = dict.fromkeys(counts, 0.0)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        for count in self.held:
            with fresh_folder() as folder:
                self.held[count] = self._sampled(count, folder)
        yield

    def _sampled(self, count: int, folder: Path) -> float:
        spy = [str(Path(sys.executable).with_name("py-spy")), "record", "--gil"]
        options = ["--rate", str(SAMPLES_PER_SECOND), "--format", "raw", "--output"]
        samples = folder / "samples"
        program = [sys.executable, *self._convert, "--limit", str(count)]
        words = [*spy, *options, str(samples), "--", *program, "--output", str(folder / "out")]
        subprocess.run(words, check=True, capture_output=True)
        counted = sum(int(line.rsplit(" ", 1)[1]) for line in samples.read_text().splitlines())
        return counted / SAMPLES_PER_SECOND

    def milliseconds(self) -> float:
        """Milliseconds for each image, without the start-up that all runs share."""
        (few, short), (many, long) = sorted(self.held.items())
        return 1000 * (long - short) / (many - few)


def lock(setup: "Setup") -> Case:
    title = "The interpreter lock"
    if not Path(sys.executable).with_name("py-spy").is_file():
        return Case("lock", title, "images", [], [], lambda _: [], ["not run: py-spy is missing"])
    count = setup.count(6000)
    data = setup.sources.images(count)
    fixed = ["convert", "--json", str(data.json), "--images", str(data.zip), "--formats", "parquet"]
    lock = Lock([str(setup.beam_mat), *fixed], [count // 10, count])
    side = Side("convert", setup.convert(data, "--formats", "parquet"), count)

    def figures(_: Results) -> list[Figure]:
        return [Figure("lock held by the runner's process", lock.milliseconds(), "ms/image", 0.2)]

    notes = [f"{count:,} images from {data.origin}; {SAMPLES_PER_SECOND} samples a second"]
    return Case(
        "lock", title, "images", [data.json, data.zip], [side], figures, notes, lock.running
    )
