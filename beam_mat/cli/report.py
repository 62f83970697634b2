"""``beam-mat report``: makes a dataset's report again."""

from beam_mat.cli.command_line import CommandLine
from beam_mat.cli.options import add_output, output_of


def command_line() -> CommandLine:
    line = CommandLine(
        "report",
        "Makes the report of a dataset again, from its manifest, statistics and images; for a "
        "watched dataset, from its last generation.",
        ("beam-mat report dataset", "beam-mat report gs://bucket/datasets/mat"),
    )
    return add_output(line, "DATASET", "the dataset")


def run(argv: list[str]) -> None:
    typed = command_line().read(argv)
    output = output_of(typed.output, typed.storage_options, writes=True)
    from rich.console import Console

    from beam_mat.core.display import one_line
    from beam_mat.report.write import make_again

    text = f"Report in {one_line(make_again(output))}"
    Console().print(text, soft_wrap=True, markup=False)
