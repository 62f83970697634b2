"""What the sample is made from: finished tasks, pictures and faults, as package data."""

from __future__ import annotations

import functools
from importlib import resources
from typing import Any, Literal, TypeVar

import msgspec

from beam_mat.core.reject import Reason

_T = TypeVar("_T")
_FOLDER = resources.files("beam_mat.sample")


@functools.cache
def body(name: str) -> bytes:
    """Returns the bytes of a data file, such as ``pictures/person.jpg``."""
    return _FOLDER.joinpath(name).read_bytes()


def _table(name: str, row: type[_T]) -> tuple[_T, ...]:
    return msgspec.json.decode(body(name), type=tuple[row, ...])  # type: ignore[valid-type]


class Working(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One step of Python between looking and answering."""

    thought: str
    code: str
    output: str


class Task(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A question, its answer, and the steps of Python that lead from one to the other.

    `seen` is the output of the tool that looks at the picture or searches the web, if needed.
    """

    question: str
    answer: str
    workings: tuple[Working, ...] = ()
    seen: str = ""


class Original(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A finished picture.

    Attributes:
        file: Its name in the folder ``pictures``.
        source: A key of `beam_mat.sample.picture.PATHS`: the collection that it stands for.
        subject: What kind of picture it is, such as ``chart``.
        caption: A noun phrase in lower case without a full stop.
        seen: Everything in the picture that its tasks ask about, in one or more sentences.
        tasks: Tasks that the picture answers.
    """

    file: str
    source: str
    subject: str
    caption: str
    seen: str
    tasks: tuple[Task, ...]


class Shape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The shape of one of the records that each block of the sample has.

    `repeats` is the position of the record that is repeated here, if any. `pictures` are counted
    within the block; several pictures have `keys`, their placeholders. `field` says whether the
    record names them as text or as older files do, and `twist` what else is unusual.
    """

    repeats: int | None = None
    pictures: tuple[int, ...] = ()
    keys: tuple[str, ...] = ()
    field: Literal["text", "object", "null", "missing"] = "text"
    twist: Literal["", "literal <image>", "mentioned", "named twice", "system field"] = ""


class FaultyRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An invalid element of the JSON array, or (without a reason) a valid one of two with one id.

    In the element's JSON, the first text of `replace` is replaced by the Latin-1 bytes of the
    second one, `times` times. Invalid images are in ``data/faulty.zip``: a
    text, half a picture, 81 megapixels, a bitmap of one colour, a link, and members that are
    encrypted, packed by an unknown method, changed in a byte, or with a wrong checksum.
    """

    value: Any
    reason: Reason | None = None
    replace: tuple[str, str] = ("", "")
    times: int = 1


SYSTEM_PROMPT = body("data/system_prompt.txt").decode()
TASKS = _table("data/tasks.json", Task)
"""Tasks without a picture."""
ORIGINALS = _table("pictures/pictures.json", Original)
BLOCK = _table("data/block.json", Shape)
FAULTY_RECORDS = _table("data/faulty_records.json", FaultyRecord)
