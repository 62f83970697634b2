"""Calls and tools: what LLaMA-Factory cannot read, and what it changes."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_mat.core.contract.calls import check_call, check_tools
from beam_mat.core.contract.finding import Kind
from tests.properties import examples

CALL = '{"name": "add", "arguments": {"a": 1}}'


def formatted(content: str) -> str:
    """What ``FunctionFormatter.apply`` of LLaMA-Factory 0.9.5 makes of a call for Qwen."""

    def parsed(text: str) -> str:
        calls = json.loads(text)
        calls = calls if isinstance(calls, list) else [calls]
        made = [(call["name"], json.dumps(call["arguments"], ensure_ascii=False)) for call in calls]
        texts = [
            json.dumps({"name": name, "arguments": json.loads(arguments)}, ensure_ascii=False)
            for name, arguments in made
        ]
        return "\n".join(f"<tool_call>\n{text}\n</tool_call>" for text in texts)

    tagged = re.search(r"<tool_call>(.*?)</tool_call>", content, re.DOTALL)
    if tagged:
        return content.replace(tagged.group(0), "") + parsed(tagged.group(1))
    thought = re.search(r"<think>\n(.*?)\n</think>\n\n", content, re.DOTALL)
    if thought:
        return thought.group(0) + parsed(content.replace(thought.group(0), ""))
    return parsed(content)


PIECES = [
    "<tool_call>",
    "</tool_call>",
    "<think>\n",
    "\n</think>\n\n",
    "\n",
    "[",
    ",",
    "]",
    "x",
    CALL,
]
CONTENTS = st.lists(st.sampled_from([*PIECES, '{"name": "a", "arguments": "{}"}', "{}", "5"])).map(
    "".join
)


@settings(max_examples=examples(1000))
@given(CONTENTS)
def test_a_call_has_a_fault_if_llamafactory_stops(content: str) -> None:
    kinds = [fault.kind for fault in check_call("turn 1", content)]
    try:
        made = formatted(content)
    except (ValueError, KeyError, TypeError):
        assert kinds == [Kind.FUNCTION_CALL_INVALID]
        return
    assert Kind.FUNCTION_CALL_INVALID not in kinds
    made.encode()
    found = re.findall(r"<tool_call>\n(.*?)\n</tool_call>", made)
    texts = [isinstance(json.loads(one).get("arguments"), str) for one in found if "name" in one]
    assert any(texts) == (Kind.ARGUMENTS_AS_TEXT in kinds)
    if Kind.CALL_MOVED not in kinds and found:
        # Nothing but white space was after the call.
        assert made.rstrip().endswith("</tool_call>")


def test_the_time_to_check_a_call_is_linear_in_its_length() -> None:
    # With a regular expression, each of these words would be looked at to the end.
    assert check_call("turn 1", "<tool_call>" * 500_000)
    assert check_call("turn 1", "<think>\n" * 500_000)


@pytest.mark.parametrize("text", ["\\ud800", "x" * 5000])
def test_a_call_can_be_written_again(text: str) -> None:
    call = CALL.replace("add", text)
    found = [fault.kind for fault in check_call("turn 1", call)]
    assert found == ([Kind.FUNCTION_CALL_INVALID] if text.startswith("\\") else [])


def test_the_first_call_is_read_and_the_rest_is_moved() -> None:
    tagged = f"<tool_call>{CALL}</tool_call>"
    assert check_call("turn 1", f"I add. {tagged} \n") == []
    for after in ("Done.", tagged, "</tool_call>"):
        (fault,) = check_call("turn 1", tagged + after)
        assert fault.kind is Kind.CALL_MOVED


@pytest.mark.parametrize("tools", ["[]", "{}", '""', "[{}]", '[{"name": "add"}]'])
def test_tools_are_a_list_of_objects(tools: str) -> None:
    assert check_tools(tools) == []


@pytest.mark.parametrize("tools", ["x", "[1]", '{"a": 1}', "0", "null", [{}], '[{"a": "\\ud800"}]'])
def test_other_tools_stop_the_job(tools: object) -> None:
    assert [fault.kind for fault in check_tools(tools)] == [Kind.TOOLS_INVALID]
