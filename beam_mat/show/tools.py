"""Makes tools and calls of tools readable. Text that is something else is left as it is."""

import json
from typing import Any

from beam_mat.core.schemas.tools import NEXT_RESULT

CALLS = ("function_call", "tool_call")
"""Roles of turns that call tools."""
_TAGS = ("<tool_call>", "</tool_call>")


def calls(text: str) -> str:
    """The calls in a turn, one per line, after the text before them.

    >>> calls('[{"name": "crop", "arguments": {"side": "left"}}]')
    '→ crop {"side": "left"}'
    >>> calls("I look.")
    'I look.'
    """
    before, tag, rest = text.partition(_TAGS[0])
    inside, closing, after = rest.partition(_TAGS[1])
    if tag and (not closing or after.strip()):
        return text
    value = _json(inside if tag else text)
    listed = value if isinstance(value, list) else [value]
    if not listed or not all(isinstance(one, dict) and "name" in one for one in listed):
        return text
    lines = [f"→ {_word(one['name'])} {_dump(one.get('arguments'))}" for one in listed]
    return "\n".join([before.rstrip(), *lines] if tag and before.strip() else lines)


def results(text: str) -> str:
    """The results of calls that were made together, with a line between them."""
    return text.replace(NEXT_RESULT, "\n----\n")


def tools(value: object) -> str:
    """The name, the parameters and the description of each tool, one per line.

    >>> tools('[{"name": "crop", "parameters": {"properties": {"side": {}}}}]')
    'crop(side)'
    """
    listed = _json(value) if isinstance(value, str) else value
    if not isinstance(listed, list) or not all(isinstance(tool, dict) for tool in listed):
        return value if isinstance(value, str) else _dump(value)
    return "\n".join(map(_tool, listed))


def _tool(tool: dict[str, Any]) -> str:
    inside = tool.get("function")
    function = inside if isinstance(inside, dict) else tool
    if "name" not in function:
        return _dump(tool)
    parameters = function.get("parameters")
    properties = parameters.get("properties") if isinstance(parameters, dict) else None
    names = ", ".join(map(str, properties)) if isinstance(properties, dict) else ""
    about = function.get("description")
    line = f"{_word(function['name'])}({names})"
    return f"{line}: {_word(about)}" if about else line


def _word(value: object) -> str:
    return value if isinstance(value, str) else _dump(value)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _dump(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, default=repr)
    except (ValueError, RecursionError):
        return repr(type(value))
