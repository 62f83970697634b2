"""Slurm: one sbatch file, one task a node."""

from __future__ import annotations

import re
import shlex

import msgspec

import mat_trainer
from mat_trainer.core.control import EXIT_SAVED
from mat_trainer.submit import job as jobs
from mat_trainer.submit.job import Job

FOLDER = "submit"
"""Below the output folder: the job file, the recipe, and what Slurm logs."""


class Slurm(msgspec.Struct, frozen=True):
    """What only Slurm wants to know.

    Attributes:
        partition: As `sinfo` lists it; empty for the cluster's own choice.
        account: To be charged; empty for the user's own.
        time: Limit in Slurm's notation, such as 12:00:00; empty for the partition's own.
        directives: Further options of sbatch, such as ``--constraint=h100``.
        setup: Lines of shell that make `mat-trainer` available.
    """

    partition: str = ""
    account: str = ""
    time: str = ""
    directives: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()


def faults(job: Job, slurm: Slurm) -> list[str]:
    """What Slurm would stumble over, a sentence each."""
    found = []
    if slurm.time:
        limit = seconds(slurm.time)
        if limit is None:
            found.append(
                f"--time {slurm.time}: give minutes, HH:MM:SS or D-HH:MM:SS, such as 12:00:00"
            )
        elif limit <= job.time_to_save:
            found.append(
                f"--time {slurm.time}: leaves nothing beside the {job.time_to_save} seconds of "
                "--time-to-save; give more time, or less of it to saving"
            )
    for directive in slurm.directives:
        if not directive.startswith("-") or "\n" in directive:
            found.append(f"--sbatch {directive}: give one option, such as --sbatch=--mem=0")
    if "%" in job.output_dir or '"' in job.output_dir:
        found.append(f'--output-dir {job.output_dir}: Slurm reads % and " in paths; rename it')
    return found


def seconds(time: str) -> int | None:
    """Slurm's notation of a time limit in seconds, or None where it is none.

    >>> seconds("90"), seconds("1:30"), seconds("1:00:30"), seconds("2-12"), seconds("1-0:30")
    (5400, 90, 3630, 216000, 88200)
    """
    matched = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", time)
    if not matched:
        return None
    days, *rest = matched.groups()
    parts = [int(part) for part in rest if part is not None]
    if days is not None:
        hours, minutes, last = [*parts, 0, 0][:3]
        return int(days) * 86400 + hours * 3600 + minutes * 60 + last
    if len(parts) == 1:
        return parts[0] * 60
    hours, minutes, last = [0, *parts][-3:]
    return hours * 3600 + minutes * 60 + last


def render(job: Job, slurm: Slurm) -> str:
    """The sbatch file."""
    folder = f"{job.output_dir}/{FOLDER}"
    command = "\n  ".join(shlex.join(group) for group in jobs.words(job, folder))
    return _FILE.format(
        title=jobs.title(job, mat_trainer.__version__),
        directives="\n".join(f"#SBATCH {text}" for text in _directives(job, slurm, folder)),
        setup="".join(f"{line}\n" for line in ("", *slurm.setup)) if slurm.setup else "",
        command=command,
        cpus=f" --cpus-per-task={job.cpus}" if job.cpus else "",
        wait=job.time_to_save + 60,
        saved=EXIT_SAVED,
    )


def _directives(job: Job, slurm: Slurm, folder: str) -> list[str]:
    # Slurm's older versions know no quotes around a path without spaces; newer ones need them
    # around one with spaces.
    log = f"{folder}/slurm-%j.log"
    lines = [
        f"--job-name={job.name}",
        f"--nodes={job.nodes}",
        "--ntasks-per-node=1",
        f"--gpus-per-node={job.gpus}" if job.gpus else "",
        f"--cpus-per-task={job.cpus}" if job.cpus else "",
        f"--mem={job.memory}G" if job.memory else "",
        f"--partition={slurm.partition}" if slurm.partition else "",
        f"--account={slurm.account}" if slurm.account else "",
        f"--time={slurm.time}" if slurm.time else "",
        f'--output="{log}"' if " " in log else f"--output={log}",
        "--open-mode=append",
        "--requeue",
        f"--signal=B:USR1@{job.time_to_save}",
        *slurm.directives,
    ]
    return [line for line in lines if line]


_FILE = """\
#!/bin/bash
# {title}
{directives}
{setup}
# The first node of the job, by the name under which the others reach it.
master=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
# Out of the job's number: two jobs that share a node do not meet.
port=$((20000 + SLURM_JOB_ID % 10000))

train=(
  {command}
  --nnodes "$SLURM_JOB_NUM_NODES"
  --master-addr "$master"
  --master-port "$port"
)

echo "job $SLURM_JOB_ID, restart ${{SLURM_RESTART_COUNT:-0}}, $SLURM_JOB_NODELIST, $master:$port"

# SLURM_NODEID differs from node to node, so it is read there. Nodes that save on request end one
# after the other, with a code that is not 0: the others have time to, before srun ends them.
srun --kill-on-bad-exit=0 --wait={wait}{cpus} \\
  bash -c 'exec "$@" --node-rank "$SLURM_NODEID"' - "${{train[@]}}" &
tasks=$!

# Slurm sends USR1 to this shell before the time limit; the launchers then save a checkpoint. Bash
# runs a trap only between commands, so it waits for srun as often as a signal wakes it.
trap 'echo "time is nearly up: saving"; kill -USR1 "$tasks"' USR1
while
  wait "$tasks"
  code=$?
  kill -0 "$tasks" 2>/dev/null
do :; done

# {saved}: a checkpoint was saved on request, and there is more to do.
if [ "$code" -eq {saved} ]; then
  echo "saved: back into the queue"
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
"""
