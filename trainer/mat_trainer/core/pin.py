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
    """Why a run must not resume with `now` after it began with `begun`; None if it may.

    Datasets whose lineage is not known cannot be told apart, so nothing is refused.
    """
    if begun.digest == now.digest or not (begun.lineage or now.lineage):
        return None
    # The same generation, once in place and once as a snapshot.
    if begun.lineage and (begun.lineage, begun.generation) == (now.lineage, now.generation):
        return None
    return (
        f"its checkpoints were trained on {begun.uri} (generation {begun.generation}), but "
        f"--dataset is {now.uri} (generation {now.generation}): pass the former to resume, "
        "use --resume never to train anew, or choose another --output-dir"
    )
