"""Tools, and calls of tools, in the form that LLaMA-Factory reads.

`tools` is the JSON text of a list of objects. A call is the JSON text of one object with name and
arguments, or of a list of these, or text before one ``<tool_call>`` (LLaMA-Factory's
``FunctionFormatter``).
"""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from beam_mat.core.nesting import decode_text
from beam_mat.core.reject import Reason
from beam_mat.core.trajectory import CALL, OBSERVATION, FaultyError, Turn, kind_of, shown

NEXT_RESULT = "\n</tool_response>\n<tool_response>\n"
"""Between the results of calls that were made together, as in LLaMA-Factory's openai format."""

_THOUGHT = re.compile(r"<think>\n.*?\n</think>\n\n", re.DOTALL)


def tools_of(
    record: dict[str, Any], turns: Iterable[Turn] = (), *, always: bool = False
) -> str | None:
    """The tools of a record as JSON text, or "" if it has none.

    Returns None if neither the record nor its turns have anything to do with tools, unless
    `always`: its row then needs no such column.
    """
    value = record.get("tools")
    if value is None or value in ("", [], {}):
        needs = always or any(turn.role in (CALL, OBSERVATION) for turn in turns)
        return "" if needs else None
    listed = value
    if isinstance(value, str):
        try:
            listed = decode_text(value)
        except ValueError as error:
            raise FaultyError(Reason.TOOLS_INVALID, f"tools is not JSON: {error}") from None
    if not isinstance(listed, list) or not all(isinstance(tool, dict) for tool in listed):
        detail = f"tools is {kind_of(listed)}, not a list of objects: {shown(listed)}"
        raise FaultyError(Reason.TOOLS_INVALID, detail)
    if not listed:
        return ""
    return value if isinstance(value, str) else dump(listed)


def dump(value: object) -> str:
    """JSON text with blanks after commas and colons, as tokenizers' templates write it."""
    return json.dumps(value, ensure_ascii=False)


def call_of(value: object) -> dict[str, Any]:
    """One call: an object with name and arguments. Arguments that are JSON text are decoded.

    LLaMA-Factory would train on such text as a string inside a string.
    """
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        detail = f"a call is {shown(value)}, not an object with name and arguments"
        raise FaultyError(Reason.TOOLS_INVALID, detail)
    arguments = value.get("arguments")
    if isinstance(arguments, str):
        try:
            arguments = decode_text(arguments or "{}")
        except ValueError:
            detail = f"the arguments of a call of {shown(value['name'])} are text that is not JSON"
            raise FaultyError(Reason.TOOLS_INVALID, f"{detail}: {shown(arguments)}") from None
    if not isinstance(arguments, dict):
        detail = f"the arguments of a call of {shown(value['name'])} are {kind_of(arguments)}"
        raise FaultyError(Reason.TOOLS_INVALID, f"{detail}, not an object")
    return {"name": value["name"], "arguments": arguments}


def decoded(text: str) -> list[Any]:
    """What should be calls in a text of JSON: one value, or a list of them."""
    try:
        value = decode_text(text)
    except ValueError as error:
        detail = f"a call is not JSON ({error}): {shown(text)}"
        raise FaultyError(Reason.TOOLS_INVALID, detail) from None
    listed = value if isinstance(value, list) else [value]
    if not listed:
        raise FaultyError(Reason.TOOLS_INVALID, "a call is an empty list")
    return listed


def call_turn(text: str, calls: Sequence[dict[str, Any]]) -> Turn:
    """A turn that makes calls, perhaps after some text, which LLaMA-Factory allows for one call."""
    if not text.strip():
        return Turn(CALL, dump(calls[0] if len(calls) == 1 else list(calls)))
    if len(calls) > 1:
        detail = f"an answer has text and {len(calls)} calls; LLaMA-Factory reads text and one call"
        raise FaultyError(Reason.TOOLS_INVALID, detail)
    return Turn(CALL, f"{text}<tool_call>{dump(calls[0])}</tool_call>")


def check_calls(turns: Sequence[Turn]) -> list[Turn]:
    """Checks the content of the turns that make calls, and decodes arguments that are text."""
    return [_checked(turn) if turn.role == CALL else turn for turn in turns]


def _checked(turn: Turn) -> Turn:
    before, tag, rest = turn.content.partition("<tool_call>")
    text, end, after = rest.partition("</tool_call>")
    if tag and not end:
        raise FaultyError(Reason.TOOLS_INVALID, f"a call has no end: {shown(turn.content)}")
    if not tag:
        # LLaMA-Factory cuts off a thought of exactly this form.
        thought = _THOUGHT.match(turn.content)
        before = thought[0] if thought else ""
        text, after = turn.content[len(before) :], ""
    if after.strip():
        detail = "there is text after a call in <tool_call>, which LLaMA-Factory would move"
        raise FaultyError(Reason.TOOLS_INVALID, f"{detail}: {shown(after)}")
    listed = decoded(text)
    calls = [call_of(one) for one in listed]
    if tag and len(calls) > 1:
        raise FaultyError(
            Reason.TOOLS_INVALID, "<tool_call> has a list; LLaMA-Factory reads one call"
        )
    if not any(isinstance(one.get("arguments"), str) for one in listed):
        return turn  # the author's spelling is kept
    made = dump(calls if isinstance(decode_text(text), list) else calls[0])
    return Turn(CALL, f"{before}{tag}{made}{'</tool_call>' if tag else ''}")
