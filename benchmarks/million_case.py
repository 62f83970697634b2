"""The case of a million records: compares time per record and memory with 57,000 records."""

from typing import TYPE_CHECKING

from comparison import MB, Case, Figure, Results, Side, peak_mb, seconds

if TYPE_CHECKING:
    from cases import Setup

SMALL, LARGE = 57_000, 1_000_000
IMAGES = 0.3
"""Distinct images per record, as in MAT: 17,500 for 57,000 records."""


def million(setup: "Setup") -> Case:
    sizes = [setup.count(SMALL), setup.count(LARGE)]
    data = [setup.sources.brief_records(size, round(size * IMAGES)) for size in sizes]
    runners: dict[str, tuple[str, ...]] = {"in process": ()}
    notes = [
        f"{size:,} records with {round(size * IMAGES):,} images, shortened from {made.origin}, "
        f"{made.json.stat().st_size / MB:,.0f} MB of JSON"
        for size, made in zip(sizes, data, strict=True)
    ]
    if setup.prism.is_file():
        runners["on Prism"] = ("--runner", "PrismRunner", "--prism_location", str(setup.prism))
    else:
        notes.append("not run on Prism: there is no Prism binary (scripts/prism builds it)")
    sides = [
        Side(f"{size:,} {where}", setup.convert(made, *options), size, size)
        for where, options in runners.items()
        for size, made in zip(sizes, data, strict=True)
    ]

    def figures(results: Results) -> list[Figure]:
        small, large = sizes
        found = []
        for where in runners:
            times = seconds(results, f"{large:,} {where}"), seconds(results, f"{small:,} {where}")
            ratio = times[0] / large / (times[1] / small)
            found.append(Figure(f"time per record, large / small, {where}", ratio, "x", 1.1))
        peak = peak_mb(results, f"{large:,} in process")
        return [*found, Figure("peak memory in process", peak, "MB", 600)]

    inputs = [path for made in data for path in (made.json, made.zip)]
    return Case("million", "A million records", "records", inputs, sides, figures, notes)
