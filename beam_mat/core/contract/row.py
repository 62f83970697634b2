"""Checks one row: takes a decoded value, returns its faults, and never raises.

It follows LLaMA-Factory's ``SharegptDatasetConverter`` and ``_validate_messages`` step by step. If
the converter drops a row, LLaMA-Factory does not look at it again, and neither does this module.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from beam_mat.core.contract.calls import check_call, check_tools
from beam_mat.core.contract.entry import Entry
from beam_mat.core.contract.finding import Finding, Kind, Severity, printable, shown
from beam_mat.core.contract.ignored import ignored_columns, ignored_turn_keys
from beam_mat.core.contract.turns import Turn, Turns, read_turns
from beam_mat.core.schemas.draft import is_empty
from beam_mat.core.trajectory import IMAGE_TOKEN

_MEDIA = {
    "images": ("<image>", Kind.IMAGE_COUNT),
    "videos": ("<video>", Kind.VIDEO_COUNT),
    "audios": ("<audio>", Kind.AUDIO_COUNT),
}
NULLABLE = ("system", "tools", *_MEDIA)
"""Columns that may be empty in a row. For these columns, the order of the rows matters."""


class Row(msgspec.Struct, frozen=True):
    """The result of checking a row.

    `empty` has the columns of `NULLABLE` that are empty in the row, `contents` those of the
    alternating user and assistant turns (none if they are invalid), and `images` paths or bytes.
    Of two answers, `contents` has the longer one. `label` is whether KTO counts the answer as
    wanted, None if it does not train on the row.
    """

    id: str
    faults: tuple[Finding, ...]
    empty: tuple[str, ...]
    system: str = ""
    contents: tuple[str, ...] = ()
    images: tuple[str | bytes, ...] = ()
    label: bool | None = None

    @property
    def dropped(self) -> bool:
        """Whether LLaMA-Factory drops the row and continues."""
        return any(fault.kind.about.severity is Severity.DROPS for fault in self.faults)

    @property
    def fails(self) -> bool:
        """Whether LLaMA-Factory does not train on the row."""
        return any(fault.kind.about.severity is not Severity.DEGRADED for fault in self.faults)


def check_row(value: object, entry: Entry) -> Row:
    """Checks a row as decoded from JSON or Parquet. The entry names the columns and tags."""
    if not isinstance(value, dict):
        return Row("", (Finding(Kind.NOT_AN_OBJECT, f"the row is {shown(value)}"),), ())
    known = value.get("id")
    id = printable(str(known)[:100]) if isinstance(known, str | int) else ""
    unlisted = {"system": "", "tools": ""}
    columns = {
        name: value.get(entry.columns[name]) if name in entry.columns else unlisted.get(name)
        for name in NULLABLE
    }
    # LLaMA-Factory's _find_medias treats anything but a list as a single item.
    media: dict[str, list[Any]] = {
        name: column if isinstance(column, list) else [] if column is None else [column]
        for name, column in columns.items()
        if name in _MEDIA
    }
    empty = tuple(name for name in NULLABLE if columns[name] is None or media.get(name) == [])
    # LLaMA-Factory joins the paths of dropped rows too.
    faults = [fault for name in media for fault in _unjoinable(name, media[name])]
    found = read_turns(value, columns["system"], entry)
    if isinstance(found, list):
        return Row(id, (*found, *faults), empty)
    faults += found.faults
    system = found.system
    if isinstance(system, str):
        empty = tuple(name for name in empty if name != "system")
    elif system is not None:
        faults.append(Finding(Kind.SYSTEM_NOT_TEXT, f"the system prompt is {shown(system)}"))
    faults += check_tools(columns["tools"]) if columns["tools"] else []
    images: list[str | bytes] = []
    for image in media["images"]:
        taken = _image(image, media["images"])
        if isinstance(taken, Finding):
            faults.append(taken)
        else:
            images.append(taken)
    for turn in (*found.turns, *found.answers):
        if not isinstance(turn.content, str):
            why = f"the content of {turn.name} is {shown(turn.content)}"
            faults.append(Finding(Kind.CONTENT_NOT_TEXT, why))
        elif turn.role == entry.tags.get("function_tag"):  # both are None if it is not listed
            faults += check_call(turn.name, turn.content)
    if any(fault.kind is Kind.CONTENT_NOT_TEXT for fault in faults):
        return Row(id, _once(faults), empty, images=tuple(images))
    texts = {turn.name: turn.content for turn in (*found.turns, *found.answers)}
    texts |= {"the system prompt": system, "tools": columns["tools"]}
    faults += (
        Finding(Kind.IMAGE_TOKEN, f"{name} has {IMAGE_TOKEN}")
        for name, content in texts.items()
        if isinstance(content, str) and IMAGE_TOKEN in content
    )
    counted = list(_counts(found, media, value, entry))
    if counted:
        # Some datasets use an empty path if there is no image. There is no file to look for.
        images = [image for image in images if image != ""]
    faults += (fault for _, fault in counted)
    faults += _ignored(found, value, columns["system"], entry, [name for name, _ in counted])
    contents = [turn.content for turn in found.turns]
    if found.answers:  # the longer one counts
        contents.append(max((turn.content for turn in found.answers), key=len))
    return Row(id, _once(faults), empty, system or "", tuple(contents), tuple(images), found.label)


def _counts(
    found: Turns, media: Mapping[str, list[Any]], row: Mapping[str, Any], entry: Entry
) -> Iterator[tuple[str, Finding]]:
    """The media whose number differs from that of the placeholders, by name."""
    for name, (word, kind) in _MEDIA.items():
        listed = len(media[name])
        for where, turns in _readings(found):
            counted = sum(turn.content.count(word) for turn in turns)
            if counted == listed:
                continue
            why = f"the turns{where} have {counted} {word}, but "
            why += f"{entry.columns.get(name, name)} lists {listed}"
            if name not in entry.columns and row.get(name):
                why += f", because columns does not list {name}"
            yield name, Finding(kind, why)
            break


def _readings(found: Turns) -> Iterator[tuple[str, list[Turn]]]:
    """The conversations that LLaMA-Factory makes of a row, and what makes them special."""
    if found.answers:
        for answer in found.answers:
            yield f" with {answer.name}", [*found.turns, answer]
        return
    yield "", found.turns
    if found.label is not None:
        # KTO also takes the answer of another row, which has placeholders of its own if any.
        yield " before the answer", found.turns[:-1]


def _ignored(
    found: Turns, row: Mapping[str, Any], system: object, entry: Entry, counted: list[str]
) -> Iterator[Finding]:
    if found.has_system_turn and not is_empty(system) and system != found.system:
        why = f"the system turn is {shown(found.system)}, and the column is {shown(system)}"
        yield Finding(Kind.SYSTEM_IGNORED, why)
    yield from ignored_columns(row, entry, found.system, counted)
    turns = [(f"turn {at}", turn) for at, turn in enumerate(row[entry.columns["messages"]])]
    answers = [(turn.name, row[entry.columns[turn.name]]) for turn in found.answers]
    yield from ignored_turn_keys([*turns, *answers])


def _once(faults: list[Finding]) -> tuple[Finding, ...]:
    """The first fault of each kind, because violations are counted per row, not per turn."""
    kinds = [fault.kind for fault in faults]
    return tuple(fault for at, fault in enumerate(faults) if fault.kind not in kinds[:at])


def _unjoinable(name: str, items: list[Any]) -> list[Finding]:
    """The items that LLaMA-Factory cannot join with media_dir. It expects the first one's type."""
    wrong: list[Any] = []
    if items and isinstance(items[0], str):
        wrong = [item for item in items if not isinstance(item, str)]
    elif items and isinstance(items[0], list):  # the frames of videos
        wrong = [
            item
            for item in items
            if not isinstance(item, list) or not all(isinstance(part, str) for part in item)
        ]
    return (
        [Finding(Kind.IMAGE_FIELD_INVALID, f"{name} contains {shown(wrong[0])}")] if wrong else []
    )


