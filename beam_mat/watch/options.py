"""The options of ``beam-mat watch``: those of a conversion, and its own."""

from __future__ import annotations

import argparse

from apache_beam.options.pipeline_options import PipelineOptions

from beam_mat.command_line import CommandLine
from beam_mat.options import ConvertOptions

_PLACES = "--json 'in/*.json' --images 'in/*.zip' --output dataset"
EXAMPLES = (
    f"beam-mat watch {_PLACES} --prism_location prism",
    f"beam-mat watch {_PLACES} --prism_location prism --window 10s --stop-when-idle 5m",
    f"beam-mat watch {_PLACES} --prism_location prism --image-wait 2m --metrics-port 9464",
    "beam-mat watch --json 'gs://b/in/*.json' --images 'gs://b/in/*.zip' --output gs://b/dataset "
    "--runner DataflowRunner --project P --region R --temp_location gs://b/tmp",
)
WANTED = (
    "--json GLOB ...     where shards arrive, such as 'in/*.json'",
    "--images GLOB ...   where zips arrive, such as 'in/*.zip'",
    "--output URI        the dataset's folder",
)
REFUSED = ("duplicates", "limit", "max_rejected", "overwrite")
"""Options of a conversion that mean nothing here: `configuration` says of each why."""
MORE = """\
A first Ctrl-C (or SIGTERM) commits what was begun and ends, a second one ends at once; nothing is
lost by either: the same command goes on where it was. docs/streaming.md tells more.
Any Apache Beam option is passed through (--runner, --prism_location, ...).
"""


class WatchOptions(PipelineOptions):
    """What a user types, unchecked; `beam_mat.watch.configuration.resolve` checks it."""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        group = parser.add_argument_group("watching")
        group.add_argument(
            "--interval",
            default="10s",
            metavar="DURATION",
            help="from look to look; a local file is taken when two looks found it alike "
            "(default: %(default)s)",
        )
        group.add_argument(
            "--window",
            default="60s",
            metavar="DURATION",
            help="what has been finished in so long is committed as one generation "
            "(default: %(default)s)",
        )
        group.add_argument(
            "--image-wait",
            dest="image_wait",
            default="10m",
            metavar="DURATION",
            help="how long a record waits for its images before it is rejected; it is taken in "
            "when they come later (default: %(default)s)",
        )
        group.add_argument(
            "--stop-when-idle",
            dest="stop_when_idle",
            metavar="DURATION",
            help="end when there has been nothing to do for so long (default: never)",
        )
        group.add_argument(
            "--subscription",
            metavar="projects/P/subscriptions/S",
            help="on Dataflow: a Pub/Sub subscription to the bucket's notifications, in the place "
            "of looks",
        )
        group.add_argument(
            "--metrics-port",
            dest="metrics_port",
            metavar="[ADDRESS:]PORT",
            help="serve Prometheus metrics and /healthz there (default: not at all; without an "
            "address on 127.0.0.1)",
        )


def command_line() -> CommandLine:
    """The command's own options, not the hundreds of Beam's."""
    line = CommandLine(
        "watch",
        "Keeps a LLaMA-Factory dataset current while shards and zips arrive.",
        EXAMPLES,
        usage="beam-mat watch --json GLOB [GLOB ...] --images GLOB [GLOB ...] --output URI "
        "[options]",
        more=MORE,
    )
    WatchOptions._add_argparse_args(line)
    ConvertOptions._add_argparse_args(line)
    for action in line._actions:
        if action.dest in REFUSED:
            action.help = argparse.SUPPRESS
        elif action.dest == "images":
            action.help = "zips of images; the first that has an image wins"
    return line
