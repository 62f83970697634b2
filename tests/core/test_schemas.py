"""Schemas: each public shape of records becomes the expected row, and nothing disappears."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_mat.core.contract.entry import read_entry
from beam_mat.core.contract.finding import Finding
from beam_mat.core.contract.row import check_row
from beam_mat.core.inline import addresses, inline_image
from beam_mat.core.record import decode, parse
from beam_mat.core.reject import Reason
from beam_mat.core.results import Part
from beam_mat.core.schemas import detect
from beam_mat.core.schemas.detect import Detector
from beam_mat.core.schemas.draft import TRAINING_KEYS, TURN_KEYS
from beam_mat.core.schemas.table import TABLE
from beam_mat.core.settings import JSONL
from beam_mat.core.trajectory import (
    ANSWERS,
    QUESTIONS,
    Fault,
    FaultyError,
    Reading,
    Schema,
    Trajectory,
    Turn,
)
from beam_mat.dataset.views import dataset_info
from beam_mat.storage.parts import row_of
from tests.build import SHARED, encode
from tests.properties import examples

PUBLIC = sorted(path.name.split(".")[0] for path in (SHARED / "schemas").glob("*.expected.jsonl"))
SCHEMAS = {
    "aguvis": Schema.AGUVIS,
    "guinet": Schema.SHAREGPT,
    "llava": Schema.LLAVA,
    "msswift": Schema.MS_SWIFT,
    "openai": Schema.OPENAI,
    "qwenvl": Schema.QWEN_VL,
    "sharegpt4v": Schema.LLAVA,
    "sport": Schema.RANKING,
}
needs_schemas = pytest.mark.skipif(not PUBLIC, reason="../shared/schemas is not there")


def lines(name: str) -> list[bytes]:
    return (SHARED / "schemas" / name).read_bytes().splitlines()


def detected(*records: object) -> Schema:
    detector = Detector()
    for index, record in enumerate(records):
        if detector.look(index, record):
            break
    return detector.result()[0]


def read(schema: Schema, record: object) -> Trajectory | Fault:
    return parse(encode(record), Reading(schema))


def accepted(schema: Schema, record: object) -> Trajectory:
    found = read(schema, record)
    assert isinstance(found, Trajectory), found
    return found


def rejected(schema: Schema, record: object) -> Fault:
    found = read(schema, record)
    assert isinstance(found, Fault), found
    return found


def row(found: Trajectory) -> dict[str, Any]:
    """The row as the README of ../shared/schemas writes it."""

    def turn(one: Turn) -> dict[str, str]:
        return {"role": one.role, "content": one.content}

    made: dict[str, Any] = {} if found.id is None else {"id": found.id}
    made |= {"messages": [turn(one) for one in found.turns], "images": list(found.images)}
    made["system"] = found.system
    if found.tools is not None:
        made["tools"] = found.tools
    if found.chosen and found.rejected:
        made |= {"chosen": turn(found.chosen), "rejected": turn(found.rejected)}
    return made


def faults(found: Trajectory) -> list[Finding]:
    """What check finds in the row that convert writes, and in the entry that describes it."""
    part = Part("a.jsonl", JSONL, "train", 1, 1, 1, "", found.subset)
    ((name, value),) = dataset_info([part], "mat").items()
    read = read_entry(name, value)
    assert not isinstance(read, str)
    entry, of_entry = read
    assert entry is not None
    written = msgspec.json.decode(msgspec.json.encode(row_of(found)))
    assert set(entry.columns.values()) == written.keys() - {"id"}
    return [*of_entry, *check_row(written, entry).faults]


@needs_schemas
@pytest.mark.parametrize("name", PUBLIC)
def test_each_public_record_becomes_the_expected_row(name: str) -> None:
    records = lines(f"{name}.jsonl")
    schema = detected(*map(json.loads, records))
    assert schema is SCHEMAS[name]
    for raw, line in zip(records, lines(f"{name}.expected.jsonl"), strict=True):
        found, expected = parse(raw, Reading(schema)), json.loads(line)
        if "reject" in expected:
            assert isinstance(found, Fault)
            assert found.detail == expected["reject"]
        else:
            assert isinstance(found, Trajectory), found
            assert row(found) == expected
            assert faults(found) == []


@pytest.mark.parametrize("schema", Schema)
def test_each_example_is_valid_and_shows_its_schema(schema: Schema) -> None:
    example = TABLE[schema].example
    accepted(schema, example)
    assert detected(example) is schema


def conversation(*texts: str, **more: Any) -> dict[str, Any]:
    roles = ("human", "gpt")
    turns = [{"from": roles[at % 2], "value": text} for at, text in enumerate(texts)]
    return {"conversations": turns, **more}


def messages(*texts: Any, **more: Any) -> dict[str, Any]:
    roles = ("user", "assistant")
    turns = [{"role": roles[at % 2], "content": text} for at, text in enumerate(texts)]
    return {"messages": turns, **more}


ASK = ("Why?", "So.")
CALL = {"name": "look", "arguments": {"at": "left"}}


def test_a_record_that_several_schemas_have_does_not_decide() -> None:
    assert detected(conversation(*ASK)) is Schema.LLAVA
    assert detected(conversation(*ASK), conversation("<img>a.jpg</img>", "So.")) is Schema.QWEN_VL
    assert detected(messages(*ASK)) is Schema.SHAREGPT
    assert detected(messages(*ASK), messages(*ASK, label=True)) is Schema.MS_SWIFT
    assert detected(messages(*ASK), messages([{"type": "text", "text": "a"}], "b")) is Schema.OPENAI
    assert detected({}, 1, None, "x") is Schema.MAT


@pytest.mark.parametrize("schema", Schema)
def test_no_record_decides_without_a_sign(schema: Schema) -> None:
    for first in (conversation(*ASK), messages(*ASK)):
        detector = Detector()
        detector.look(0, first)
        raw = encode(TABLE[schema].example)
        assert not (detector.is_vain(raw) and detector.look(1, json.loads(raw)))


def test_a_record_of_another_shape_is_rejected() -> None:
    for other in Schema:
        for schema in Schema:
            found = read(schema, {"id": "1", **TABLE[other].example})
            shape = detect.shape_of(dict(TABLE[other].example))
            if detect.fits(shape, schema):
                assert isinstance(found, Trajectory) or found.reason is not Reason.OTHER_SCHEMA
            else:
                assert isinstance(found, Fault)
                assert found.reason is Reason.OTHER_SCHEMA
                assert other.value in found.detail
    parts = [{"type": "text", "value": "Why?"}]
    assert "LLaMA-Factory v1" in rejected(Schema.OPENAI, messages(parts, "So.")).detail
    parts = [{"type": "tool_use", "name": "x"}]
    assert "Anthropic" in rejected(Schema.OPENAI, messages("Why?", parts)).detail


BASES = {
    Schema.MAT: {"id": "1", "conversations": messages(*ASK)["messages"]},
    Schema.LLAVA: conversation(*ASK),
    Schema.SHAREGPT: messages(*ASK),
    Schema.RANKING: conversation(
        "Why?", chosen={"from": "gpt", "value": "a"}, rejected={"from": "gpt", "value": "b"}
    ),
    Schema.QWEN_VL: conversation(*ASK),
    Schema.MS_SWIFT: messages(*ASK),
    Schema.OPENAI: messages(*ASK),
    Schema.AGUVIS: conversation(*ASK),
}


@pytest.mark.parametrize("schema", Schema)
@pytest.mark.parametrize("key", sorted(TRAINING_KEYS))
def test_no_key_that_matters_disappears(schema: Schema, key: str) -> None:
    base = BASES[schema]
    if key in base:
        return
    plain = accepted(schema, base)
    assert read(schema, {**base, key: None}) == plain
    found = read(schema, {**base, key: "text"})
    if isinstance(found, Trajectory):
        # The value is in the row.
        assert row(found) != row(plain)
    else:
        assert found.reason is not Reason.MALFORMED_JSON
        assert key in found.detail or found.reason is not Reason.KEY_NOT_SUPPORTED


@pytest.mark.parametrize("schema", Schema)
@pytest.mark.parametrize("key", [*sorted(TURN_KEYS), "loss", "weight"])
def test_no_key_of_a_turn_that_matters_disappears(schema: Schema, key: str) -> None:
    base = json.loads(json.dumps(BASES[schema]))
    turns = base.get("messages") or base["conversations"]
    turns[-1][key] = 0 if key in ("loss", "weight") else "text"
    found = rejected(schema, base)
    if key != "tool_calls" or schema not in (Schema.OPENAI, *MESSAGES):
        assert key in found.detail
    turns[-1][key] = 1 if key in ("loss", "weight") else None
    if key != "tool_calls":
        accepted(schema, base)


MESSAGES = (Schema.SHAREGPT, Schema.MS_SWIFT)


@pytest.mark.parametrize("schema", Schema)
def test_unknown_keys_are_named(schema: Schema) -> None:
    base = json.loads(json.dumps(BASES[schema]))
    turns = base.get("messages") or base["conversations"]
    turns[0]["mood"] = 1
    found = accepted(schema, {**base, "colour": "red"})
    assert found.unknown == ("colour", "turn: mood")


def test_two_system_prompts_cannot_be_carried_over() -> None:
    value = conversation(*ASK, system="Be kind.")
    assert accepted(Schema.LLAVA, value).system == "Be kind."
    value["conversations"].insert(0, {"from": "system", "value": "Be brief."})
    assert rejected(Schema.LLAVA, value).reason is Reason.KEY_NOT_SUPPORTED
    assert accepted(Schema.LLAVA, {**value, "system": "Be brief."}).system == "Be brief."


@pytest.mark.parametrize(
    "images", ["a.jpg", ["a.jpg"], '["a.jpg"]', "[a.jpg]", {"x": 1}, 7, [7], '["a.jpg", 1]']
)
def test_images_in_many_spellings(images: object) -> None:
    found = read(Schema.LLAVA, conversation("<image>", "So.", image=images))
    if isinstance(found, Trajectory):
        assert found.images == ("a.jpg",)
    else:
        assert found.reason is Reason.IMAGE_FIELD_INVALID
        assert images not in ("a.jpg", ["a.jpg"], '["a.jpg"]', "[a.jpg]")


@pytest.mark.parametrize("images", [None, "", [], "[]", {}, "{}"])
def test_no_image_in_many_spellings(images: object) -> None:
    assert accepted(Schema.LLAVA, conversation(*ASK, image=images)).images == ()


def test_placeholders_and_images_have_the_same_number() -> None:
    found = rejected(Schema.LLAVA, conversation("<image><image>", "So.", image="a.jpg"))
    assert found.reason is Reason.PLACEHOLDER_WITHOUT_IMAGE
    found = rejected(Schema.SHAREGPT, messages(*ASK, images=["a.jpg"]))
    assert found.reason is Reason.IMAGE_WITHOUT_PLACEHOLDER
    assert "a.jpg" in found.detail
    moved = accepted(Schema.MS_SWIFT, messages(*ASK, images=["a.jpg"]))
    assert moved.turns[0].content == "<image>Why?"
    assert moved.changes
    found = rejected(Schema.MS_SWIFT, messages("<image>", "So."))
    assert found.reason is Reason.PLACEHOLDER_WITHOUT_IMAGE


def test_words_in_answers_are_respelled_in_every_schema() -> None:
    found = accepted(Schema.LLAVA, conversation("<video>?", "An <image>.", system="<image>"))
    assert [turn.content for turn in found.turns] == ["< video>?", "An < image>."]
    assert (found.system, found.respelled) == ("< image>", 3)
    found = accepted(Schema.LLAVA, conversation("<|image_pad|>?", "A <|image_pad|>."))
    assert [turn.content for turn in found.turns] == ["< |image_pad|>?", "A < |image_pad|>."]
    assert faults(found) == []
    tool = [{"name": "<|image_pad|>"}]
    assert rejected(Schema.SHAREGPT, messages(*ASK, tools=tool)).reason is Reason.TOOLS_INVALID
    found = accepted(Schema.OPENAI, messages([{"type": "text", "text": "<image>?"}], "<audio>"))
    assert [turn.content for turn in found.turns] == ["< image>?", "< audio>"]
    assert (found.images, found.respelled) == ((), 2)


def call(role: str, content: str) -> dict[str, Any]:
    turns = [
        {"role": "user", "content": "Why?"},
        {"role": role, "content": content},
        {"role": "observation", "content": "<image>"},
        {"role": "assistant", "content": "So."},
    ]
    return {"messages": turns, "images": ["a.jpg"]}


def test_a_call_keeps_its_spelling_unless_its_arguments_are_text() -> None:
    text = '{"arguments":{"at":"left"},"name":"look"}'
    found = accepted(Schema.SHAREGPT, call("function_call", text))
    assert [turn.role for turn in found.turns] == [
        *("user", "function_call"),
        *("observation", "assistant"),
    ]
    assert found.turns[1].content == text
    assert (found.images, found.tools, found.subset) == (("a.jpg",), "", "tools_noid")
    inside = json.dumps({"name": "look", "arguments": json.dumps(CALL["arguments"])})
    found = accepted(Schema.SHAREGPT, call("function_call", inside))
    assert json.loads(found.turns[1].content) == CALL
    tagged = f"I look.<tool_call>{json.dumps(CALL)}</tool_call>"
    assert accepted(Schema.SHAREGPT, call("function_call", tagged)).turns[1].content == tagged


@pytest.mark.parametrize(
    "content",
    [
        "look",
        "[]",
        '{"name": "look"}',
        '{"arguments": {}}',
        '{"name": "look", "arguments": "left"}',
        '{"name": "look", "arguments": [1]}',
        f"I look. {json.dumps(CALL)}",
        f"<think>x</think>{json.dumps(CALL)}",
        f"<tool_call>{json.dumps(CALL)}</tool_call> Done.",
        f"<tool_call>{json.dumps([CALL, CALL])}</tool_call>",
        f"<tool_call>{json.dumps(CALL)}</tool_call><tool_call>{json.dumps(CALL)}</tool_call>",
    ],
)
def test_calls_that_llamafactory_cannot_read_are_rejected(content: str) -> None:
    found = rejected(Schema.SHAREGPT, call("function_call", content))
    assert found.reason is Reason.TOOLS_INVALID


@pytest.mark.parametrize("tools", ["x", "{}x", '{"name": "look"}', ["look"], 7, {"name": "look"}])
def test_tools_must_be_a_list_of_objects(tools: object) -> None:
    found = rejected(Schema.SHAREGPT, messages(*ASK, tools=tools))
    assert found.reason is Reason.TOOLS_INVALID


def asking(*calls: dict[str, Any], text: str | None = None) -> dict[str, Any]:
    asked = [{"id": "1", "type": "function", "function": one} for one in calls]
    results = [
        {"role": "tool", "tool_call_id": "1", "content": f"r{at}"} for at, _ in enumerate(calls)
    ]
    turns = [
        {"role": "user", "content": "Why?"},
        {"role": "assistant", "content": text, "tool_calls": asked},
        *results,
        {"role": "assistant", "content": "So."},
    ]
    return {"messages": turns}


def test_calls_and_results_of_openai_are_joined() -> None:
    made = {"name": "look", "arguments": '{"at": "left"}'}
    found = accepted(Schema.OPENAI, asking(made, made))
    assert json.loads(found.turns[1].content) == [CALL, CALL]
    assert found.turns[2].content == "r0\n</tool_response>\n<tool_response>\nr1"
    found = accepted(Schema.OPENAI, asking(made, text="I look."))
    assert found.turns[1].content == f"I look.<tool_call>{json.dumps(CALL)}</tool_call>"
    assert (
        rejected(Schema.OPENAI, asking(made, made, text="I look.")).reason is Reason.TOOLS_INVALID
    )


PAIR: dict[str, Any] = {
    "messages": [{"role": "user", "content": "Why?"}],
    "chosen": {"role": "assistant", "content": "So."},
    "rejected": {"role": "assistant", "content": "No."},
}
TAGGED = f"<tool_call>{json.dumps(CALL)}</tool_call>"
TAG_INSIDE = json.dumps({"name": "look", "arguments": {"at": "<tool_call>a</tool_call>"}})


def test_answers_that_teach_nothing_are_rejected() -> None:
    assert accepted(Schema.RANKING, PAIR).subset == "ranking_noid"
    equal = {**PAIR, "rejected": PAIR["chosen"]}
    for schema, record in (
        (Schema.RANKING, equal),
        (Schema.RANKING, {**equal, "rejected": {"role": "function_call", "content": "So."}}),
        (Schema.MS_SWIFT, messages(*ASK, rejected_response="So.")),
        (Schema.MS_SWIFT, messages(*ASK, rejected_response="No.", label=True)),
    ):
        found = rejected(schema, record)
        assert found.reason in (Reason.PAIR_INVALID, Reason.TOOLS_INVALID)


def test_a_call_that_llamafactory_would_cut_is_rejected() -> None:
    for text in (
        f"<tool_call>{json.dumps(CALL)}",
        TAG_INSIDE,
        TAGGED.replace("left", "</tool_call>"),
    ):
        found = rejected(Schema.SHAREGPT, call("function_call", text))
        assert found.reason is Reason.TOOLS_INVALID
        asked = {**CALL, "arguments": json.loads(TAG_INSIDE)["arguments"]}
    assert rejected(Schema.OPENAI, asking(asked)).reason is Reason.TOOLS_INVALID
    assert rejected(Schema.OPENAI, asking(CALL, text=TAGGED)).reason is Reason.TOOLS_INVALID


def test_the_other_answer_to_a_call_may_be_text() -> None:
    turns = [
        {"role": "user", "content": "Why?"},
        {"role": "tool_call", "content": json.dumps(CALL)},
    ]
    for other, role in (("No.", "assistant"), (json.dumps({**CALL, "name": "x"}), "function_call")):
        record = {"messages": turns, "rejected_response": other}
        pair = accepted(Schema.MS_SWIFT, record)
        assert (pair.chosen, pair.rejected) == (
            Turn("function_call", json.dumps(CALL)),
            Turn(role, other),
        )
        assert faults(pair) == []


def test_ms_swift_pairs_and_labels() -> None:
    pair = accepted(Schema.MS_SWIFT, messages(*ASK, rejected_response="No."))
    assert (pair.chosen, pair.rejected) == (Turn("assistant", "So."), Turn("assistant", "No."))
    assert [turn.content for turn in pair.turns] == ["Why?"]
    assert pair.subset == "ranking_tools_noid"
    label = accepted(Schema.MS_SWIFT, messages(*ASK, label=False))
    assert (label.label, label.subset) == (False, "kto_tools_noid")
    assert rejected(Schema.MS_SWIFT, messages(*ASK, label="no")).reason is Reason.PAIR_INVALID
    other = messages("<image>?", "So.", images="a.jpg", rejected_response="No.")
    other["rejected_images"] = ["b.jpg"]
    assert rejected(Schema.MS_SWIFT, other).reason is Reason.PAIR_INVALID


def test_boxes_wait_for_the_size_of_their_image() -> None:
    objects = {"ref": ["the cat"], "bbox": [[10, 20, 30.5, 40]]}
    value = messages("<image>Find <ref-object>.", "<bbox>", images=["a.jpg"], objects=objects)
    found = accepted(Schema.MS_SWIFT, value)
    assert [turn.content for turn in found.turns] == ["<image>Find the cat.", "<bbox>"]
    assert [(box.image, box.numbers) for box in found.boxes] == [(0, (10, 20, 30.5, 40))]
    value["objects"] = {**objects, "bbox_type": "norm1", "bbox": [[0.1, 0.2, 1, 0.4]]}
    assert accepted(Schema.MS_SWIFT, value).turns[1].content == "[0.1, 0.2, 1, 0.4]"
    more: tuple[Any, ...] = ({"colour": 1}, {"image_id": [1]}, {"bbox": []}, {"bbox": [["x"]]})
    for wrong in (7, *({**objects, **one} for one in more)):
        value["objects"] = wrong
        assert rejected(Schema.MS_SWIFT, value).reason is Reason.KEY_NOT_SUPPORTED


def test_an_image_inside_a_record_is_named_by_its_hash() -> None:
    made = inline_image("data:image/png;base64,aGk=")
    assert made is not None
    path, data = made
    assert data == b"hi"
    raw = rb'{"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": '
    text = rb'"data:image\/png;base64,aGk="'
    raw += text + rb'}, {"type": "text", "text": "?"}]}, {"role": "assistant", "content": "x"}]}'
    found = parse(raw, Reading(Schema.OPENAI, prefix="in/", rewrites=(("inline/", "x/"),)))
    assert isinstance(found, Trajectory)
    assert found.images == (path,)
    for uri in ("data:image/png;base64,aG%k=", "data:text/plain;base64,aGk=", "data:,x"):
        value = messages([{"type": "image_url", "image_url": uri}], "x")
        assert rejected(Schema.OPENAI, value).reason is Reason.IMAGE_FIELD_INVALID


def test_the_place_of_an_image_inside_a_record_is_its_json_text() -> None:
    raw = rb'{"a": "data:image\/png;base64,aGk=", "b": "data:image/png;base64,!"}'
    ((escaped, size, start, end),) = addresses(raw)
    assert (size, raw[start:end]) == (2, rb'"data:image\/png;base64,aGk="')
    raw = b'{"a": "data:image/png;base64,aGk=", "b": "data:image/png;base64,!"}'
    ((path, size, start, end),) = addresses(raw)
    assert (size, raw[start:end]) == (2, b'"data:image/png;base64,aGk="')
    assert path == escaped
    assert path.endswith(".png")


def test_a_prefix_comes_after_the_rewritten_path() -> None:
    reading = Reading(Schema.LLAVA, (("a/", "b/"),), "set/")
    found = parse(encode(conversation("<image>", "So.", image="a/1.jpg")), reading)
    assert isinstance(found, Trajectory)
    assert found.images == ("set/b/1.jpg",)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from(
        ["", "a.jpg", "<image>", "<img>a</img>", "user", "gpt", "[a]", "data:image/png"]
    )
    | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                "from value role content type text image_url url name arguments function "
                "tool_calls loss recipient".split()
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
KEYS = st.sampled_from([*sorted(TRAINING_KEYS), "id", "mood"])


@settings(max_examples=examples(1500))
@given(
    st.sampled_from(Schema),
    st.sampled_from(Schema),
    st.dictionaries(KEYS, VALUES, max_size=3),
    st.lists(VALUES, max_size=2),
)
def test_any_record_is_fit_for_training_or_rejected(
    schema: Schema, shape: Schema, changes: dict[str, Any], turns: list[Any]
) -> None:
    value = json.loads(json.dumps({**TABLE[shape].example, **changes}))
    for key in ("messages", "conversations"):
        if isinstance(value.get(key), list):
            value[key] += turns
    found = read(schema, value)
    if isinstance(found, Fault):
        assert found.detail
        found.detail.encode()
        return
    history = found.turns
    assert len(history) % 2 == bool(found.chosen)
    for number, turn in enumerate(history):
        assert turn.role in (QUESTIONS, ANSWERS)[number % 2]
        assert turn.content.strip()
    questions = "\0".join(turn.content for turn in history[::2])
    answers = "\0".join(turn.content for turn in (*history[1::2], *found.answers))
    assert questions.count("<image>") == len(found.images)
    assert "<image>" not in answers
    if found.tools:
        assert isinstance(json.loads(found.tools), list)
    assert (found.chosen is None) == (found.rejected is None)
    assert faults(found) == []


CALLS = st.recursive(
    st.none() | st.integers() | st.sampled_from(["x", "<tool_call>", "</tool_call>", "\ud800"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.just("a"), inner),
    max_leaves=3,
)
CALL_TEXTS = st.lists(
    st.sampled_from(
        [*("<tool_call>", "</tool_call>", "<think>\n", "\n</think>\n\n", " ", "<image>", "[", "]")]
    )
    | st.builds(lambda value: json.dumps({"name": "x", "arguments": value}), CALLS)
    | st.builds(lambda value: json.dumps({"name": "x", "arguments": {"a": value}}), CALLS),
    max_size=4,
).map("".join)


@settings(max_examples=examples(500))
@given(
    st.sampled_from(["function_call", "assistant", "tool_call"]),
    CALL_TEXTS,
    CALL_TEXTS,
    st.sampled_from([None, True, False]),
    st.lists(CALLS, max_size=2) | CALL_TEXTS,
)
def test_check_finds_no_fault_in_an_accepted_call(
    role: str, text: str, other: str, label: bool | None, tools: Any
) -> None:
    value = {**call(role, text), "tools": tools}
    last = value["messages"].pop()
    pair = {"chosen": {"role": role, "content": other}, "rejected": last}
    asked = {"role": role, "tool_calls": [{"function": {"name": "x", "arguments": other}}]}
    records: dict[Schema, dict[str, Any]] = {
        Schema.SHAREGPT: {**value, "messages": [*value["messages"], last], "kto_tag": label},
        Schema.RANKING: {**value, **pair},
        Schema.MS_SWIFT: {
            **value,
            "messages": [*value["messages"], {"role": role, "content": other}],
            "label": label,
            "rejected_response": text,
        },
        Schema.OPENAI: {
            "messages": [value["messages"][0], {**asked, "content": text}],
            "tools": tools,
        },
    }
    for schema, record in records.items():
        try:
            found = parse(json.dumps(record).encode(), Reading(schema))
        except UnicodeEncodeError:
            continue
        if isinstance(found, Trajectory):
            assert faults(found) == []


@settings(max_examples=examples(200))
@given(VALUES)
def test_detection_never_raises(value: object) -> None:
    Detector().look(0, value)
    for key in ("messages", "conversations"):
        Detector().look(0, {key: value})
        Detector().look(0, {key: [value]})


def test_decode_raises_one_kind_of_error() -> None:
    with pytest.raises(FaultyError):
        decode(b"{")
