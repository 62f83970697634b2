"""Counts tool calls. MAT's system prompts list the tools, and its answers call them in Python."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterable

MAX_NAME = 64

_LISTED = re.compile(rf"^- `?([A-Za-z_]\w{{0,{MAX_NAME - 1}}})`?[:(]", re.MULTILINE)
_CALLED = re.compile(r"(?<![\w.])([A-Za-z_]\w*)[ \t]*\Z")
_FENCE = "```"
_LANGUAGES = ("", "py", "python")


@functools.lru_cache(maxsize=64)
def offered(system: str) -> frozenset[str]:
    r"""The names of the tools that a system prompt lists, one per line.

    >>> sorted(offered("Your tools:\n- visualizer: looks.\n- search(query: str) -> str: finds."))
    ['search', 'visualizer']
    """
    return frozenset(_LISTED.findall(system))


def calls(system: str, answers: Iterable[str]) -> Counter[str]:
    r"""Counts the calls of each listed tool in the code blocks of the answers.

    For speed, the code is not parsed: what looks like a call in a string or a comment counts too.

    >>> calls("- search: finds.", ["Thought: search(1)\n```py\nprint(search(2))\n```"])
    Counter({'search': 1})
    """
    tools = offered(system)
    if not tools:
        return Counter()
    names = tuple(tools)
    found = Counter[str]()
    for answer in answers:
        for block in answer.split(_FENCE)[1::2]:
            language, _, code = block.partition("\n")
            if language.strip() not in _LANGUAGES:
                continue
            for before in code.split("(")[:-1]:
                # A cheap test first: few parentheses follow the name of a tool.
                if before.rstrip(" \t").endswith(names):
                    called = _CALLED.search(before[-MAX_NAME - 9 :])
                    if called and called[1] in tools:
                        found[called[1]] += 1
    return found
