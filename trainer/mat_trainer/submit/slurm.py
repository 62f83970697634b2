"""Slurm: one sbatch file, one task for each node."""

from __future__ import annotations

import re
import shlex
from importlib import resources

import msgspec

from mat_trainer.core.control import EXIT_SAVED
from mat_trainer.submit import job as jobs
from mat_trainer.submit.job import Job

FOLDER = "submit"
"""Folder below the output folder: the job file, the recipe and Slurm's logs."""


class Slurm(msgspec.Struct, frozen=True):
    """Options for Slurm only.

    Attributes:
        partition: A partition that `sinfo` lists; empty for the cluster's default.
        account: The account to charge; empty for the user's default.
        time: Time limit in Slurm's notation, such as 12:00:00; empty for the partition's.
        directives: Further options of sbatch, such as ``--constraint=h100``.
        setup: Lines of shell that make `mat-trainer` available.
        program: The command, as the nodes find it.
    """

    partition: str = ""
    account: str = ""
    time: str = ""
    directives: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()
    program: tuple[str, ...] = ("mat-trainer",)


def faults(job: Job, slurm: Slurm) -> list[str]:
    """The faults of a job for Slurm, one sentence each."""
    found = [
        f"--{option} {text!r}: must be one word; a line break would end the directive"
        for option, text in (("partition", slurm.partition), ("account", slurm.account))
        if text and (len(text.split()) != 1 or not text.isprintable())
    ]
    if slurm.time:
        limit = seconds(slurm.time)
        if limit is None:
            found.append(
                f"--time {slurm.time}: must be minutes, HH:MM:SS or D-HH:MM:SS, such as 12:00:00"
            )
        elif limit <= job.time_to_save:
            found.append(
                f"--time {slurm.time}: leaves no time besides the {job.time_to_save} seconds of "
                " --time-to-save; raise --time, or lower --time-to-save"
            )
    for directive in slurm.directives:
        if not directive.startswith("-") or not directive.isprintable():
            found.append(f"--sbatch {directive}: must be one option, such as --sbatch=--mem=0")
        elif re.match(r"--array\b|-a", directive):
            found.append(
                f"--sbatch {directive}: every task of an array would train the same in one folder; "
                "leave it out, and submit once for each --output-dir"
            )
    if "%" in job.output_dir or '"' in job.output_dir:
        found.append(
            f'--output-dir {job.output_dir}: % and " have a meaning in paths of Slurm; rename it'
        )
    return found


def seconds(time: str) -> int | None:
    """Seconds of a time limit in Slurm's notation; None if it is invalid.

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
    first, *rest = jobs.words(job, folder)
    groups = [(*slurm.program, *first[1:]), *rest]
    command = "\n  ".join(shlex.join(group) for group in groups)
    template = resources.files(__package__).joinpath("job.sbatch").read_text(encoding="utf-8")
    return template.format(
        title=jobs.title(job),
        directives="\n".join(f"#SBATCH {text}" for text in _directives(job, slurm, folder)),
        setup="".join(f"{line}\n" for line in ("", *slurm.setup)) if slurm.setup else "",
        environment="".join(
            f"export {name}={shlex.quote(value)}\n" for name, value in job.environment
        ),
        command=command,
        cpus=f" --cpus-per-task={job.cpus}" if job.cpus else "",
        wait=job.time_to_save + 60,
        saved=EXIT_SAVED,
    )


def _directives(job: Job, slurm: Slurm, folder: str) -> list[str]:
    # Old versions of Slurm keep quotes around a path; new ones need them if it has spaces.
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
