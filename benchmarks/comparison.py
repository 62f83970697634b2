"""What a case is made of: commands that run against each other, and figures with bounds."""

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
    """One command. `command(output)` writes into the empty folder `output`.

    `items` is what a rate counts (0: no rate); `rows` is how many JSONL rows the output must
    have (0: not looked at). `before(output)` makes what the command is to find there, unmeasured.
    """

    name: str
    command: Callable[[Path], list[str]]
    items: int = 0
    rows: int = 0
    before: Callable[[Path], None] | None = None


@dataclass(frozen=True)
class Figure:
    """A number that the case is about, in `unit`, and the bound that it should keep."""

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
    """What has to be there while the sides run, a server say."""


def seconds(results: Results, side: str) -> float:
    return median(run.seconds for run in results[side])


def peak_mb(results: Results, side: str) -> float:
    return median(run.peak_bytes for run in results[side]) / MB
