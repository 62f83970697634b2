"""Makes a watch from checked arguments: checks all locations and collects all errors."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence

import msgspec

from beam_mat.core.errors import ConfigError
from beam_mat.core.job import DATAFLOW, PRISM
from beam_mat.core.settings import Settings
from beam_mat.runners import choose
from beam_mat.runners.addresses import output_folder, usable
from beam_mat.runners.prism import with_prism
from beam_mat.storage import files
from beam_mat.watch.elements import WatchSettings


class WatchArguments(msgspec.Struct, frozen=True, kw_only=True):
    """A user's arguments. Each value is valid in itself; times are in seconds.

    Attributes:
        json: Globs of the shards.
        images: Globs of the zips.
        output: Address of the output folder, or None.
        rules: Settings without locations.
        interval: Time between two listings.
        window: Length of a window. The work of a window is committed as one generation.
        image_wait: How long a record waits for its images.
        stop_when_idle: Idle time after which the watch ends, or None to run until it is stopped.
        subscription: A Pub/Sub subscription, or "".
        metrics: Address and port of the metrics, or None.
        detach: Whether to exit after the job has been submitted.
        keep: How many generations are kept; 0 or None for all.
        storage_options: As typed, "" for none.
        beam: Beam's options; see `beam_mat.runners.choose`.
    """

    json: Sequence[str]
    images: Sequence[str]
    output: str | None
    rules: Settings
    interval: float
    window: float
    image_wait: float
    stop_when_idle: float | None = None
    subscription: str = ""
    metrics: tuple[str, int] | None = None
    detach: bool = False
    keep: int | None = None
    storage_options: str = ""
    beam: Sequence[str] = ()


class WatchJob(msgspec.Struct, frozen=True):
    """A watch, ready to run.

    Attributes:
        watch: Settings of the steps.
        runner: `beam_mat.core.job.PRISM` or `DATAFLOW`.
        beam: Beam's options, with the location of Prism.
        prism: A sentence that says which Prism is used, or "".
        stop_when_idle, metrics, detach: As in `WatchArguments`.
    """

    watch: WatchSettings
    runner: str
    beam: tuple[str, ...]
    prism: str
    stop_when_idle: float | None
    metrics: tuple[str, int] | None
    detach: bool


def resolve(asked: WatchArguments, faults: Iterable[str] = ()) -> WatchJob:
    """Checks the locations. The files themselves may arrive later.

    Args:
        asked: The arguments.
        faults: Errors that are known already; they are reported together with the others.

    Raises:
        ConfigError: There are errors; it contains them all.
    """
    faults = list(faults)
    beam, prism = with_prism(asked.beam)
    runner = choose.runner_of(beam)
    storage = choose.storage_for_workers(faults, asked.storage_options, runner)
    json = _places(faults, "--json", asked.json, "'in/*.json'")
    images = _places(faults, "--images", asked.images, "'in/*.zip'")
    output = output_folder(faults, asked.output, images)
    faults += _runner_faults(asked, beam, runner)
    if asked.subscription:
        faults += _subscription_faults(asked.subscription, runner, (*json, *images))
    if faults:
        raise ConfigError(faults)
    settings = msgspec.structs.replace(
        asked.rules,
        output=output,
        fingerprint=f"watch-{asked.rules.digest()}",
        resume=True,
        image_threads=choose.image_threads(beam),
        storage=storage,
    )
    watch = WatchSettings(
        settings=settings,
        run=uuid.uuid4().hex,
        json=json,
        images=images,
        interval=asked.interval,
        window=asked.window,
        image_wait=asked.image_wait,
        keep=asked.keep or None,
        subscription=asked.subscription,
    )
    return WatchJob(watch, runner, beam, prism, asked.stop_when_idle, asked.metrics, asked.detach)


def _places(faults: list[str], name: str, uris: Sequence[str], example: str) -> tuple[str, ...]:
    places = []
    for uri in usable(faults, name, uris):
        try:
            if files.is_folder(uri):
                faults.append(
                    f"{name} {uri}: is a folder; give a pattern for the files in it, such as "
                    f"{name} {example.replace('in', uri.rstrip('/'), 1)}"
                )
            places.append(files.normalize(uri))
        except (OSError, ValueError) as error:
            faults.append(f"{name} {uri}: cannot be accessed ({error}); give another location")
    return tuple(places)


def _runner_faults(asked: WatchArguments, beam: Sequence[str], runner: str) -> list[str]:
    uris = {
        "--json": asked.json,
        "--images": asked.images,
        "--output": [asked.output] if asked.output else [],
    }
    faults = choose.runner_faults(beam, uris, detach=asked.detach)
    if runner not in (PRISM, DATAFLOW) and not faults:
        faults.append(
            f"--runner {runner}: cannot run beam-mat watch; remove the option to use Prism, or use "
            "--runner DataflowRunner"
        )
    return faults


def _subscription_faults(name: str, runner: str, places: Sequence[str]) -> list[str]:
    faults = []
    if runner != DATAFLOW:
        faults.append(
            f"--subscription {name}: is used only with --runner DataflowRunner; remove it, and "
            "beam-mat lists the folders instead"
        )
    faults += [
        f"--subscription {name}: is used only for Google Cloud Storage, and {place} is elsewhere; "
        "remove the option, or use locations that begin with gs://"
        for place in places
        if not place.startswith("gs://")
    ]
    return faults
