"""What launcher and ranks agree on: names of variables and files, and an exit code."""

from __future__ import annotations

from pathlib import Path

LOG_DIR = "MAT_TRAINER_LOG_DIR"
"""Variable: the folder of the rank logs. Without it the ranks write where the launcher writes."""

CONTROL_DIR = "MAT_TRAINER_CONTROL_DIR"
"""Variable: a folder of this node and this launch, through which the two speak to each other."""

SAVE_AND_STOP = "save-and-stop"
"""File in it, made by the launcher: save a checkpoint after this step, then end."""

STOPPED = "stopped-at-step"
"""File in it, made by the ranks that did so: holds the step."""

EXIT_SAVED = 75
"""Exit code of a launch that saved and stopped when asked to: start it again to go on.

``EX_TEMPFAIL`` of sysexits.h.
"""


def rank_log(log_dir: Path, rank: int) -> Path:
    """The log of a rank, counted over all nodes.

    >>> rank_log(Path("logs"), 12).as_posix()
    'logs/rank-00012.log'
    """
    return log_dir / f"rank-{rank:05}.log"
