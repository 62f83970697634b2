"""``beam-mat sample``: makes a small set to try things out."""

from pathlib import Path

from beam_mat.cli.command_line import CommandLine
from beam_mat.cli.values import integer, whole_number
from beam_mat.core.errors import ConfigError


def command_line() -> CommandLine:
    line = CommandLine(
        "sample",
        "Makes a small dataset in the format of MAT, JSON shards and files.zip, for a first try.",
        (
            "beam-mat sample demo",
            "beam-mat sample demo --records 200 --images 60 --shards 3",
            "beam-mat sample demo --faults",
        ),
    )
    line.add_argument("folder", metavar="DIR", type=_local_folder, help="a new or empty folder")
    for name, check, default, what in (
        ("--records", whole_number(0), 40, "number of records"),
        ("--images", whole_number(0), 30, "number of images"),
        ("--shards", whole_number(1), 1, "number of JSON files"),
        ("--seed", integer, 0, "seed of the random choices; another gives other records"),
    ):
        shown = f"{what} (default: %(default)s)"
        line.add_argument(name, type=check, default=default, metavar="N", help=shown)
    line.add_argument(
        "--faults", action="store_true", help="add damaged input for every reason of rejection"
    )
    return line


def run(argv: list[str]) -> None:
    typed = command_line().read(argv)
    from beam_mat.sample.write import write_sample

    try:
        made = write_sample(
            typed.folder,
            records=typed.records,
            images=typed.images,
            shards=typed.shards,
            seed=typed.seed,
            faults=typed.faults,
        )
    except (FileExistsError, ValueError) as error:
        raise ConfigError([str(error)]) from None
    print(f"{made.records} records in {typed.folder}")


def _local_folder(text: str) -> Path:
    if "://" in text:
        raise ValueError("give a folder on this machine, and copy the files from there")
    return Path(text)
