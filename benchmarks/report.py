"""Formats the results as two tables, for the terminal and for benchmarks/README.md."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median

from comparison import MB, Case, Results
from machine import machine, versions
from measure import MEMORY_KIND
from rich.console import Console
from rich.table import Table

BEGIN = "<!-- measured: begin -->"
END = "<!-- measured: end -->"

RUN_HEADER = ["Case", "Side", "median s", "min s", "max s", "CPU s", "rate", "peak MB"]
FIGURE_HEADER = ["Case", "Figure", "measured", "bound", "met"]

Measured = Sequence[tuple[Case, Results]]


def run_rows(measured: Measured) -> list[list[str]]:
    """The rows of the first table, one for each side of each case."""
    rows = []
    for case, results in measured:
        for side in case.sides:
            runs = results[side.name]
            times = [run.seconds for run in runs]
            middle = median(times)
            cpu = median(run.cpu_seconds for run in runs)
            peak = median(run.peak_bytes for run in runs) / MB
            rate = f"{side.items / middle:,.0f} {case.item}/s" if side.items else ""
            numbers = [middle, min(times), max(times), cpu]
            row = [case.name, side.name, *(f"{number:.2f}" for number in numbers)]
            rows.append([*row, rate, f"{peak:,.0f}"])
    return rows


def figure_rows(measured: Measured) -> list[list[str]]:
    """The rows of the second table, one for each figure."""
    return [
        [
            case.name,
            figure.what,
            f"{figure.value:.2f} {figure.unit}",
            f"{'at least' if figure.at_least else 'at most'} {figure.bound:g} {figure.unit}",
            "yes" if figure.kept else "no",
        ]
        for case, results in measured
        for figure in case.figures(results)
    ]


def heading(measured: Measured, rounds: int) -> list[str]:
    """The lines above the tables: machine, versions, method and inputs."""
    lines = [machine(), versions(), f"{rounds} rounds, sides in turn; memory is {MEMORY_KIND}"]
    return lines + [f"{case.name}: {'; '.join(case.notes)}" for case, _ in measured]


def show(console: Console, measured: Measured, rounds: int) -> None:
    """Prints both tables."""
    for line in heading(measured, rounds):
        console.print(line, highlight=False)
    tables = (RUN_HEADER, run_rows(measured)), (FIGURE_HEADER, figure_rows(measured))
    for header, rows in tables:
        table = Table(*header)
        for row in rows:
            table.add_row(*row)
        console.print(table)


def write(readme: Path, measured: Measured, rounds: int) -> None:
    """Writes both tables between the markers in `readme`.

    Raises:
        ValueError: `readme` does not have the markers.
    """
    text = readme.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{readme} must have the lines {BEGIN} and {END}; add them again")
    lines = [f"- {line}" for line in heading(measured, rounds)]
    parts = [
        "\n".join(lines),
        markdown(RUN_HEADER, run_rows(measured)),
        markdown(FIGURE_HEADER, figure_rows(measured)),
    ]
    body = "\n\n".join(parts)
    readme.write_text(f"{before}{BEGIN}\n{body}\n{END}{after}", encoding="utf-8")


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Makes a Markdown table. All columns except the first two are aligned to the right."""
    rule = ["---" if column < 2 else "---:" for column in range(len(header))]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *rows))
