"""Names of variables and files, and an exit code, that the launcher and the ranks share."""

from __future__ import annotations

from pathlib import Path

LOG_DIR = "MAT_TRAINER_LOG_DIR"
"""Variable: the folder for the ranks' logs. Without it they write to the launcher's streams."""

CONTROL_DIR = "MAT_TRAINER_CONTROL_DIR"
"""Variable: the folder through which the launcher and the ranks of a node communicate."""

LAUNCHER = "MAT_TRAINER_LAUNCHER"
"""Variable: the launcher's process id on this node."""

SAVE_AND_STOP = "save-and-stop"
"""File in it, made by the launcher: save a checkpoint after this step, then stop."""

STOPPED = "stopped-at-step"
"""File in it, made by the ranks after that: contains the step."""

EXIT_SAVED = 75
"""Exit code after SIGUSR1: a checkpoint is saved, and the same command resumes.

It is ``EX_TEMPFAIL`` in sysexits.h.
"""


def rank_log(log_dir: Path, rank: int) -> Path:
    """The log of a rank. Ranks are numbered over all nodes.

    >>> rank_log(Path("logs"), 12).as_posix()
    'logs/rank-00012.log'
    """
    return log_dir / f"rank-{rank:05}.log"
