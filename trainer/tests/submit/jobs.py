"""A job to vary, and the submit command as a user types it."""

from __future__ import annotations

import argparse

import msgspec

from mat_trainer.commands import submit
from mat_trainer.submit.job import Job

JOB = Job(
    name="menus",
    recipe="qwen2_vl_7b_lora",
    recipe_text=None,
    dataset="gs://bucket/mat",
    output_dir="/shared/menus",
    nodes=2,
    gpus=8,
)


def changed(**changes: object) -> Job:
    """The job with other values."""
    return msgspec.structs.replace(JOB, **changes)


def run(*words: str) -> int:
    """`mat-trainer submit WORDS`."""
    parser = argparse.ArgumentParser()
    submit.add_parser(parser.add_subparsers())
    args = parser.parse_args(["submit", *words])
    return int(args.run(args))
