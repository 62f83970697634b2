"""Schemas whose turns have `from` and `value`: LLaVA, AGUVIS and the first Qwen-VL.

LLaVA's form is also that of ShareGPT4V, and LLaMA-Factory's own sharegpt form.
"""

import re
from collections.abc import Sequence

from beam_mat.core.reject import Reason
from beam_mat.core.schemas.draft import (
    ROLES,
    Draft,
    Record,
    check_order,
    count_keys,
    count_turn_keys,
    id_of,
    listed_turns,
    pair_images,
    paths_of,
    respelled,
    split_system,
    text_turn,
)
from beam_mat.core.schemas.tools import check_calls, tools_of
from beam_mat.core.trajectory import ASSISTANT, IMAGE, USER, FaultyError, Turn, respell

KEYS = ("from", "value")
SKIPPED = "answer before the first question left out"
JOINED = "thought and action joined into one answer"

_IMG = re.compile(r"<img>(.*?)</img>", re.DOTALL)
_CARRIED = frozenset({"conversations", "image", "images", "system", "tools"})


def llava(record: Record) -> Draft:
    """Reads a record of LLaVA, ShareGPT4V or LLaMA-Factory's sharegpt form.

    LLaVA's loader skips answers before the first question (``preprocess_v1`` and its siblings).
    """
    listed = listed_turns(record, "conversations")
    turns, draft = _draft(record, listed)
    draft.turns = _from_first_question(draft, turns)
    check_order(draft.turns, len(listed) - len(draft.turns))
    draft.images = paths_of(record, "image", "images")
    pair_images(draft.turns, draft.images)
    draft.unknown = count_keys(record, _CARRIED, {"model"}) + count_turn_keys(listed, KEYS)
    respelled(draft)
    return draft


def aguvis(record: Record) -> Draft:
    """Reads a record of AGUVIS, whose answers may have two turns: a thought and an action."""
    listed = listed_turns(record, "conversations")
    turns, draft = _draft(record, listed)
    joined = list[Turn]()
    for turn in turns:
        if joined and turn.role == joined[-1].role == ASSISTANT:
            joined[-1] = Turn(ASSISTANT, f"{joined[-1].content}\n{turn.content}")
            draft.changes = (JOINED,)
        else:
            joined.append(turn)
    draft.turns = joined
    check_order(joined, len(listed) - len(turns))
    draft.images = paths_of(record, "image", "images")
    pair_images(joined, draft.images)
    known = count_turn_keys(listed, KEYS, {"recipient", "end_turn"})
    draft.unknown = count_keys(record, _CARRIED) + known
    respelled(draft)
    return draft


def qwen_vl(record: Record) -> Draft:
    """Reads a record of the first Qwen-VL, whose texts contain ``<img>path</img>``.

    The text decides: `image`, which MAT-Agent's files have too, lists the same images again.
    """
    listed = listed_turns(record, "conversations")
    turns, draft = _draft(record, listed)
    turns = _from_first_question(draft, turns)
    check_order(turns, len(listed) - len(turns))
    images = list[str]()
    for number, turn in enumerate(turns):
        if turn.role != USER:
            continue
        text, count = respell(turn.content)  # <image> is a word here
        draft.respelled += count
        # Behind the last closing tag, every opening tag would be compared with all that follows it.
        end = text.rfind("</img>") + len("</img>") if "</img>" in text else 0
        images += _IMG.findall(text, 0, end)
        turns[number] = Turn(USER, _IMG.sub(IMAGE, text[:end]) + text[end:])
    if not images and paths_of(record, "images"):
        detail = "the record lists images, but no user turn has <img>path</img>"
        raise FaultyError(Reason.IMAGE_WITHOUT_PLACEHOLDER, detail)
    draft.turns, draft.images = turns, images
    ignored = {"correct", "answer", "traj_verification"}
    draft.unknown = count_keys(record, _CARRIED, ignored) + count_turn_keys(listed, KEYS)
    respelled(draft)
    return draft


def _draft(record: Record, listed: Sequence[object]) -> tuple[list[Turn], Draft]:
    turns = [text_turn(number, item, KEYS, ROLES) for number, item in enumerate(listed)]
    system = split_system(record, turns, "system")
    turns = check_calls(turns)
    return turns, Draft(id_of(record), system, turns, tools=tools_of(record, turns))


def _from_first_question(draft: Draft, turns: list[Turn]) -> list[Turn]:
    first = next((at for at, turn in enumerate(turns) if turn.role == USER), 0)
    if first:
        draft.changes = (SKIPPED,)
    return turns[first:]
