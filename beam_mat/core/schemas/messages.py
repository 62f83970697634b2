"""Schemas with `messages` of role and content: LLaMA-Factory's own form, and ms-swift."""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from beam_mat.core.reject import Reason
from beam_mat.core.schemas.draft import (
    ROLES,
    Draft,
    Record,
    check_order,
    count_keys,
    count_turn_keys,
    id_of,
    is_empty,
    listed_turns,
    pair_images,
    paths_of,
    respelled,
    split_system,
    text_turn,
)
from beam_mat.core.schemas.tools import (
    NEXT_RESULT,
    call_of,
    call_turn,
    check_calls,
    decoded,
    tools_of,
)
from beam_mat.core.trajectory import (
    ANSWERS,
    ASSISTANT,
    CALL,
    IMAGE,
    OBSERVATION,
    QUESTIONS,
    USER,
    Box,
    FaultyError,
    Turn,
    kind_of,
    shown,
)

KEYS = ("role", "content")
MOVED = "<image> put before the first question"

_CARRIED = frozenset({"messages", "images", "image", "system", "tools", "kto_tag"})
_SWIFT_ROLES = {
    **ROLES,
    "bot": ASSISTANT,
    "tool_call": CALL,
    "tool_response": OBSERVATION,
    "tool": OBSERVATION,
    "observations": OBSERVATION,
}
_SWIFT_CARRIED = _CARRIED - {"kto_tag"} | {
    "label",
    "objects",
    "rejected_response",
    "rejected_images",
}
_SWIFT_IGNORED = frozenset({"channel"})
BOX = re.compile("<bbox>")
_FILLED = re.compile("<bbox>|<ref-object>")


def sharegpt(record: Record) -> Draft:
    """Reads a record of LLaMA-Factory's own form, such as those of GUI-Net."""
    listed = listed_turns(record, "messages")
    turns = [text_turn(number, item, KEYS, ROLES) for number, item in enumerate(listed)]
    system = split_system(record, turns, "system")
    turns = check_calls(turns)
    check_order(turns, len(listed) - len(turns))
    images = paths_of(record, "images", "image")
    pair_images(turns, images)
    draft = Draft(id_of(record), system, turns, images, tools=tools_of(record, turns))
    draft.label = label_of(record, "kto_tag")
    draft.unknown = count_keys(record, _CARRIED) + count_turn_keys(listed, KEYS)
    respelled(draft)
    return draft


def label_of(record: Record, key: str) -> bool | None:
    """Whether the last answer is wanted. LLaMA-Factory drops the row if it is not a boolean."""
    value = record.get(key)
    if value is not None and not isinstance(value, bool):
        detail = f"{key} is {shown(value)}, not true or false"
        raise FaultyError(Reason.PAIR_INVALID, detail)
    return value


def ms_swift(record: Record) -> Draft:
    """Reads a record of ms-swift (its ``docs/source_en/Customization/Custom-dataset.md``)."""
    listed = listed_turns(record, "messages")
    turns = [text_turn(number, item, KEYS, _SWIFT_ROLES) for number, item in enumerate(listed)]
    system = split_system(record, turns, "system")
    turns = merged(turns)
    draft = Draft(id_of(record), system, turns, tools=tools_of(record, always=True))
    draft.images = paths_of(record, "images", "image")
    draft.label = label_of(record, "label")
    rejected_images = paths_of(record, "rejected_images")
    if rejected_images and rejected_images != draft.images:
        detail = "rejected_images differ from images; LLaMA-Factory has one list for both"
        raise FaultyError(Reason.PAIR_INVALID, detail)
    if not is_empty(record.get("rejected_response")):
        _split_pair(draft, record["rejected_response"])
    check_order(draft.turns, len(listed) - len(turns), pairs=draft.chosen is not None)
    _put_images(draft)
    pair_images(draft.turns, draft.images)
    draft.unknown = count_keys(record, _SWIFT_CARRIED, _SWIFT_IGNORED) + count_turn_keys(
        listed, KEYS
    )
    respelled(draft)
    _fill(draft, record.get("objects"))
    return draft


def merged(turns: Sequence[Turn]) -> list[Turn]:
    """Joins calls in a row with each other and with the text before, and results in a row.

    LLaMA-Factory drops rows that have two turns of one side in a row.
    """
    made = list[Turn]()
    text, calls = "", list[dict[str, Any]]()
    for turn in turns:
        before = made[-1].role if made else ""
        if turn.role == CALL:
            if before != CALL:
                text, calls = (made.pop().content, []) if before == ASSISTANT else ("", [])
            else:
                made.pop()
            calls += [call_of(one) for one in decoded(turn.content)]
            made.append(call_turn(text, calls))
        elif turn.role == OBSERVATION == before:
            made[-1] = Turn(OBSERVATION, f"{made[-1].content}{NEXT_RESULT}{turn.content}")
        else:
            made.append(turn)
    return made


