"""``beam-mat show``: prints one trajectory, or rejected records."""

from beam_mat.cli import values
from beam_mat.cli.command_line import CommandLine
from beam_mat.cli.options import add_output, output_of
from beam_mat.core.errors import ConfigError


def command_line() -> CommandLine:
    line = CommandLine(
        "show",
        "Prints one trajectory of a dataset turn by turn, with its images, or rejected records "
        "with their reasons and remedies. It reads the output of beam-mat convert, and any "
        "folder of sharegpt files with a dataset_info.json.",
        (
            "beam-mat show dataset",
            "beam-mat show dataset --index 12 --full",
            "beam-mat show dataset --id i0AjblJ-",
            "beam-mat show dataset --rejected",
            "beam-mat show dataset@3 --index 12",
            "beam-mat show gs://bucket/datasets/mat --rejected --index 3",
        ),
        more="Exit codes: 0 shown, 1 failed, 2 configuration, or there is no such row.",
    )
    add_output(line, "DATASET", "the dataset's folder, or DATASET@N for generation N")
    which = line.add_mutually_exclusive_group()
    which.add_argument("--id", metavar="ID", help="the first row with this id")
    which.add_argument(
        "--index",
        type=values.whole_number(0),
        metavar="N",
        help="row N, counted from 0; the validation set comes last (default: 0)",
    )
    line.add_argument(
        "--rejected",
        action="store_true",
        help="show rejected records: the first few, or the one that --id or --index names",
    )
    line.add_argument(
        "--name", metavar="ENTRY", help="only rows of this entry of dataset_info.json"
    )
    line.add_argument(
        "--full",
        action="store_true",
        help="print everything in full, including system prompts and long records",
    )
    return line


def run(argv: list[str]) -> None:
    typed, faults = command_line().parse(argv)
    if typed.rejected and typed.name is not None:
        faults.append(f"--name {typed.name}: rejected records are in no entry; remove --name")
    if faults:
        raise ConfigError(faults)
    folder = output_of(typed.output, typed.storage_options, writes=False)
    from rich.console import Console

    from beam_mat.storage import files

    uri, number = values.dataset(typed.output)
    if number is not None:
        # A folder may have such a name.
        if files.exists(folder):
            number = None
        else:
            folder = output_of(uri, typed.storage_options, writes=False)
    from beam_mat.show.find import show_rejects, show_row
    from beam_mat.show.printer import Printer

    printer = Printer(Console(), folder, full=typed.full)
    if typed.rejected:
        show_rejects(printer, folder, (typed.id, typed.index), number)
    else:
        show_row(printer, folder, (typed.id, typed.index), typed.name, number)
