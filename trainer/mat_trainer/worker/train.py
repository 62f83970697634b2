"""One training process, or the ``torchrun`` that starts several.

    python -m mat_trainer.worker.train YAML

With ``FORCE_TORCHRUN=1`` LLaMA-Factory's own launcher reads its other variables (``NNODES``,
``NODE_RANK``, ``NPROC_PER_NODE``, ``MASTER_ADDR``, ``MASTER_PORT``) and calls torchrun, which
starts this module again for each rank. In both cases LLaMA-Factory's ``run_exp`` trains, with two
more callbacks and a log for each rank.
"""

from __future__ import annotations

import datetime
import os
import signal
import subprocess
import sys
from pathlib import Path

from mat_trainer.core.control import CONTROL_DIR, LOG_DIR, rank_log
from mat_trainer.worker.orphan import end_with_launcher
from mat_trainer.worker.uncollected import uncollected

MODULE = "mat_trainer.worker.train"


def main() -> int:
    """Trains, or starts torchrun; returns the exit code."""
    if len(sys.argv) != 2:
        sys.stderr.write(f"usage: python -m {MODULE} YAML\n")
        return 2
    # Only the launcher handles it. Slurm can send it to every process; torchrun and the ranks
    # inherit that it is ignored.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    # Only torchrun sets it; a Kubernetes job has RANK and WORLD_SIZE too.
    if "TORCHELASTIC_RUN_ID" in os.environ:
        _log_to_file(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))
        _train()
        return 0
    if _wants_torchrun():
        return _through_torchrun()
    _log_to_file(0, 1)
    _train()
    return 0


def _wants_torchrun() -> bool:
    with uncollected():
        from llamafactory.extras.misc import get_device_count, is_env_enabled

    return bool(is_env_enabled("FORCE_TORCHRUN") or get_device_count() > 1)


def _through_torchrun() -> int:
    from llamafactory import launcher

    # It calls `torchrun` by name, and must find the one next to this Python.
    path = os.environ.get("PATH", os.defpath)
    os.environ["PATH"] = f"{os.path.dirname(sys.executable)}{os.pathsep}{path}"
    # Makes torchrun start this module: launch() passes its own __file__ in a line that it splits.
    launcher.__file__ = f"-m {MODULE}"
    if folder := os.environ.get(CONTROL_DIR):
        # For the ranks' errors; else torchrun would leave a folder of its own behind.
        os.environ.setdefault("PET_LOG_DIR", folder)
    sys.argv.insert(1, "train")
    try:
        launcher.launch()
    except subprocess.CalledProcessError as error:
        # torchrun has printed everything; its traceback would add nothing.
        return error.returncode if error.returncode >= 0 else 128 - error.returncode
    except SystemExit as ended:  # launch() ends this way
        return int(ended.code or 0)
    return 0


def _log_to_file(rank: int, ranks: int) -> None:
    """Redirects the output of this process and its children to the rank's log."""
    folder = os.environ.get(LOG_DIR)
    if not folder:
        return
    file = rank_log(Path(folder), rank)
    file.parent.mkdir(parents=True, exist_ok=True)
    begin = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.write(descriptor, f"=== {begin} rank {rank} of {ranks}, process {os.getpid()}\n".encode())
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(descriptor, stream.fileno())
    os.close(descriptor)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr] # a TextIOWrapper


def _train() -> None:
    end_with_launcher()
    with uncollected():
        from llamafactory.train.tuner import run_exp
        from torch.distributed.elastic.multiprocessing.errors import record

        from mat_trainer.worker import part_order
        from mat_trainer.worker.checksums import NoteChecksums
        from mat_trainer.worker.resuming import AskedSteps, RestoreNames, mend
        from mat_trainer.worker.save_on_request import SaveOnRequest, Stopped

    def train() -> None:
        try:
            run_exp(
                callbacks=[
                    RestoreNames(),
                    AskedSteps(),
                    NoteChecksums(),
                    *SaveOnRequest.callbacks(),
                ]
            )
        except Stopped as stopped:
            sys.stdout.write(f"{stopped}\n")

    mend()
    part_order.sort()
    record(train)()  # so that torchrun reports which rank failed first, and how


if __name__ == "__main__":
    sys.exit(main())
