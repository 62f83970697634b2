"""``beam-mat watch``: keeps a dataset current."""

import argparse
import logging

from beam_mat.cli import values
from beam_mat.cli.command_line import CommandLine
from beam_mat.cli.options import add_conversion, missing, rules_of
from beam_mat.cli.sources import add_sources
from beam_mat.runners.logs import printed

_PLACES = "--json 'in/*.json' --images 'in/*.zip' --output dataset"
_CONVERT_ONLY = ("limit", "max_rejected", "overwrite")
REFUSED = (*_CONVERT_ONLY, "duplicates")
"""Options of a conversion that mean nothing here; `_refused` says why."""
MORE = """\
The first Ctrl-C (or SIGTERM) commits what was begun and ends; a second one ends at once. Neither
loses anything: the same command resumes. See docs/streaming.md.
The graph runs on Beam's Prism. It is searched for in $PRISM, on PATH, in .cache/prism of a checkout
and in Beam's own cache; if it is not found, Beam downloads it. --prism_location names another.
"""


def command_line() -> CommandLine:
    line = CommandLine(
        "watch",
        "Updates a LLaMA-Factory dataset while shards and zips arrive.",
        (
            f"beam-mat watch {_PLACES}",
            f"beam-mat watch {_PLACES} --window 10s --stop-when-idle 5m",
            f"beam-mat watch {_PLACES} --image-wait 2m --metrics-port 9464",
            "beam-mat watch --json 'gs://b/in/*.json' --images 'gs://b/in/*.zip' "
            "--output gs://b/dataset --runner DataflowRunner --project P --region R "
            "--temp_location gs://b/tmp",
        ),
        usage="beam-mat watch --json GLOB [GLOB ...] --images GLOB [GLOB ...] --output URI "
        "[options]",
        more=MORE,
        needs=(
            "--json GLOB ...     where shards arrive, such as 'in/*.json'",
            "--images GLOB ...   where zips or tars arrive, such as 'in/*.zip'",
            "--output URI        the dataset's folder",
        ),
        takes_beam=True,
    )
    group = line.add_argument_group("watching")
    group.add_argument(
        "--interval",
        type=values.duration(0.1),
        default="10s",
        metavar="DURATION",
        help="time between two scans; a local file is accepted when two scans find it unchanged "
        "(default: %(default)s)",
    )
    group.add_argument(
        "--window",
        type=values.duration(0.1),
        default="60s",
        metavar="DURATION",
        help="what is finished within this time is committed as one generation "
        "(default: %(default)s)",
    )
    group.add_argument(
        "--image-wait",
        type=values.duration(0.0),
        default="10m",
        metavar="DURATION",
        help="how long a record waits for its images before it is rejected; it is accepted if "
        "they come later (default: %(default)s)",
    )
    group.add_argument(
        "--stop-when-idle",
        type=values.duration(0.0),
        metavar="DURATION",
        help="end when there has been nothing to do for this long (default: never)",
    )
    group.add_argument(
        "--subscription",
        type=values.subscription,
        metavar="projects/P/subscriptions/S",
        help="on Dataflow: a Pub/Sub subscription to the bucket's notifications, used instead of "
        "looking for new files",
    )
    group.add_argument(
        "--metrics-port",
        type=values.address,
        metavar="[ADDRESS:]PORT",
        help="serve Prometheus metrics and /healthz on this port, by default on 127.0.0.1 only "
        "(default: not served)",
    )
    add_conversion(
        line,
        images="zips and tars of images, also compressed or split; if several contain an image, "
        "the first one is used",
        keep="all",
    )
    for action in line._actions:
        if action.dest in REFUSED:
            action.help = argparse.SUPPRESS
    return line


def run(argv: list[str]) -> None:
    typed, faults = command_line().parse(argv)
    rules = rules_of(typed, faults)
    add_sources(typed, faults)
    faults += missing(
        typed,
        json="say where shards arrive, such as --json 'in/*.json'",
        images="say where zips or tars arrive, such as --images 'in/*.zip'",
        output="name a folder for the dataset, such as --output dataset",
    )
    faults += _refused(typed)
    from beam_mat.watch.configuration import WatchJob, resolve
    from beam_mat.watch.messages import WatchSettings

    asked = WatchJob(
        watch=WatchSettings(
            settings=rules,
            json=tuple(typed.json or ()),
            images=tuple(typed.images or ()),
            interval=typed.interval,
            window=typed.window,
            image_wait=typed.image_wait,
            keep=typed.keep_generations or None,
            subscription=typed.subscription or "",
        ),
        output=typed.output,
        stop_when_idle=typed.stop_when_idle,
        metrics=typed.metrics_port,
        detach=typed.detach,
        storage_options=typed.storage_options or "",
        beam=tuple(typed.beam),
    )
    job = resolve(asked, faults)
    from rich.console import Console

    from beam_mat.runners.choose import pipeline_options
    from beam_mat.watch.driver import run_watch

    options = pipeline_options(job.beam)
    with printed(least=logging.INFO):
        run_watch(job, options, Console(stderr=True))


def _refused(typed: argparse.Namespace) -> list[str]:
    faults = [
        f"--{name.replace('_', '-')}: is an option of beam-mat convert; remove it"
        for name in _CONVERT_ONLY
        if vars(typed)[name]
    ]
    if typed.duplicates == "drop":
        faults.append(
            "--duplicates drop: the first record with an id is known only when all records have "
            "arrived; remove it, or use beam-mat convert"
        )
    return faults
