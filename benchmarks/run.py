"""Measure beam-mat: make the inputs, run every side of each case in turn, print the table."""

import argparse
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

# A file or a pipe has no width: wide enough there that no line of the tables is broken.
console = Console(width=None if sys.stdout.isatty() else 140)


def main() -> int:
    args = parse()
    setup = Setup(
        Sources(args.photos, args.mat_sample, args.beam_mat), args.beam_mat, args.prism, args.scale
    )
    measured = []
    for name in args.cases:
        console.print(f"{name}: making the inputs, where they are not there yet")
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
    add("--rounds", type=int, default=3, help="how often each side runs (default 3)")
    add("--scale", type=float, default=1.0, help="share of the full inputs, to try it out")
    add("--write", action="store_true", help="put the table into benchmarks/README.md")
    add("--photos", type=Path, default=shared / "photos", help="folder of photographs")
    add("--mat-sample", type=Path, default=shared / "mat-sample", help="folder of MAT's files")
    add("--beam-mat", type=Path, default=Path(sys.executable).with_name("beam-mat"))
    add("--prism", type=Path, default=prism, help="Prism's binary (default $PRISM)")
    args = parser.parse_args()
    args.cases = list(dict.fromkeys(args.cases)) or USUAL
    faults = []
    if unknown := [name for name in args.cases if name not in CASES]:
        faults.append(f"no case {', '.join(unknown)}: there are {', '.join(CASES)}")
    if args.rounds < 1:
        faults.append(f"--rounds {args.rounds} measures nothing: give 1 or more")
    if not 0 < args.scale <= 1:
        faults.append(f"--scale {args.scale} is no share: give more than 0, at most 1")
    if not args.beam_mat.is_file():
        faults.append(f"no command at {args.beam_mat}: scripts/bench installs it, or --beam-mat")
    if args.write and (args.scale != 1 or not set(args.cases) >= set(USUAL)):
        faults.append("--write replaces the whole table: it needs every case and --scale 1")
    if faults:
        parser.error("; ".join(faults))
    return args


def run(case: Case, rounds: int) -> Results:
    """Each side `rounds` times, one after the other, so that a slow spell hits all of them."""
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
    """One run into a fresh folder, which is gone afterwards. Raises CommandFailed."""
    with fresh_folder() as folder:
        output = folder / "output"
        output.mkdir()
        if side.before:
            side.before(output)
        command = side.command(output)
        result = measure(command, folder / "log")
        if side.rows and (rows := jsonl_rows(output)) != side.rows:
            # A set that was mostly rejected would be measured as a fast one.
            fault = f"wrote {rows:,} rows, not {side.rows:,}"
            raise CommandFailed(f"{' '.join(command)}\n{fault}; look at the rejects")
    os.sync()  # or what this run left to be written to disk slows the next one
    return result


def jsonl_rows(output: Path) -> int:
    count = 0
    for part in output.glob("jsonl/*.jsonl"):
        with part.open("rb") as lines:
            count += sum(1 for _ in lines)
    return count


def warm(path: Path) -> None:
    """Read a file once, so that no side pays for a cold disk alone."""
    with path.open("rb") as file:
        while file.read(1 << 24):
            pass


if __name__ == "__main__":
    sys.exit(main())
