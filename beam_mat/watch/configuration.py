"""Makes a watch from checked arguments: checks all locations and collects all errors."""

import uuid
from collections.abc import Iterable, Sequence

import msgspec

from beam_mat.core.errors import ConfigError
from beam_mat.core.job import DATAFLOW, PRISM
from beam_mat.core.location import Location
from beam_mat.runners import choose
from beam_mat.runners.local import with_prism
from beam_mat.storage import files
from beam_mat.watch.messages import WatchSettings


class WatchJob(msgspec.Struct, frozen=True, kw_only=True):
    """A watch as a user asks for it, or after `resolve`, which checks and completes it.

    Attributes:
        watch: Settings of the steps. As typed, they have patterns and no output folder.
        stop_when_idle: Idle seconds after which the watch ends, or None to run until it is stopped.
        metrics: Address and port of the metrics, or None.
        beam: Beam's options; see `beam_mat.runners.choose`.
        prism: A sentence that says which Prism is used, or "".
    """

    watch: WatchSettings
    output: str | None
    stop_when_idle: float | None = None
    metrics: tuple[str, int] | None = None
    detach: bool = False
    storage_options: str = ""
    beam: tuple[str, ...] = ()
    prism: str = ""


def resolve(asked: WatchJob, faults: Iterable[str] = ()) -> WatchJob:
    """Checks the locations, and finds Prism. The input files may arrive later.

    Raises a ConfigError with all errors, after `faults`.
    """
    faults = list(faults)
    beam, prism = with_prism(asked.beam)
    runner = choose.runner_of(beam)
    storage = choose.storage_for_workers(faults, asked.storage_options, runner)
    watch, rules = asked.watch, asked.watch.settings
    json = _places(faults, "--json", watch.json, "json")
    images = _places(faults, "--images", watch.images, "zip")
    named = [one.uri for one in (*json, *images)]
    output = choose.output_folder(faults, asked.output, named)
    uris = {
        "--json": [one.uri for one in watch.json],
        "--images": [one.uri for one in watch.images],
        "--output": [asked.output] if asked.output else [],
    }
    runner_faults = choose.runner_faults(beam, uris, detach=asked.detach)
    if runner not in (PRISM, DATAFLOW) and not runner_faults:
        runner_faults.append(
            f"--runner {runner}: cannot run beam-mat watch; remove the option to use Prism, or use "
            "--runner DataflowRunner"
        )
    faults += runner_faults
    if watch.subscription:
        faults += _subscription_faults(watch.subscription, runner, named)
    if faults:
        raise ConfigError(faults)
    settings = msgspec.structs.replace(
        rules,
        output=output,
        fingerprint=f"watch-{rules.digest()}",
        resume=True,
        image_workers=rules.image_workers or choose.image_workers(beam),
        storage=storage,
    )
    watch = msgspec.structs.replace(
        watch, settings=settings, run=uuid.uuid4().hex, json=json, images=images
    )
    return msgspec.structs.replace(asked, watch=watch, beam=beam, prism=prism)


def _places(
    faults: list[str], name: str, locations: Sequence[Location], suffix: str
) -> tuple[Location, ...]:
    places = []
    for of in locations:
        uri = of.uri
        if not list(choose.usable(faults, name, [uri])):
            continue
        try:
            if files.is_folder(uri):
                faults.append(
                    f"{name} {uri}: {choose.FOLDER.format(name, uri.rstrip('/'), suffix)}"
                )
            places.append(msgspec.structs.replace(of, uri=files.normalize(uri)))
        except (OSError, ValueError) as error:
            faults.append(f"{name} {uri}: cannot be accessed ({error}); give another location")
    return tuple(places)


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
