"""The parts of a case: commands that are compared, and figures with bounds."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from measure import Measurement

MB = 1e6
Results = Mapping[str, Sequence[Measurement]]


@dataclass(frozen=True)
class Side:
    """One of the compared commands. `command(output)` writes to the empty folder `output`.

    Attributes:
        name: Name in the tables.
        command: Makes the command line.
        items: Number of items for the rate, or 0 for no rate.
        rows: Number of records that the dataset must have, or 0 for no check.
        before: Prepares the output folder before the measurement.
    """

    name: str
    command: Callable[[Path], list[str]]
    items: int = 0
    rows: int = 0
    before: Callable[[Path], None] | None = None


@dataclass(frozen=True)
class Figure:
    """A result of a case in `unit`, with its upper or lower bound."""

    what: str
    value: float
    unit: str
    bound: float
    at_least: bool = False

    @property
    def kept(self) -> bool:
        return self.value >= self.bound if self.at_least else self.value <= self.bound


@dataclass(frozen=True)
class Case:
    name: str
    title: str
    item: str
    inputs: list[Path]
    sides: list[Side]
    figures: Callable[[Results], list[Figure]]
    notes: list[str] = field(default_factory=list)
    around: Callable[[], AbstractContextManager[None]] = nullcontext
    """A context in which the sides run, for example with a server."""


def seconds(results: Results, side: str) -> float:
    return median(run.seconds for run in results[side])


def peak_mb(results: Results, side: str) -> float:
    return median(run.peak_bytes for run in results[side]) / MB
