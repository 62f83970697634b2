"""What the schemas share: a draft of a trajectory, and the rules that hold for every schema.

A schema turns a decoded record into a `Draft`. It raises FaultyError if it cannot, and never
ignores a key that matters for training.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from beam_mat.core.contract.calls import check_call, check_tools
from beam_mat.core.layout import rewrite, unsafe
from beam_mat.core.limits import MAX_RECORD_IMAGES
from beam_mat.core.nesting import decode_text
from beam_mat.core.reject import Reason
from beam_mat.core.trajectory import (
    ANSWERS,
    ASSISTANT,
    CALL,
    IMAGE,
    IMAGE_TOKEN,
    INLINE,
    OBSERVATION,
    QUESTIONS,
    SYSTEM,
    USER,
    Box,
    FaultyError,
    Reading,
    Trajectory,
    Turn,
    kind_of,
    respell,
    respell_others,
    respell_system,
    shown,
)

Record = dict[str, Any]

MAX_UNKNOWN = 50
"""Unknown keys of a record that are counted."""
MAX_KEY = 80

TRAINING_KEYS = frozenset(
    "audio audios chat_template_kwargs chosen conversation conversations function_call functions "
    "history image images kto_tag label loss loss_scale messages objects rejected rejected_images "
    "rejected_messages rejected_response system system-prompt system_prompt tool_calls tools video "
    "videos".split()
)
"""Keys of a record whose loss would change what a model is trained on."""
TURN_KEYS = frozenset(
    "audio audios function_call image images reasoning_content thinking tool_calls video "
    "videos".split()
)
"""The same for keys of a turn."""
LOSS_KEYS = ("loss", "loss_scale", "loss_weight", "weight")
"""Keys of a turn that say how much it counts. LLaMA-Factory can train on all answers alike only."""


class Draft(msgspec.Struct):
    """A trajectory in the making: the fields of `Trajectory`, with the paths as in the record.

    In questions, each ``<image>`` is a placeholder.
    """

    id: str | None
    system: str
    turns: Sequence[Turn]
    images: Sequence[str] = ()
    tools: str | None = None
    chosen: Turn | None = None
    rejected: Turn | None = None
    label: bool | None = None
    boxes: tuple[Box, ...] = ()
    respelled: int = 0
    unknown: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()


def id_of(record: Record) -> str | None:
    """The id of a record as text, or None if it has none."""
    value = record.get("id")
    if isinstance(value, str) and value:
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return None


def listed_turns(record: Record, key: str) -> list[Any]:
    """The turns of a record, not empty."""
    listed = record.get(key)
    if not isinstance(listed, list) or not listed:
        what = "missing" if key not in record else shown(listed)
        raise FaultyError(Reason.NO_TURNS, f"{key} is {what}")
    return listed


def text_turn(
    number: int | str, item: object, keys: tuple[str, str], roles: Mapping[str, str]
) -> Turn:
    """Reads a turn whose content is text. `keys` are those of role and content.

    `roles` maps the roles of the schema to those of LLaMA-Factory.
    """
    if not isinstance(item, dict):
        detail = f"turn {number} is {kind_of(item)}, not an object"
        raise FaultyError(Reason.CONTENT_NOT_TEXT, detail)
    role_key, content_key = keys
    role, content = item.get(role_key), item.get(content_key)
    known = roles.get(role) if isinstance(role, str) else None
    if known is None:
        detail = f"turn {number} has the role {shown(role)}"
        if role is None and role_key not in item:
            detail = f"turn {number} has no {role_key}; its keys are {_keys(item)}"
        raise FaultyError(Reason.UNKNOWN_ROLE, detail)
    if not isinstance(content, str):
        detail = f"the {content_key} of turn {number} is {kind_of(content)}, not text"
        raise FaultyError(Reason.CONTENT_NOT_TEXT, detail)
    if (not content or content.isspace()) and known != SYSTEM:
        raise FaultyError(Reason.CONTENT_NOT_TEXT, f"turn {number} is empty")
    return Turn(known, content)


def _keys(item: Mapping[str, object]) -> str:
    return shown(", ".join(list(item)[:10]))


def split_system(record: Record, turns: list[Turn], *keys: str) -> str:
    """Takes the system prompt from the first turn, or from one of the `keys` of the record.

    Two prompts cannot be carried over: LLaMA-Factory would ignore one of them.
    """
    found = [turns.pop(0).content] if turns and turns[0].role == SYSTEM else []
    for key in keys:
        value = record.get(key)
        if value is not None and not isinstance(value, str):
            raise FaultyError(Reason.CONTENT_NOT_TEXT, f"{key} is {kind_of(value)}")
        if value:
            found.append(value)
    given = [prompt for prompt in found if prompt]
    if len(given) > 1 and len(set(given)) > 1:
        detail = "the record has two system prompts, and LLaMA-Factory would ignore one"
        raise FaultyError(Reason.KEY_NOT_SUPPORTED, detail)
    return given[0] if given else ""


def check_order(turns: Sequence[Turn], before: int, *, pairs: bool = False) -> None:
    """Checks that questions and answers alternate. The last turn must be an answer.

    With `pairs`, it must be a question. `before` is the number of turns before `turns`.
    """
    if not turns:
        what = "only a system turn" if before else "no turns"
        raise FaultyError(Reason.NO_TURNS, f"conversations has {what}")
    for number, turn in enumerate(turns):
        if turn.role not in (QUESTIONS, ANSWERS)[number % 2]:
            expected = (USER, ASSISTANT)[number % 2]
            detail = f"turn {number + before} has the role {turn.role}, not {expected}"
            raise FaultyError(Reason.ROLES_OUT_OF_ORDER, detail)
    if pairs and len(turns) % 2 == 0:
        detail = (
            "the turns before the two answers end with an answer; LLaMA-Factory drops such a pair "
            "(even number of turns)"
        )
        raise FaultyError(Reason.PAIR_INVALID, detail)
    if not pairs and len(turns) % 2:
        last = turns[-1].role
        raise FaultyError(Reason.ODD_TURNS, f"the last of {len(turns)} turns has the role {last}")


def count_keys(
    record: Record, carried: Collection[str], ignored: Collection[str] = ()
) -> tuple[str, ...]:
    """Returns the unknown keys of a record. Raises FaultyError if one matters for training.

    `carried` are the keys whose values are in the draft, `ignored` those that are known not to
    matter.
    """
    known = {"id", *carried, *ignored}
    unknown = []
    for key in record.keys() - known:
        if key not in TRAINING_KEYS:
            unknown.append(_short(key))
        elif not is_empty(record[key]):
            _refuse(key)
    return tuple(sorted(unknown)[:MAX_UNKNOWN])


def count_turn_keys(
    items: Sequence[object], carried: Collection[str], ignored: Collection[str] = ()
) -> tuple[str, ...]:
    """As `count_keys`, for the keys of all turns."""
    known = {*carried, *ignored}
    unknown = set[str]()
    for item in items:
        if not isinstance(item, dict) or known.issuperset(item):
            continue
        for key in item.keys() - known:
            value = item[key]
            if key in LOSS_KEYS:
                if value is not None and value != 1:
                    _refuse(f"{key} in a turn", f"it is {shown(value)}")
            elif key not in TURN_KEYS:
                unknown.add(f"turn: {_short(key)}")
            elif not is_empty(value):
                _refuse(f"{key} in a turn")
    return tuple(sorted(unknown)[:MAX_UNKNOWN])


def _short(key: str) -> str:
    return key if len(key) <= MAX_KEY else key[:MAX_KEY] + "…"


def is_empty(value: object) -> bool:
    """Whether a value is null or empty, or the text of an empty list or object."""
    return value in (None, "", [], {}) or (
        isinstance(value, str) and value.strip() in ("", "{}", "[]")
    )


def _refuse(key: str, why: str = "") -> None:
    detail = f"the record has {key}, which this schema cannot carry over"
    raise FaultyError(Reason.KEY_NOT_SUPPORTED, detail + (f": {why}" if why else ""))


def paths_of(record: Record, *keys: str) -> list[str]:
    """The image paths of a record. One of the `keys` has a path, a list, or a list as text."""
    found: list[list[str]] = []
    for key in keys:
        value = record.get(key)
        if is_empty(value):
            continue
        if isinstance(value, str) and value.lstrip().startswith("["):
            try:
                value = decode_text(value)
            except ValueError:
                value = _bare_list(value)
        listed: list[Any] = value if isinstance(value, list) else [value]
        if not all(isinstance(one, str) for one in listed):
            detail = f"{key} is {kind_of(value)}: {shown(value)}"
            raise FaultyError(Reason.IMAGE_FIELD_INVALID, detail)
        found.append(listed)
    if len(found) > 1 and any(one != found[0] for one in found):
        detail = f"{' and '.join(keys)} list different images"
        raise FaultyError(Reason.IMAGE_FIELD_INVALID, detail)
    return found[0] if found else []


def _bare_list(text: str) -> object:
    """The items of ``[a.jpg, b.jpg]``, a list that was written without quotes; else the text."""
    text = text.strip()
    if not text.endswith("]") or any(mark in text for mark in "\"'{}"):
        return text
    return [item.strip() for item in text[1:-1].split(",")]


def pair_images(turns: Sequence[Turn], images: Sequence[str]) -> None:
    """Checks that the questions have as many placeholders as there are images."""
    asked = sum(turn.content.count(IMAGE) for turn in turns if turn.role in QUESTIONS)
    if asked > len(images):
        detail = f"the user turns have {asked} {IMAGE}, but the record lists {len(images)} images"
        raise FaultyError(Reason.PLACEHOLDER_WITHOUT_IMAGE, detail)
    if asked < len(images):
        detail = (
            f"the user turns have {asked} {IMAGE} for {len(images)} images; the first without one "
            f"is {shown(images[asked])}"
        )
        raise FaultyError(Reason.IMAGE_WITHOUT_PLACEHOLDER, detail)


def respelled(draft: Draft) -> None:
    """Respells words that LLaMA-Factory would count as media, except the placeholders."""
    draft.system, count = respell_system(draft.system)
    turns = list(draft.turns)
    for number, turn in enumerate(turns):
        if "<" in turn.content:
            change = respell_others if turn.role in QUESTIONS else respell
            content, often = change(turn.content)
            if often:
                count += often
                turns[number] = Turn(turn.role, content)
    draft.turns = turns
    for name in ("chosen", "rejected"):
        answer = getattr(draft, name)
        if answer:
            content, often = respell(answer.content)
            count += often
            setattr(draft, name, Turn(answer.role, content))
    draft.respelled += count


def finish(draft: Draft, reading: Reading) -> Trajectory:
    """Checks the images, calls and answers of a draft, and makes the trajectory."""
    if len(draft.images) > MAX_RECORD_IMAGES:
        detail = f"the record uses {len(draft.images)} images; the limit is {MAX_RECORD_IMAGES}"
        raise FaultyError(Reason.RECORD_TOO_LARGE, detail)
    _check_answers(draft)
    _check_calls(draft)
    return Trajectory(
        id=draft.id,
        system=draft.system,
        turns=tuple(draft.turns),
        images=tuple(publish(path, reading) for path in draft.images),
        respelled=draft.respelled,
        tools=draft.tools,
        chosen=draft.chosen,
        rejected=draft.rejected,
        label=draft.label,
        boxes=draft.boxes,
        unknown=draft.unknown,
        changes=draft.changes,
    )


def _check_answers(draft: Draft) -> None:
    if draft.chosen is None:
        return
    if draft.chosen == draft.rejected:
        detail = f"chosen and rejected are equal: {shown(draft.chosen.content)}"
        raise FaultyError(Reason.PAIR_INVALID, detail)
    if draft.label is not None:
        detail = "the record has two answers and a label; LLaMA-Factory reads one of them"
        raise FaultyError(Reason.PAIR_INVALID, detail)


def _check_calls(draft: Draft) -> None:
    """Checks that LLaMA-Factory reads the tools, and the calls after all changes, as they are.

    A call may have the words ``<tool_call>`` in its arguments, for example.
    """
    faults = check_tools(draft.tools) if draft.tools else []
    for turn in (*draft.turns, draft.chosen, draft.rejected):
        if turn and turn.role == CALL:
            faults += check_call("a call", turn.content)
    if draft.tools and IMAGE_TOKEN in draft.tools:
        detail = f"tools has {IMAGE_TOKEN}, which Qwen's models read as an image"
        raise FaultyError(Reason.TOOLS_INVALID, detail)
    for fault in faults:
        raise FaultyError(Reason.TOOLS_INVALID, f"{fault.detail}; {fault.kind.about.happens}")


def publish(path: str, reading: Reading) -> str:
    """The published path of an image."""
    if path.startswith("inline/") and INLINE.fullmatch(path):
        return path
    path = reading.prefix + rewrite(path, reading.rewrites)
    if why := unsafe(path):
        raise FaultyError(Reason.UNSAFE_PATH, why)
    return path


ROLES = {
    SYSTEM: SYSTEM,
    USER: USER,
    ASSISTANT: ASSISTANT,
    OBSERVATION: OBSERVATION,
    CALL: CALL,
    "human": USER,
    "gpt": ASSISTANT,
}
"""LLaMA-Factory's roles, with the default names of its sharegpt format."""
