"""Checks the tools of a row and the turns that call them, as LLaMA-Factory reads them.

It follows ``FunctionFormatter`` and ``ToolFormatter`` with the words of Qwen's templates.
"""

import json
from typing import Any

from beam_mat.core.contract.finding import Finding, Kind, shown
from beam_mat.core.limits import MAX_CHECKED_NESTING
from beam_mat.core.nesting import TooDeepError, require_shallow

_CALL = ("<tool_call>", "</tool_call>")
_THOUGHT = ("<think>\n", "\n</think>\n\n")


def check_call(name: str, content: str) -> list[Finding]:
    """Checks the content of a turn that calls functions. `name` says which turn it is."""
    tagged, thought = _between(content, _CALL), _between(content, _THOUGHT)
    text, after = content, ""
    if tagged:
        text, after = tagged[1], tagged[2]
    elif thought:
        text = content.replace(thought[1].join(_THOUGHT), "")
    try:
        value = _loads(text)
    except ValueError:
        return [Finding(Kind.FUNCTION_CALL_INVALID, f"{name} is {shown(content)}")]
    calls = value if isinstance(value, list) else [value]
    for call in calls:
        if not isinstance(call, dict) or not {"name", "arguments"} <= call.keys():
            return [Finding(Kind.FUNCTION_CALL_INVALID, f"{name} has the call {shown(call)}")]
    faults = []
    if after.strip():
        faults.append(Finding(Kind.CALL_MOVED, f"{name} has {shown(after)} after the call"))
    for call in calls:
        if isinstance(call["arguments"], str):
            why = f"{name} has the arguments {shown(call['arguments'])}"
            faults.append(Finding(Kind.ARGUMENTS_AS_TEXT, why))
    return faults


def _between(text: str, words: tuple[str, str]) -> tuple[str, str, str] | None:
    """The text before the first opening word, up to the next closing word, and the rest."""
    before, opening, rest = text.partition(words[0])
    inside, closing, after = rest.partition(words[1])
    return (before, inside, after) if opening and closing else None


def check_tools(tools: object) -> list[Finding]:
    """Checks a value of the tools column that is not empty."""
    try:
        listed = _loads(tools) if isinstance(tools, str) else None
    except ValueError:
        listed = None
    # LLaMA-Factory treats an empty object like an empty list.
    if listed in ([], {}, "") or (
        isinstance(listed, list) and all(isinstance(tool, dict) for tool in listed)
    ):
        return []
    return [Finding(Kind.TOOLS_INVALID, f"tools is {shown(tools)}")]


def _loads(text: str) -> Any:
    try:
        value = json.loads(text)
    except RecursionError:
        raise TooDeepError(MAX_CHECKED_NESTING) from None
    require_shallow(value, MAX_CHECKED_NESTING)
    # LLaMA-Factory writes the value again, and the tokenizer fails on an unpaired surrogate.
    json.dumps(value, ensure_ascii=False).encode()
    return value
