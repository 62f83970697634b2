"""Records of any shape, even of none, can be read for people."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_mat.core.schemas.draft import TRAINING_KEYS
from beam_mat.core.schemas.table import TABLE
from beam_mat.core.trajectory import Schema
from beam_mat.show import tools
from beam_mat.show.record import row_of

ASK, SAY = "What is on the left?", "A cat."


@pytest.mark.parametrize("schema", Schema)
def test_the_example_of_every_schema_is_a_conversation(schema: Schema) -> None:
    read = row_of(json.loads(json.dumps(TABLE[schema].example)))
    assert read is not None
    row, rest = read
    said = [turn["content"] for turn in (*row["messages"], row["chosen"]) if turn]
    assert said[0].endswith((ASK, "Press the cat."))
    assert said[1].startswith((SAY, "click(0.2, 0.5)"))
    assert {turn["role"] for turn in row["messages"]} <= {"user", "human", "assistant", "gpt"}
    assert "a.jpg" in json.dumps([rest, said])
    assert (row["rejected"] is not None) == (schema is Schema.RANKING)
    assert row["kto_tag"] is (True if schema is Schema.MS_SWIFT else None)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(1, 9)
    | st.sampled_from([f"word {at}" for at in range(9)]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from("role from content value text image_url url tool_calls x".split()),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


KEYS = st.sampled_from(sorted(TRAINING_KEYS | {"role", "from", "content", "value", "x"}))


@given(st.dictionaries(KEYS, VALUES), st.dictionaries(KEYS, VALUES))
def test_nothing_of_a_record_disappears(record: dict[str, Any], turn: dict[str, Any]) -> None:
    turns = [{"role": "user", "content": "Why?"}, turn]
    read = row_of({**record, "messages": turns})
    assert read is not None
    printed = json.dumps(read)
    for leaf in leaves([{**record, "messages": None}, turn]):
        assert leaf in printed


def leaves(value: Any) -> set[str]:
    if isinstance(value, dict | list):
        items = value.values() if isinstance(value, dict) else value
        return {leaf for item in items for leaf in leaves(item)}
    return {value} if isinstance(value, str) else set()


@given(VALUES)
def test_any_value_can_be_read(value: object) -> None:
    row_of(value)
    tools.tools(value)
    text = json.dumps(value)
    for made in (tools.calls(text), tools.tools(text), tools.results(text)):
        assert isinstance(made, str)


def test_calls_and_results_are_lines() -> None:
    call = {"name": "crop", "arguments": {"side": "left"}}
    line = '→ crop {"side": "left"}'
    assert tools.calls(json.dumps([call, call])) == f"{line}\n{line}"
    assert tools.calls(f"I look. <tool_call>{json.dumps(call)}</tool_call>") == f"I look.\n{line}"
    as_text = {"name": "crop", "arguments": "{}"}
    assert tools.calls(json.dumps(as_text)) == '→ crop "{}"'
    for other in ("look", "[]", "7", "<tool_call>x", f"<tool_call>{json.dumps(call)}</tool_call>!"):
        assert tools.calls(other) == other
    assert tools.results("a\n</tool_response>\n<tool_response>\nb") == "a\n----\nb"


def test_tools_are_signatures() -> None:
    crop = {"name": "crop", "description": "Cuts.", "parameters": {"properties": {"side": {}}}}
    listed = [crop, {"type": "function", "function": {"name": "stop"}}, {"x": 1}]
    assert tools.tools(json.dumps(listed)) == 'crop(side): Cuts.\nstop()\n{"x": 1}'
    assert tools.tools("no list") == "no list"
