"""Ranking: a conversation that ends with a question, and two answers, `chosen` and `rejected`.

This is LLaMA-Factory's ranking form, and that of SPORT.
"""

from beam_mat.core.reject import Reason
from beam_mat.core.schemas import from_value, messages
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
from beam_mat.core.trajectory import ANSWERS, FaultyError, Turn, kind_of

_CARRIED = frozenset({"images", "image", "system", "tools", "chosen", "rejected"})


def read(record: Record) -> Draft:
    """Reads a pair of answers."""
    key = "messages" if isinstance(record.get("messages"), list) else "conversations"
    listed = listed_turns(record, key)
    keys = messages.KEYS if _has_role(listed[0]) else from_value.KEYS
    turns = [text_turn(number, item, keys, ROLES) for number, item in enumerate(listed)]
    system = split_system(record, turns, "system")
    turns = check_calls(turns)
    check_order(turns, len(listed) - len(turns), pairs=True)
    images = paths_of(record, "images", "image")
    pair_images(turns, images)
    draft = Draft(id_of(record), system, turns, images, tools=tools_of(record, turns))
    draft.chosen = _answer(record, "chosen")
    draft.rejected = _answer(record, "rejected")
    unknown = count_turn_keys([record["chosen"], record["rejected"]], KEYS, {"observation"})
    draft.unknown = count_keys(record, _CARRIED | {key}) + count_turn_keys(listed, keys) + unknown
    respelled(draft)
    return draft


KEYS = (*messages.KEYS, *from_value.KEYS)


def _has_role(item: object) -> bool:
    return isinstance(item, dict) and "role" in item


def _answer(record: Record, name: str) -> Turn:
    value = record.get(name)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, dict):
        detail = f"{name} is {kind_of(value)}, not one answer"
        raise FaultyError(Reason.PAIR_INVALID, detail)
    keys = messages.KEYS if _has_role(value) else from_value.KEYS
    turn = text_turn(name, value, keys, ROLES)
    if turn.role not in ANSWERS:
        raise FaultyError(Reason.PAIR_INVALID, f"{name} has the role {turn.role}, not assistant")
    return check_calls([turn])[0]