def _split_pair(draft: Draft, rejected: object) -> None:
    """Takes the last answer as the chosen one, and `rejected` as the other."""
    if isinstance(rejected, list) and len(rejected) == 1:
        item = rejected[0]
        rejected = item.get("content") if isinstance(item, dict) else item
    if not isinstance(rejected, str) or not rejected.strip():
        detail = f"rejected_response is {kind_of(rejected)}, not one answer"
        raise FaultyError(Reason.PAIR_INVALID, detail)
    if not draft.turns or draft.turns[-1].role not in ANSWERS:
        raise FaultyError(
            Reason.PAIR_INVALID, "there is no answer to compare rejected_response with"
        )
    *history, chosen = draft.turns
    draft.turns, draft.chosen, draft.rejected = history, chosen, _rejected(chosen, rejected)


def _rejected(chosen: Turn, text: str) -> Turn:
    """The other answer. It may be text, although the chosen one is a call."""
    if chosen.role != CALL:
        return Turn(chosen.role, text)
    try:
        return call_turn("", [call_of(one) for one in decoded(text)])
    except FaultyError:
        return Turn(ASSISTANT, text)


def _put_images(draft: Draft) -> None:
    """Puts missing placeholders before the first question, as ms-swift does."""
    asked = sum(turn.content.count(IMAGE) for turn in draft.turns if turn.role in QUESTIONS)
    lacking = len(draft.images) - asked
    first = next((at for at, turn in enumerate(draft.turns) if turn.role == USER), None)
    if lacking > 0 and first is not None:
        turns = list(draft.turns)
        turns[first] = Turn(USER, IMAGE * lacking + turns[first].content)
        draft.turns, draft.changes = turns, (*draft.changes, MOVED)


def _fill(draft: Draft, objects: object) -> None:
    """Writes names into ``<ref-object>``, and collects the boxes of ``<bbox>``.

    The numbers of a box are known only once its image is converted; until then, ``<bbox>`` stays.
    """
    texts = [turn.content for turn in draft.turns]
    asked = [word for text in texts for word in _FILLED.findall(text)]
    if is_empty(objects) and not asked:
        return
    given = objects if isinstance(objects, dict) else {}
    names, boxes = given.get("ref") or [], given.get("bbox") or []
    kind = given.get("bbox_type") or "real"
    images = given.get("image_id") or [0] * len(boxes)
    alien = sorted(given.keys() - {"ref", "bbox", "bbox_type", "image_id"})
    if (
        not all(isinstance(one, list) for one in (names, boxes, images))
        or alien
        or not isinstance(objects, dict)
        or kind not in ("real", "norm1")
        or asked.count("<ref-object>") != len(names)
        or asked.count("<bbox>") != len(boxes)
        or len(images) != len(boxes)
        or not all(isinstance(name, str) for name in names)
    ):
        detail = "objects does not fit the <ref-object> and <bbox> of the turns"
        raise FaultyError(Reason.KEY_NOT_SUPPORTED, f"{detail}: {shown(objects)}")
    made = [_box(numbers, image, draft) for numbers, image in zip(boxes, images, strict=True)]
    names, filled = iter(names), iter(made)

    def fill(found: re.Match[str]) -> str:
        if found[0] == "<ref-object>":
            return str(next(names))
        box = next(filled)
        return found[0] if kind == "real" else written(box.numbers)

    draft.turns = [Turn(turn.role, _FILLED.sub(fill, turn.content)) for turn in draft.turns]
    draft.boxes = tuple(made) if kind == "real" else ()


def _box(numbers: object, image: object, draft: Draft) -> Box:
    if (
        not isinstance(numbers, list)
        or len(numbers) not in (2, 4)
        or not all(isinstance(one, int | float) and abs(one) < 1 << 32 for one in numbers)
        or not isinstance(image, int)
        or not 0 <= image < len(draft.images)
    ):
        detail = f"objects has the box {shown(numbers)} in image {shown(image)}"
        raise FaultyError(Reason.KEY_NOT_SUPPORTED, detail)
    return Box(image, tuple(numbers))


def written(numbers: Sequence[float]) -> str:
    """A box as text.

    >>> written((10, 20.5, 30, 40.0))
    '[10, 20.5, 30, 40]'
    """
    texts = (msgspec.json.encode(int(one) if one == int(one) else one).decode() for one in numbers)
    return f"[{', '.join(texts)}]"
