"""``beam-mat verify``: compares every file of a dataset with its manifest."""

from beam_mat.cli.command_line import CommandLine
from beam_mat.cli.options import add_output, output_of


def command_line() -> CommandLine:
    line = CommandLine(
        "verify",
        "Compares every part and every image of a dataset with the size and the SHA-256 that were "
        "recorded when it was made. If it is interrupted, the next run resumes.",
        ("beam-mat verify dataset", "beam-mat verify gs://bucket/datasets/mat"),
        more="Exit codes: 0 all files are unchanged, 1 failed, 2 configuration, 3 damaged files.",
    )
    return add_output(line, "OUTPUT", "the dataset")


def run(argv: list[str]) -> None:
    typed = command_line().read(argv)
    output = output_of(typed.output, typed.storage_options, writes=False)
    from rich.console import Console

    from beam_mat.dataset.verify import verify

    verify(output, Console())
