"""What a run trains on, kept in its output folder, so that it goes on with the same."""

from __future__ import annotations

import msgspec

NAME = "dataset.json"


class Pin(msgspec.Struct, frozen=True):
    """A dataset as it was when training began.

    Attributes:
        uri: With the generation if there is one, without passwords.
        digest: Of its manifest or generation.
        generation: Its number, if it has one.
        lineage: The same for all generations of one dataset; empty where it has none.
    """

    uri: str
    digest: str
    generation: int | None = None
    lineage: str = ""


def parse(data: bytes) -> Pin | None:
    """Reads the file; None where it cannot be read, as if there were none."""
    try:
        return msgspec.json.decode(data, type=Pin)
    except msgspec.DecodeError:
        return None


def write(pin: Pin) -> bytes:
    """The file."""
    return msgspec.json.format(msgspec.json.encode(pin), indent=2) + b"\n"


def differs(begun: Pin, now: Pin) -> str | None:
    """Why checkpoints of `begun` must not be gone on from with `now`; None if they may.

    Datasets without generations are not told apart: those have always been the user's to watch.
    """
    if begun.digest == now.digest or not (begun.lineage or now.lineage):
        return None
    return (
        f"its checkpoints were trained on {begun.uri}, --dataset means {now.uri}: give the former "
        "to go on, say --resume never to train anew, or name another --output-dir"
    )
