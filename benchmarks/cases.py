"""The cases: the commands that are compared, and the figures that are calculated."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cache import HERE
from comparison import MB, Case, Figure, Results, Side, peak_mb, seconds
from inputs import Dataset, Sources
from lock_case import lock
from million_case import million
from page_cases import page
from rerun_cases import again
from store_cases import remote


@dataclass(frozen=True)
class Setup:
    """The setup of all cases. `scale` shrinks the inputs; the bounds apply to 1."""

    sources: Sources
    beam_mat: Path
    prism: Path
    scale: float = 1.0

    def count(self, full: int) -> int:
        return max(1, round(full * self.scale))

    def convert(self, data: Dataset, *options: str) -> Callable[[Path], list[str]]:
        shard, archive = str(data.json), str(data.zip)
        fixed = [str(self.beam_mat), "convert", "--json", shard, "--images", archive]
        return lambda output: [*fixed, "--output", str(output), "--overwrite", *options]


def script(name: str, *arguments: str) -> list[str]:
    """The command line of a script in this folder."""
    return [sys.executable, str(HERE / name), *arguments]


def images(setup: Setup) -> Case:
    count = setup.count(6000)
    parquet = ("--formats", "parquet")
    data = setup.sources.images(count)

    def loop(resizer: str) -> Callable[[Path], list[str]]:
        source = [resizer, str(data.json), str(data.zip)]
        return lambda output: script("loop_images.py", *source, str(output))

    sides = [
        Side("convert", setup.convert(data, *parquet), count, count),
        Side("Pillow loop", loop("pillow"), count),
        Side("cykooz loop", loop("cykooz"), count),
    ]
    # The bounds are ratios of images per second, that is, of inverse times.
    bounds = [("convert", "Pillow loop", 2.0), ("convert", "cykooz loop", 0.9)]
    notes = [f"{count:,} images from {data.origin}"]
    if setup.prism.is_file():
        options = (*parquet, "--runner", "PrismRunner", "--prism_location", str(setup.prism))
        sides.insert(1, Side("convert on Prism", setup.convert(data, *options), count, count))
        bounds.insert(1, ("convert on Prism", "Pillow loop", 1.8))
    else:
        notes.append("not run on Prism: there is no Prism binary (scripts/prism builds it)")

    def figures(results: Results) -> list[Figure]:
        return [
            Figure(
                f"images/s of {ours} / {other}",
                seconds(results, other) / seconds(results, ours),
                "x",
                bound,
                at_least=True,
            )
            for ours, other, bound in bounds
        ]

    inputs = [data.json, data.zip]
    return Case("images", "Images, including start-up", "images", inputs, sides, figures, notes)


def records(setup: Setup) -> Case:
    count = setup.count(57_000)
    data = setup.sources.records(count, setup.count(17_500))
    sides = [
        Side("convert", setup.convert(data), count, count),
        Side(
            "json.load + json.dump",
            lambda output: script("loop_json.py", str(data.json), str(output / "copy.json")),
            count,
        ),
    ]

    def figures(results: Results) -> list[Figure]:
        ratio = seconds(results, "convert") / seconds(results, "json.load + json.dump")
        return [
            Figure("time of convert / json.load + json.dump", ratio, "x", 2.2),
            Figure("peak memory of convert", peak_mb(results, "convert"), "MB", 400),
        ]

    size = data.json.stat().st_size / MB
    notes = [f"{count:,} records from {data.origin}, {size:,.0f} MB of JSON"]
    inputs = [data.json, data.zip]
    return Case("records", "Everything but images", "records", inputs, sides, figures, notes)


def scale(setup: Setup) -> Case:
    sizes = [(setup.count(5_700), setup.count(1_750)), (setup.count(57_000), setup.count(17_500))]
    small, large = (setup.sources.records(count, images) for count, images in sizes)
    sides = [
        Side(f"{data.records:,} records", setup.convert(data), data.records, data.records)
        for data in (small, large)
    ]

    def figures(results: Results) -> list[Figure]:
        one, ten = (side.name for side in sides)
        return [
            Figure("time, large / small", seconds(results, ten) / seconds(results, one), "x", 10.5),
            Figure(
                "memory, large / small", peak_mb(results, ten) / peak_mb(results, one), "x", 1.3
            ),
        ]

    notes = [f"{small.records:,} and {large.records:,} records from {small.origin}"]
    inputs = [small.json, small.zip, large.json, large.zip]
    return Case("scale", "Ten times the records", "records", inputs, sides, figures, notes)


def start(setup: Setup) -> Case:
    data = setup.sources.sample()
    sides = [
        Side("convert", setup.convert(data)),
        Side("import apache_beam", lambda _: [sys.executable, "-c", "import apache_beam"]),
    ]

    def figures(results: Results) -> list[Figure]:
        more = seconds(results, "convert") - seconds(results, "import apache_beam")
        return [Figure("convert - import apache_beam", more, "s", 1.5)]

    notes = [f"{data.records} {data.origin}"]
    inputs = [data.json, data.zip]
    return Case("start", "A small dataset", "records", inputs, sides, figures, notes)


CASES: dict[str, Callable[[Setup], Case]] = {
    "images": images,
    "records": records,
    "scale": scale,
    "start": start,
    "lock": lock,
    "remote": remote,
    "again": again,
    "page": page,
    "million": million,
}
USUAL = [name for name in CASES if name != "million"]
"""The default cases. A million records take long and need about 10 GB of disk space."""
