"""``dataset.json`` in a run's output folder: what the run trains on, so that it resumes on it."""

from __future__ import annotations

import msgspec

NAME = "dataset.json"


class Pin(msgspec.Struct, frozen=True):
    """A dataset as it was when training began.

    Attributes:
        uri: Its address, with the generation if one was chosen, without passwords.
        digest: Digest of its manifest or snapshot.
        generation: Its number; None in files of older versions.
        lineage: The same for all generations of a dataset; empty if it is not known.
    """

    uri: str
    digest: str
    generation: int | None = None
    lineage: str = ""


def parse(data: bytes) -> Pin | None:
    """Reads the file; a damaged one counts as none."""
    try:
        return msgspec.json.decode(data, type=Pin)
    except msgspec.DecodeError:
        return None


def write(pin: Pin) -> bytes:
    """The file's content."""
    return msgspec.json.format(msgspec.json.encode(pin), indent=2) + b"\n"


def differs(begun: Pin, now: Pin) -> str | None:
    """Why a run must not resume with `now` after it began with `begun`; None if it may."""
    if begun.digest == now.digest:
        return None
    # The same generation, once in place and once as a snapshot.
    if begun.lineage and (begun.lineage, begun.generation) == (now.lineage, now.generation):
        return None
    then, today = _named(begun), _named(now)
    if then == today:
        then, today = (
            f"{then} with other content ({begun.digest[:12]})",
            f"{today} ({now.digest[:12]})",
        )
    return (
        f"its checkpoints were trained on {then}, but --dataset is {today}: pass the former to "
        "resume, use --resume never to train anew, or choose another --output-dir"
    )


def _named(pin: Pin) -> str:
    return pin.uri if pin.generation is None else f"{pin.uri} (generation {pin.generation})"
