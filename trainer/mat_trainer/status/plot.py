"""The loss curve as a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from mat_trainer.core.errors import MatTrainerError
from mat_trainer.status.log import Log

SIZE = (9, 5)  # inches, at DPI
DPI = 150


def smooth(values: Sequence[float], reach: int) -> list[float]:
    """The mean of each value and its neighbours, as many on both sides, so that nothing lags.

    Args:
        values: Values that are not finite do not count.
        reach: Neighbours on each side; fewer near the ends.
    """
    means = []
    for at in range(len(values)):
        near = min(reach, at, len(values) - 1 - at)
        finite = [value for value in values[at - near : at + near + 1] if math.isfinite(value)]
        means.append(sum(finite) / len(finite) if finite else math.nan)
    return means


def plot(log: Log, title: str, path: Path) -> None:
    """Writes the PNG.

    Raises:
        MatTrainerError: matplotlib is not installed, or the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MatTrainerError(
            "--plot needs matplotlib, which is not installed here: pip install matplotlib"
        ) from None
    figure = Figure(figsize=SIZE, dpi=DPI, layout="constrained")
    axes = figure.subplots()
    steps = [step for step, _ in log.losses]
    losses = [loss for _, loss in log.losses]
    reach = min(50, len(losses) // 20)
    if reach:
        axes.plot(steps, losses, color="#9ec5e8", linewidth=1, label="training loss")
        axes.plot(steps, smooth(losses, reach), color="#1f5f99", linewidth=2, label="smoothed")
    else:
        axes.plot(steps, losses, color="#1f5f99", linewidth=2, marker=".", label="training loss")
    if log.eval_losses:
        axes.plot(
            *zip(*log.eval_losses, strict=True),
            color="#c8541b",
            linewidth=1.5,
            marker="o",
            markersize=5,
            label="validation loss",
        )
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    axes.set_title(title, loc="left")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(color="#e6e6e6")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    try:
        figure.savefig(path, format="png")
    except OSError as error:
        raise MatTrainerError(
            f"{path} cannot be written: {error.strerror}; pass another path to --plot"
        ) from None
