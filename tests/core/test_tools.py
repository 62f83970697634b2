"""Tools that trajectories call."""

from __future__ import annotations

from collections import Counter

from beam_mat.core.tools import calls, offered

SYSTEM = """\
You only have access to those tools:

- visualizer: A tool that can answer questions about attached images.
- `ask_search_agent`: This will send a message.
- final_answer(answer) -> None: ends the task.
1. Always provide a 'Thought:' sequence - not: this
"""


def test_the_tools_of_a_prompt() -> None:
    assert offered(SYSTEM) == {"visualizer", "ask_search_agent", "final_answer"}
    assert offered("") == frozenset()


def test_calls_are_counted_in_code_only() -> None:
    answers = [
        "Thought: visualizer(1).\n\nCode:\n```py\na = visualizer(question='?')\nprint(a)\n```",
        "```\nfinal_answer(visualizer (2))\n```<end_action>",
    ]
    assert calls(SYSTEM, answers) == Counter(visualizer=2, final_answer=1)


def test_a_block_that_is_not_closed_is_code() -> None:
    assert calls(SYSTEM, ["```python\nfinal_answer(1)"]) == Counter(final_answer=1)


def test_methods_and_longer_names_are_no_tools() -> None:
    answer = "```py\nagent.visualizer(1)\nmy_visualizer(2)\nvisualizer = 3\n```"
    assert calls(SYSTEM, [answer]) == Counter()
