"""Checks the turns and answers of a row, as LLaMA-Factory's ``SharegptDatasetConverter`` does."""

from collections.abc import Mapping
from typing import Any

import msgspec

from beam_mat.core.contract.entry import ANSWERS, Entry
from beam_mat.core.contract.finding import Finding, Kind, Severity, shown

_QUESTION_TAGS = ("user_tag", "observation_tag")
_ANSWER_TAGS = ("assistant_tag", "function_tag")
_TAGS = (*_QUESTION_TAGS, *_ANSWER_TAGS, "system_tag")


class Turn(msgspec.Struct, frozen=True):
    """A turn or an answer: what it is called in messages, its role and its content, if any."""

    name: str
    role: Any
    content: Any


class Turns(msgspec.Struct):
    """What LLaMA-Factory reads of a row that it does not drop.

    `turns` has the alternating turns after the system turn. `answers` are chosen and rejected, and
    empty if there is nothing to compare. `label` says whether KTO counts the last turn as wanted.
    """

    system: Any
    has_system_turn: bool
    turns: list[Turn]
    answers: list[Turn] = []
    label: bool | None = None
    faults: list[Finding] = []


def read_turns(row: Mapping[str, Any], system: object, entry: Entry) -> Turns | list[Finding]:
    """Reads the turns and answers of a row, or returns why LLaMA-Factory does not.

    `system` is the value of the system column.
    """
    found = _aligned(row.get(entry.columns["messages"]), system, entry)
    if isinstance(found, Finding):
        if entry.is_kto and found.kind.about.severity is Severity.DROPS:
            return [found, _dropped_in_kto(found)]
        return [found]
    label = row.get(entry.columns["kto_tag"]) if "kto_tag" in entry.columns else None
    if entry.is_kto:
        return _with_label(found, label)
    if not entry.ranking:
        return found
    if isinstance(label, bool):
        why = f"the entry is a ranking, but the row also has the label {shown(label)}"
        return [Finding(Kind.LABEL_INVALID, why)]
    return _with_answers(found, row, entry)


def _with_label(found: Turns, label: object) -> Turns | list[Finding]:
    answer = found.turns[-1].content
    if not isinstance(label, bool):
        fault = Finding(Kind.LABEL_INVALID, f"kto_tag is {shown(label)}")
        return [fault] if answer else [fault, _dropped_in_kto(fault)]
    found.label = label and bool(answer)
    if label and answer == "":
        found.faults.append(Finding(Kind.ANSWER_EMPTY, "kto_tag is true, but the answer is empty"))
    return found


def _dropped_in_kto(fault: Finding) -> Finding:
    return Finding(Kind.DROPPED_IN_KTO, f"the row has no answer for the next one: {fault.detail}")


def _with_answers(found: Turns, row: Mapping[str, Any], entry: Entry) -> Turns | list[Finding]:
    role_tag, content_tag = entry.tags["role_tag"], entry.tags["content_tag"]
    for name in ANSWERS:
        value = row.get(entry.columns[name])
        if not isinstance(value, dict):
            return [Finding(Kind.ANSWERS_INVALID, f"{name} is {shown(value)}")]
        found.answers.append(Turn(name, value.get(role_tag), value.get(content_tag)))
    found.faults += (fault for answer in found.answers for fault in _answer_role(answer, entry))
    chosen, rejected = found.answers
    if chosen.role == rejected.role and chosen.content == rejected.content:
        found.faults.append(Finding(Kind.ANSWERS_EQUAL, f"both are {shown(chosen.content)}"))
    for answer in found.answers:
        if answer.content == "":
            found.faults.append(Finding(Kind.ANSWER_EMPTY, f"{answer.name} is empty"))
    return found


def _answer_role(answer: Turn, entry: Entry) -> list[Finding]:
    # A tag that is not listed is None. If two tags are equal, the last one counts.
    matching = [tag for tag in _TAGS if entry.tags.get(tag) == answer.role]
    why = f"{answer.name} has the role {shown(answer.role)}"
    if not matching or matching[-1] == "system_tag":
        return [Finding(Kind.ANSWER_ROLE_UNKNOWN, why)]
    return [] if matching[-1] in _ANSWER_TAGS else [Finding(Kind.ANSWER_ROLE, why)]


def _aligned(messages: object, system: object, entry: Entry) -> Turns | Finding:
    tags = entry.tags
    if not isinstance(messages, list):
        found = "missing or null" if messages is None else shown(messages)
        return Finding(Kind.MESSAGES_INVALID, f"{entry.columns['messages']} is {found}")
    for number, turn in enumerate(messages):
        if not isinstance(turn, dict):
            return Finding(Kind.MESSAGES_INVALID, f"turn {number} is {shown(turn)}")
    listed = [(turn.get(tags["role_tag"]), turn.get(tags["content_tag"])) for turn in messages]
    has_system = bool(listed) and "system_tag" in tags and listed[0][0] == tags["system_tag"]
    if has_system:
        system = listed.pop(0)[1]
    for number, (role, _) in enumerate(listed):
        # A tag that is not listed is None, so it matches a turn without a role.
        expected = (_QUESTION_TAGS, _ANSWER_TAGS)[number % 2]
        if role not in [tags.get(tag) for tag in expected]:
            return _role_fault(number, role, tags)
    if not listed:
        return Finding(Kind.NO_TURNS, "there are no user and assistant turns")
    if len(listed) % 2 != entry.ranking:
        kind, what = (Kind.EVEN_TURNS, "even") if entry.ranking else (Kind.ODD_TURNS, "odd")
        return Finding(kind, f"the number of turns, {len(listed)}, is {what}")
    if "system_tag" not in tags and any(role is None for role, _ in listed):
        return Finding(Kind.MESSAGES_INVALID, "a turn has no role, and system_tag is not listed")
    turns = [Turn(f"turn {number}", *turn) for number, turn in enumerate(listed)]
    return Turns(system, has_system, turns)


def _role_fault(number: int, role: object, tags: dict[str, str]) -> Finding:
    if number == 0 and role == "system" and "system_tag" not in tags:
        return Finding(Kind.SYSTEM_TAG_NOT_LISTED, "the first turn has the role 'system'")
    if role not in [tags[name] for name in _TAGS if name in tags]:
        found = "no role" if role is None else f"the role {shown(role)}"
        return Finding(Kind.ROLE_UNKNOWN, f"turn {number} has {found}")
    return Finding(Kind.ROLES_OUT_OF_ORDER, f"turn {number} has the role {shown(role)}")
