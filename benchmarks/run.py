"""Runs the benchmarks of beam-mat and prints the results as tables."""

import argparse
import json
import os
import sys
from pathlib import Path

import report
from cache import HERE, ROOT, fresh_folder
from cases import CASES, USUAL, Setup
from comparison import Case, Results, Side
from inputs import Sources
from measure import CommandFailed, Measurement, measure
from rich.console import Console

# A file or a pipe has no width. 140 columns are enough for the lines of the tables.
console = Console(width=None if sys.stdout.isatty() else 140)


def main() -> int:
    args = parse()
    setup = Setup(
        Sources(args.photos, args.mat_sample, args.beam_mat), args.beam_mat, args.prism, args.scale
    )
    measured = []
    for name in args.cases:
        console.print(f"{name}: making the inputs if they are not cached")
        case = CASES[name](setup)
        try:
            with case.around():
                measured.append((case, run(case, args.rounds)))
        except CommandFailed as failure:
            console.print(f"{name}: {failure}", style="red", markup=False)
            return 1
    report.show(console, measured, args.rounds)
    if args.write:
        report.write(HERE / "README.md", measured, args.rounds)
    return 0


def parse() -> argparse.Namespace:
    shared = ROOT.parent / "shared"
    prism = Path(os.environ.get("PRISM") or ROOT / ".cache" / "prism" / "prism")
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("cases", nargs="*", metavar="CASE", help=f"{', '.join(CASES)} (default: all but million)")
    add("--rounds", type=int, default=3, help="number of runs of each side (default: 3)")
    add("--scale", type=float, default=1.0, help="share of the full inputs, for a quick try")
    add("--write", action="store_true", help="write the tables to benchmarks/README.md")
    add("--photos", type=Path, default=shared / "photos", help="folder with photographs")
    add("--mat-sample", type=Path, default=shared / "mat-sample", help="folder with MAT's files")
    command = Path(sys.executable).with_name("beam-mat")
    add("--beam-mat", type=Path, default=command, help="the beam-mat command")
    add("--prism", type=Path, default=prism, help="the Prism binary (default: $PRISM)")
    args = parser.parse_args()
    args.cases = list(dict.fromkeys(args.cases)) or USUAL
    faults = []
    if unknown := [name for name in args.cases if name not in CASES]:
        faults.append(f"unknown case {', '.join(unknown)}; the cases are {', '.join(CASES)}")
    if args.rounds < 1:
        faults.append(f"--rounds is {args.rounds}, but must be at least 1")
    if not 0 < args.scale <= 1:
        faults.append(f"--scale is {args.scale}, but must be above 0 and at most 1")
    if not args.beam_mat.is_file():
        faults.append(f"{args.beam_mat} does not exist; run scripts/bench, or set --beam-mat")
    if args.write and (args.scale != 1 or not set(args.cases) >= set(USUAL)):
        faults.append("--write replaces the whole table, so it needs all cases and --scale 1")
    if faults:
        parser.error("; ".join(faults))
    return args


def run(case: Case, rounds: int) -> Results:
    """Runs all sides in turn, `rounds` times, so slow phases of the machine affect all sides."""
    for path in case.inputs:
        warm(path)
    results: dict[str, list[Measurement]] = {side.name: [] for side in case.sides}
    for number in range(1, rounds + 1):
        for side in case.sides:
            result = run_once(side)
            results[side.name].append(result)
            took, peak = f"{result.seconds:.2f} s", f"{result.peak_bytes / 1e6:,.0f} MB"
            where = f"{case.name}, round {number} of {rounds}, {side.name}"
            console.print(f"{where}: {took}, {peak}", highlight=False)
    return results


def run_once(side: Side) -> Measurement:
    """Runs a side once in a temporary folder.

    Raises:
        CommandFailed: The command failed or accepted the wrong number of records.
    """
    with fresh_folder() as folder:
        output = folder / "output"
        output.mkdir()
        if side.before:
            side.before(output)
        command = side.command(output)
        result = measure(command, folder / "log")
        if side.rows and (rows := accepted(output)) != side.rows:
            # If records were rejected, the run would seem to be faster than it is.
            fault = f"accepted {rows:,} records instead of {side.rows:,}"
            raise CommandFailed(f"{' '.join(command)}\n{fault}; see its rejects")
    os.sync()  # otherwise the disk writes of this run would slow down the next one
    return result


def accepted(output: Path) -> int:
    """Returns the number of records in a dataset."""
    manifest = json.loads((output / "manifest.json").read_bytes())
    return int(manifest["counts"]["accepted"])


def warm(path: Path) -> None:
    """Reads a file once, so that it is in the page cache for all sides."""
    with path.open("rb") as file:
        while file.read(1 << 24):
            pass


if __name__ == "__main__":
    sys.exit(main())
