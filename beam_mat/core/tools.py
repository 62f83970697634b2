"""Which tools an agent calls: MAT's system prompts list them, its answers call them in Python."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterable

_LISTED = re.compile(r"^- `?([A-Za-z_]\w{0,63})`?[:(]", re.MULTILINE)
_CODE = re.compile(r"```(?:py|python)?[ \t]*\n(.*?)(?:```|\Z)", re.DOTALL)
_CALL = re.compile(r"(?<![\w.])([A-Za-z_]\w*)[ \t]*\(")


@functools.lru_cache(maxsize=64)
def offered(system: str) -> frozenset[str]:
    r"""Names of the tools that a system prompt lists, one a line.

    >>> sorted(offered("Your tools:\n- visualizer: looks.\n- search(query: str) -> str: finds."))
    ['search', 'visualizer']
    """
    return frozenset(_LISTED.findall(system))


def calls(system: str, answers: Iterable[str]) -> Counter[str]:
    r"""How often each tool that the system prompt lists is called in the answers' code.

    The code is not parsed: thousands of records a second go through here. A name that stands like a
    call in a string or a comment counts too.

    >>> calls("- search: finds.", ["Thought: search(1)\n```py\nprint(search(2))\n```"])
    Counter({'search': 1})
    """
    tools = offered(system)
    if not tools:
        return Counter()
    blocks = (code for answer in answers for code in _CODE.findall(answer))
    return Counter(name for code in blocks for name in _CALL.findall(code) if name in tools)
