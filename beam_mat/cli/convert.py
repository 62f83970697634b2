"""``beam-mat convert``: makes a dataset."""

from beam_mat.cli.command_line import CommandLine
from beam_mat.cli.options import add_conversion, missing, rules_of
from beam_mat.cli.sources import add_sources
from beam_mat.runners.logs import printed


def command_line() -> CommandLine:
    line = CommandLine(
        "convert",
        "Makes a LLaMA-Factory dataset from MAT shards and image zips.",
        (
            "beam-mat convert --json mat_train.json --images files.zip --output dataset",
            "beam-mat convert --json 'shards/*.json' --images unzipped/ more.zip --output dataset",
            "beam-mat convert --json mat_train.json --images files.zip --output first --limit 100",
            "beam-mat convert --json hf://datasets/PengxiangLi/MAT/mat_train.json "
            "--images hf://datasets/PengxiangLi/MAT/files.zip --output gs://bucket/mat",
        ),
        usage="beam-mat convert --json URI [URI ...] --images URI [URI ...] --output URI [options]",
        more="Exit codes: 0 done, 1 failed, 2 configuration, 3 more rejected than --max-rejected "
        "allows, or no record accepted.",
        needs=(
            "--json URI ...     the trajectories, such as MAT's mat_train.json",
            "--images URI ...   zips, tars or folders with their images, such as MAT's files.zip",
            "--output URI       a new folder for the dataset",
        ),
        takes_beam=True,
    )
    add_conversion(
        line,
        images="zips and tars of images, also compressed or split, or folders of images; if "
        "several contain an image, the first one is used",
        keep="as many as the dataset keeps now; 1 for a new one",
    )
    line.add_argument(
        "--dry-run",
        action="store_true",
        help="print which records would be accepted and rejected, which images are missing, and "
        "what would be read; convert no image and write nothing. --output may be left out",
    )
    return line


def run(argv: list[str]) -> int:
    typed, faults = command_line().parse(argv)
    rules = rules_of(typed, faults)
    add_sources(typed, faults)
    cures = {
        "json": "name the JSON shards, such as --json mat_train.json",
        "images": "name zips, tars or folders, such as --images files.zip",
        "output": "name a folder for the dataset, such as --output dataset",
    }
    if typed.dry_run:
        del cures["output"]
        if typed.detach:
            faults.append("--detach: a dry run prints what it finds at its end; remove --detach")
    faults += missing(typed, **cures)
    from beam_mat.convert.configuration import ConvertArguments, resolve

    asked = ConvertArguments(
        json=typed.json or (),
        images=typed.images or (),
        output=typed.output,
        rules=rules,
        limit=typed.limit,
        max_rejected=typed.max_rejected,
        overwrite=typed.overwrite,
        detach=typed.detach,
        keep=typed.keep_generations,
        storage_options=typed.storage_options or "",
        beam=typed.beam,
    )
    with printed(form="beam-mat: %(message)s"):
        job = resolve(asked, faults)
    from rich.console import Console

    from beam_mat.convert.driver import dry_run, run_conversion
    from beam_mat.runners.choose import pipeline_options

    options = pipeline_options(asked.beam)
    with printed():
        return (dry_run if typed.dry_run else run_conversion)(job, options, Console())
