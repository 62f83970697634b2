"""From options to a watch: every value checked, every fault told at once."""

from __future__ import annotations

import ipaddress
import uuid
from collections.abc import Sequence

import msgspec
from apache_beam.options.pipeline_options import PipelineOptions

from beam_mat import config
from beam_mat.config import DATAFLOW, PRISM
from beam_mat.core.duration import seconds
from beam_mat.core.errors import ConfigError
from beam_mat.core.secrecy import without_credentials
from beam_mat.options import ConvertOptions
from beam_mat.storage import files, stores
from beam_mat.watch.facts import WatchSettings
from beam_mat.watch.options import WatchOptions


class WatchJob(msgspec.Struct, frozen=True):
    """A checked watch.

    Attributes:
        watch: What the steps need.
        runner: `beam_mat.config.PRISM` or `DATAFLOW`.
        stop_when_idle: Seconds without anything to do after which it ends, or None.
        metrics: Address and port of the metrics, or None.
        detach: Whether to leave the submitted job to itself.
    """

    watch: WatchSettings
    runner: str
    stop_when_idle: float | None
    metrics: tuple[str, int] | None
    detach: bool


def resolve(options: PipelineOptions, unknown: Sequence[str] = ()) -> WatchJob:
    """Checks the options. What they name need not be there yet.

    Args:
        options: As typed.
        unknown: Words on the command line that no option took.

    Raises:
        ConfigError: With every fault that was found.
    """
    typed = options.view_as(ConvertOptions)
    own = options.view_as(WatchOptions)
    runner = config.runner_of(options)
    faults = config.unknown_words(runner, unknown, "watch", WatchOptions, ConvertOptions)
    rules = config.checked_rules(faults, typed)
    storage = config.take_storage(faults, typed.storage_options or "", runner)
    # A runner keeps and shows the options of its jobs.
    typed.storage_options = None
    json = _places(faults, "--json", typed.json, "shards", "'in/*.json'")
    images = _places(faults, "--images", typed.images, "zips", "'in/*.zip'")
    output = config.checked_output(faults, typed.output, list(images))
    faults += _not_here(typed) + _runner_faults(options, typed, runner)
    interval = _duration(faults, "--interval", own.interval, 0.1)
    window = _duration(faults, "--window", own.window, 0.1)
    image_wait = _duration(faults, "--image-wait", own.image_wait, 0.0)
    idle = own.stop_when_idle and _duration(faults, "--stop-when-idle", own.stop_when_idle, 0.0)
    metrics = _address(faults, own.metrics_port) if own.metrics_port else None
    if own.subscription:
        faults += _subscription_faults(own.subscription, runner, (*json, *images))
    if faults:
        raise ConfigError(faults)
    settings = msgspec.structs.replace(
        rules,
        output=output,
        generation=f"watch-{rules.digest()}",
        again=True,
        watched=True,
        image_threads=config.image_threads(options),
        storage=storage,
    )
    watch = WatchSettings(
        settings=settings,
        run=uuid.uuid4().hex,
        json=json,
        images=images,
        interval=interval,
        window=window,
        image_wait=image_wait,
        subscription=own.subscription or "",
    )
    return WatchJob(watch, runner, idle, metrics, typed.detach)


def _places(
    faults: list[str], name: str, uris: Sequence[str] | None, what: str, example: str
) -> tuple[str, ...]:
    if not uris:
        faults.append(f"{name} is missing: say where {what} arrive, such as {name} {example}")
        return ()
    places = []
    for uri in uris:
        if fault := stores.fault_of(uri):
            faults.append(f"{name} {without_credentials(uri)}: {fault}")
            continue
        try:
            if files.is_folder(uri):
                faults.append(
                    f"{name} {uri}: is a folder; say which files in it, such as "
                    f"{name} {example.replace('in', uri.rstrip('/'), 1)}"
                )
            places.append(files.normalize(uri))
        except (OSError, ValueError) as error:
            faults.append(f"{name} {uri}: cannot be looked at ({error}); name a place that can")
    return tuple(places)


def _not_here(typed: ConvertOptions) -> list[str]:
    faults = []
    if typed.duplicates == "drop":
        faults.append(
            "--duplicates drop: which record of an id comes first is only known when all have "
            "come; leave it out, or use beam-mat convert"
        )
    for name, value in (
        ("--limit", typed.limit),
        ("--max-rejected", typed.max_rejected),
        ("--overwrite", typed.overwrite),
    ):
        if value:
            faults.append(f"{name}: is for beam-mat convert; leave it out")
    return faults


def _runner_faults(options: PipelineOptions, typed: ConvertOptions, runner: str) -> list[str]:
    if runner == DATAFLOW:
        return config.runner_faults(options, typed)
    faults = config.runner_faults(options, typed)
    if runner != PRISM:
        faults.append(
            f"--runner {runner}: does not stream; name Prism with --prism_location "
            "(scripts/prism builds it), or --runner PrismRunner, for which Beam downloads it"
        )
    return faults


def _duration(faults: list[str], name: str, text: str, least: float) -> float:
    try:
        found = seconds(text)
    except ValueError as error:
        faults.append(f"{name} {text}: {error}")
        return least
    if found < least:
        faults.append(f"{name} {text}: give at least {least} s")
    return found


def _address(faults: list[str], text: str) -> tuple[str, int] | None:
    host, _, port = text.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    try:
        ipaddress.ip_address(host)
        if 0 < int(port) < 1 << 16:
            return host, int(port)
    except ValueError:
        pass
    faults.append(
        f"--metrics-port {text}: give a port from 1 to 65535, with an IP address before it to "
        "listen on another than this machine's own, such as 0.0.0.0:9464"
    )
    return None


def _subscription_faults(name: str, runner: str, places: Sequence[str]) -> list[str]:
    faults = []
    words = name.split("/")
    if len(words) != 4 or (words[0], words[2]) != ("projects", "subscriptions") or not all(words):
        faults.append(f"--subscription {name}: give projects/PROJECT/subscriptions/NAME")
    if runner != DATAFLOW:
        faults.append(
            f"--subscription {name}: is read by --runner DataflowRunner alone; leave it out, and "
            "the places are looked at"
        )
    faults += [
        f"--subscription {name}: tells of a bucket of Google's store, and {place} is in none; "
        "leave it out, or name a place that begins with gs://"
        for place in places
        if not place.startswith("gs://")
    ]
    return faults