def _image(image: object, images: list[Any]) -> str | bytes | Finding:
    if isinstance(image, str):
        if not _is_name(image):
            return Finding(Kind.IMAGE_MISSING, f"{shown(image)} is not a valid file name")
        if isinstance(images[0], str):
            return image
        # Paths are joined with media_dir only if the first image is a path.
        why = f"the path {shown(image)} comes after {shown(images[0])}, which is not a path"
        return Finding(Kind.IMAGE_PATH_NOT_JOINED, why)
    if isinstance(image, bytes) and not isinstance(images[0], str):
        return image
    if not isinstance(image, dict) or isinstance(images[0], str):
        return Finding(Kind.IMAGE_FIELD_INVALID, f"an image is {shown(image)}")
    if "bytes" not in image:
        return Finding(Kind.IMAGE_STRUCT_INCOMPLETE, f"{shown(image)} has no field bytes")
    if isinstance(image["bytes"], bytes):
        return image["bytes"]
    if image["bytes"] is not None:
        return Finding(Kind.IMAGE_FIELD_INVALID, f"bytes is {shown(image['bytes'])}")
    path = image.get("path")
    if not isinstance(path, str) or not _is_name(path):
        return Finding(Kind.IMAGE_STRUCT_INCOMPLETE, f"{shown(image)} has neither bytes nor a path")
    if not path.startswith("/"):
        return Finding(Kind.IMAGE_PATH_NOT_JOINED, f"the path {shown(path)} is inside a struct")
    return path


def _is_name(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:  # an unpaired surrogate
        return False
    return True
