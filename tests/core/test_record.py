"""One record: a trajectory that LLaMA-Factory can train on, or the one reason why not."""

from __future__ import annotations

import inspect
import json
import re
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_mat.core.layout import unsafe
from beam_mat.core.limits import MAX_NESTING
from beam_mat.core.record import parse
from beam_mat.core.reject import Reason
from beam_mat.core.schemas.mat import plain
from beam_mat.core.trajectory import (
    Fault,
    Reading,
    Schema,
    Trajectory,
    respell,
    respell_others,
)
from tests.build import PREFIXES, SHARED, dialogue, encode, needs_mat_sample, record, turn
from tests.properties import examples

READING = Reading(rewrites=PREFIXES)
COUNTED = ("<image>", "<video>", "<audio>")


def accepted(value: object) -> Trajectory:
    found = parse(value if isinstance(value, bytes) else encode(value), READING)
    assert isinstance(found, Trajectory), found
    fit_for_training(found)
    return found


def rejected(value: object) -> Fault:
    found = parse(value if isinstance(value, bytes) else encode(value), READING)
    assert isinstance(found, Fault), found
    assert found.detail
    found.detail.encode()
    return found


def fit_for_training(trajectory: Trajectory) -> None:
    """What LLaMA-Factory 0.9.5 stops, or drops the row, without."""
    assert len(trajectory.turns) % 2 == 0 < len(trajectory.turns)
    for number, item in enumerate(trajectory.turns):
        assert item.role == ("user", "assistant")[number % 2]
        assert item.content.strip()
        item.content.encode()
    users = "\0".join(item.content for item in trajectory.turns[::2])
    others = "\0".join([item.content for item in trajectory.turns[1::2]] + [trajectory.system])
    assert users.count("<image>") == len(trajectory.images)
    assert not any(word in others for word in COUNTED)
    assert not any(word in users for word in COUNTED[1:])
    assert not re.search("<image_[0-9]+>", users) or re.search("<image_[0-9]{10,}>", users)
    assert not any(unsafe(path) for path in trajectory.images)
    f"{trajectory.id}{trajectory.system}".encode()


TEXTS = st.lists(
    st.sampled_from([*COUNTED, "<image_00>", "<image_01>", "<image_7>", "<image_", ">", " ", "x"]),
    max_size=4,
).map("".join) | st.text(max_size=4)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
ROLES: st.SearchStrategy[Any] = st.sampled_from(
    ["system", "user", "assistant", "human", "", None, 1, []]
)
TURNS = st.lists(st.tuples(ROLES, TEXTS | JSON).map(lambda pair: turn(*pair)) | JSON, max_size=4)
FIELDS = st.dictionaries(
    st.sampled_from(["<image>", "<image_00>", "<image_0>", "<image_01>", "<image_7>", "x"]),
    st.sampled_from(["a.jpg", "b.jpg", "data/open_llava_next/c.png", "../d"]) | JSON,
    max_size=3,
)
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "id": st.sampled_from(["x", 1, 0, "", True, 1.5]) | JSON,
        "image": FIELDS | FIELDS.map(json.dumps) | st.just("a.jpg") | JSON,
        "conversations": TURNS | st.lists(TEXTS, max_size=6).map(lambda some: dialogue(*some)),
        "system-prompt": TEXTS | JSON,
    },
)


@settings(max_examples=examples(300))
@given(st.binary(max_size=40) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_give_a_verdict(raw: bytes) -> None:
    assert isinstance(parse(raw, READING), Fault)


@st.composite
def nearly_right(draw: st.DrawFn) -> dict[str, Any]:
    """A record with its images and placeholders in any order, and at times something wrong."""
    numbers = draw(st.lists(st.integers(0, 3), unique=True, max_size=3))
    named = {f"<image_{number:02}>": f"{number % 2}.jpg" for number in numbers}
    words = draw(st.permutations([*named, *draw(st.lists(TEXTS, max_size=2)), "Why?"]))
    at = draw(st.integers(0, len(words)))
    turns = [
        "".join(words[:at]) + "?",
        draw(TEXTS) + ".",
        "".join(words[at:]) + "?",
        draw(TEXTS) + ".",
    ]
    image = draw(st.sampled_from([named, json.dumps(named)]))
    return {**record(*turns, image=image), **draw(CHANGES | st.just({}))}


@settings(max_examples=examples(1000))
@given(nearly_right(), st.sampled_from([False, False, False, True]))
def test_what_is_nearly_a_record_is_fit_for_training_or_rejected(
    value: dict[str, Any], surrogates: bool
) -> None:
    raw = json.dumps(value).encode()
    if surrogates:
        raw = raw.replace(b"x", b"\\ud800")
    found = parse(raw, READING)
    if isinstance(found, Trajectory):
        fit_for_training(found)
    else:
        f"{found.id}{found.detail}".encode()


def test_a_good_record_comes_through() -> None:
    images = {"<image_01>": "data/open_llava_next/b.jpg", "<image_00>": "other/a.png"}
    found = accepted(record("<image_00> or <image_01>?", "The first.", image=json.dumps(images)))
    assert found.id == "i1"
    assert found.system == "You are an agent."
    assert [item.content for item in found.turns] == ["<image> or <image>?", "The first."]
    assert found.images == ("other/a.png", "tongagent/b.jpg")
    assert found.respelled == 0


A, B, C = "a.jpg", "b.jpg", "c.jpg"


@pytest.mark.parametrize(
    ("image", "question", "images"),
    [
        ({"<image_01>": B, "<image_00>": A}, "<image_00> <image_01>", (A, B)),
        ({"<image_00>": A, "<image_01>": B}, "<image_01> <image_00>", (B, A)),
        ({"<image_02>": C, "<image_00>": A}, "<image_00> <image_02>", (A, C)),
        ({"<image_00>": A, "<image_01>": B}, "<image_00> <image_01> <image_00>", (A, B, A)),
        ({"<image_0>": A, "<image_1>": B}, "<image_00> <image_01>", (A, B)),
        ({"<image_00>": A, "<image_01>": A}, "<image_00> <image_01>", (A, A)),
        ({"<image_00>": A}, "<image>", (A,)),
        ({"<image_07>": A}, "<image_07>", (A,)),
        (A, "<image>", (A,)),
        (A, "<image_00>", (A,)),
        (A, "<image> and again <image>", (A, A)),
        ("data/open_llava_next/x/a.jpg", "<image>", ("tongagent/x/a.jpg",)),
    ],
)
def test_images_follow_their_placeholders(
    image: object, question: str, images: tuple[str, ...]
) -> None:
    assert accepted(record(question, "So.", image=image)).images == images
    if isinstance(image, dict):
        assert accepted(record(question, "So.", image=json.dumps(image))).images == images
        assert accepted(record(question, "So.", image=json.dumps(image, indent=1))).images == images


def test_images_follow_their_placeholders_over_several_turns() -> None:
    images = {"<image_00>": A, "<image_01>": B}
    found = accepted(record("<image_01>", "Look.", "<image_00>", "Seen.", image=images))
    assert found.images == (B, A)


@pytest.mark.parametrize("image", [None, "", "{}", " {} ", {}])
def test_no_image_may_be_written_in_many_ways(image: object) -> None:
    assert accepted(record(image=image)).images == ()


def test_the_key_image_may_be_missing() -> None:
    value = record()
    del value["image"]
    assert accepted(value).images == ()


def test_words_that_would_be_counted_are_respelled() -> None:
    value = record("<video> of <image>?", "An <image>, <audio>, <image_00>.", image=A)
    value["conversations"][0]["content"] = "Use <image> or <image_00>."
    found = accepted(value)
    assert found.turns[0].content == "< video> of <image>?"
    assert found.turns[1].content == "An < image>, < audio>, <image_00>."
    assert found.system == "Use < image> or <image_00>."
    assert found.respelled == 4


def test_older_files_keep_the_system_prompt_beside_the_conversation() -> None:
    older = {**record(), "conversations": dialogue("Why?", "So."), "system-prompt": "Be kind."}
    assert accepted(older).system == "Be kind."
    assert accepted({**older, "system-prompt": None}).system == ""
    del older["system-prompt"]
    assert accepted(older).system == ""


@pytest.mark.parametrize(("id", "text"), [("a", "a"), (7, "7"), (0, "0"), (-1, "-1"), ("é𝄞", "é𝄞")])
def test_ids_are_text_or_whole_numbers(id: object, text: str) -> None:
    assert accepted(record(id=id)).id == text


@pytest.mark.parametrize(
    "field",
    [
        b"NaN",
        b"[-Infinity, Infinity]",
        b"1e999",
        b"9" * 1000,
        b"18446744073709551616",
        b'{"a": 1, "a": 2}',
        b'"\\ud834\\udd1e"',
        b"[" * (MAX_NESTING - 1) + b"]" * (MAX_NESTING - 1),
    ],
)
def test_what_stands_in_a_field_that_training_never_looks_at_does_not_matter(field: bytes) -> None:
    accepted(encode(record())[:-1] + b', "score": ' + field + b"}")


@pytest.mark.parametrize(
    "form",
    [
        '{"id": %s}',
        '{"id": 1, "conversations": {"a": %s}}',
        '{"id": NaN, "conversations": %s}',
        '{"id": 1, "conversations": [{"role": %s}]}',
    ],
)
def test_no_depth_of_nesting_is_an_exception(form: str) -> None:
    above = form.count("{") + form.count("[")
    # The interpreter's own limit lies near a thousand, less what is on its stack already.
    for depth in (*range(MAX_NESTING - 4, MAX_NESTING + 2), *range(800, 1010), 9999):
        found = rejected((form % ("[" * depth + "]" * depth)).encode())
        too_deep = found.reason is Reason.MALFORMED_JSON
        assert too_deep == (depth + above > MAX_NESTING)


def changed(number: int, role: object, content: object = "Text.") -> dict[str, Any]:
    """A record of which one turn is different."""
    value = record()
    value["conversations"][number] = turn(role, content)
    return value


def shown(image: object, question: str = "<image>") -> dict[str, Any]:
    """A record whose question and image field may not fit together."""
    return record(question, "So.", image=image)


SURROGATE = encode(record()).replace(b"Why?", b"\\udc00")
EMPTY: list[Any] = [None, [], {}]
FAULTY: dict[Reason, list[Any]] = {
    Reason.MALFORMED_JSON: [
        b"",
        b'{"id": 1',
        b'{"id": 1} {}',
        b"\xff",
        b'{"id": NaN',
        b'{"id": "\xe9"}',
        SURROGATE,
        SURROGATE.replace(b'"i1"', b'"i1", "score": NaN'),
    ],
    Reason.NOT_AN_OBJECT: [[], None, "text", 1.5, True, b"NaN"],
    Reason.NO_ID: [{}, *(record(id=id) for id in ("", True, 1.5, {"a": "x" * 999}, *EMPTY))],
    Reason.NO_TURNS: [
        {"id": 1},
        *(record(conversations=turns) for turns in ("x", 1, *EMPTY)),
        record(conversations=[turn("system", "Alone.")]),
    ],
    Reason.UNKNOWN_ROLE: [changed(1, role) for role in ("human", "User", "", 1, *EMPTY)],
    Reason.ROLES_OUT_OF_ORDER: [
        changed(1, "assistant"),
        changed(2, "user"),
        changed(2, "system"),
        changed(1, "system"),
    ],
    Reason.ODD_TURNS: [record("One?"), record("One?", "Two.", "Three?")],
    Reason.CONTENT_NOT_TEXT: [
        *(changed(2, "assistant", text) for text in ("", " \n", "\u3000", 1, *EMPTY)),
        record(conversations=["Why?", "So."]),
        record(conversations=dialogue("a", "b"), **{"system-prompt": 1}),
    ],
    Reason.IMAGE_FIELD_INVALID: [
        *(shown(image) for image in (1, [1], False, "{broken", {"image": A}, {"x" * 9999: A})),
        shown('{"<image_00>": NaN}'),
        shown('{"<image_00>": ' + "9" * 9999 + "}"),
        shown('{"<image_00>": "\\ud800"}'),
        shown({"<image_00>": None}),
        shown({"<image_0>": A, "<image_00>": B}),
    ],
    Reason.PLACEHOLDER_WITHOUT_IMAGE: [
        shown("{}"),
        shown(A, "<image_01>"),
        shown({"<image_00>": A}, "<image_01>"),
        shown({"<image_00>": A, "<image_01>": B}, "<image> <image_01>"),
    ],
    Reason.IMAGE_WITHOUT_PLACEHOLDER: [
        shown(A, "Why?"),
        record("Why?", "<image>", image=A),
        shown({"<image_00>": A, "<image_01>": B}, "<image_00>"),
    ],
    Reason.UNSAFE_PATH: [
        *(shown(path) for path in ("/etc/passwd", "../a", "C:/a", "a\\b", "a::b", "x" * 9999)),
        shown("data/open_llava_next/../../a"),
        shown({"<image_00>": ""}, "<image_00>"),
    ],
}


@pytest.mark.parametrize(
    ("reason", "value"), [(reason, value) for reason, values in FAULTY.items() for value in values]
)
def test_each_fault_has_its_reason(reason: Reason, value: object) -> None:
    found = rejected(value)
    assert found.reason is reason
    assert len(found.detail) < 500


def test_a_reject_tells_the_id_where_it_could_be_read() -> None:
    assert rejected(record(conversations=[])).id == "i1"
    assert rejected(record(id=None)).id is None


def intended(value: dict[str, Any]) -> dict[str, Any]:
    """What the publishers' script is for, on a record that it gets right."""
    field = json.loads(value["image"]) if value["image"].startswith("{") else {"": value["image"]}
    first, *turns = value["conversations"]
    assert first["role"] == "system"
    return {
        "system": first["content"],
        "turns": [
            re.sub(r"<image_\d+>", "<image>", item["content"])
            if item["role"] == "user"
            else item["content"].replace("<image>", "< image>")
            for item in turns
        ],
        "images": [
            path.replace("data/open_llava_next/", "tongagent/") for _, path in sorted(field.items())
        ],
    }


@needs_mat_sample
def test_real_records_come_out_as_their_publishers_intend() -> None:
    values = json.loads((SHARED / "mat-sample" / "mat_train.json").read_text(encoding="utf-8"))
    assert len(values) == 40
    for value in values:
        found = accepted(value)
        wanted = intended(value)
        assert found.id == value["id"]
        assert found.system == wanted["system"]
        assert [item.content for item in found.turns] == wanted["turns"]
        assert sorted(found.images) == sorted(wanted["images"])


few = settings(max_examples=examples(300))

WORDS = st.lists(
    st.sampled_from(
        "<image> <image_00> <image_1> <image_٣> <image_> <imag <video> <audio> age> < _0 x".split()
    ),
    max_size=10,
).map("".join) | st.text(max_size=20)


@few
@given(WORDS)
def test_each_placeholder_of_a_user_turn_becomes_one_that_is_counted(text: str) -> None:
    output, _ = respell_others(plain(text))
    assert output.count("<image>") == len(re.findall(r"<image>|<image_[0-9]+>", text))
    assert "<video>" not in output
    assert "<audio>" not in output


@few
@given(WORDS)
def test_nothing_is_counted_in_other_turns(text: str) -> None:
    output, count = respell(text)
    assert not any(word in output for word in ("<image>", "<video>", "<audio>"))
    assert count == sum(text.count(word) for word in ("<image>", "<video>", "<audio>"))
    assert (output == text) == (count == 0)


def test_a_numbered_placeholder_in_an_answer_is_a_word_like_any_other() -> None:
    text = "tool(image='<image_00>')"
    assert respell(text) == (text, 0)


@pytest.mark.parametrize(
    ("token", "number"), [("<image_0>", 0), ("<image_00>", 0), ("<image_12>", 12)]
)
def test_the_number_of_a_placeholder(token: str, number: int) -> None:
    images = {f"<image_{number:03}>": A, "<image_99>": B}
    assert accepted(record(f"{token} <image_99>", "So.", image=images)).images == (A, B)


@pytest.mark.parametrize(
    "token",
    ["", "image", "<image_>", "<image_-1>", "<image_٣>", " <image>", "<image_00>\n", "<IMAGE>"],
)
def test_what_is_no_placeholder(token: str) -> None:
    fault = rejected(shown({token: A}, f"Is it {token}?"))
    assert fault.reason is Reason.IMAGE_FIELD_INVALID
    assert fault.detail == f"image has the key {token!r}, not <image> or <image_NN>"
    assert respell_others(plain(token))[0] in (token, token.replace("_00", ""))


@pytest.mark.parametrize(
    ("raw", "detail"),
    [
        (rb'{"id": "\ud83d"}', r"unpaired surrogate \ud83d at byte 8 of the record"),
        (rb'{"id": "\uDE00 x"}', r"unpaired surrogate \uDE00 at byte 8 of the record"),
        (rb'{"id": "\ud83d\ude00\ud83d"}', r"unpaired surrogate \ud83d at byte 20 of the record"),
        (rb'{"id": "\\ud83d" 5}', "JSON is malformed"),
        (b'{"id": "\xe9"}', "not UTF-8 at byte 8 of the record (0xe9)"),
        (b'\xef\xbb\xbf{"id": "1"}', "byte order mark at the beginning of the record"),
        (b'{"id": "a\0"}', "null byte at byte 9 of the record"),
    ],
)
def test_a_cause_is_named_where_there_is_one(raw: bytes, detail: str) -> None:
    found = parse(raw, Reading())
    assert isinstance(found, Fault)
    assert found.reason is Reason.MALFORMED_JSON
    assert detail in found.detail


@pytest.mark.parametrize("digits", [601, 4300, 4301, 100_000])
@pytest.mark.parametrize("sign", ["", "-"])
def test_integers_of_any_length_do_not_matter_where_they_are_ignored(
    digits: int, sign: str
) -> None:
    number = sign + "9" * digits
    text = json.dumps(record()).replace('"i1"', f'"i1", "score": {number}')
    assert accepted(text.encode()).unknown == ("score",)


@pytest.mark.parametrize("brackets", ["[]", "[", "[]x", '{"a":'])
@pytest.mark.parametrize("field", ["score", "image", "tools", "conversations"])
def test_no_verdict_depends_on_how_much_of_the_stack_is_left(brackets: str, field: str) -> None:
    def verdicts() -> list[Trajectory | Fault]:
        found = []
        for depth in (200, 700, 976, 2000):
            opened = brackets[:1] * depth if brackets[0] == "[" else brackets * depth
            deep = opened + brackets[1:2] * depth + brackets[2:]
            for value in (deep, json.dumps(deep)):
                found.append(
                    parse(b'{"id": "d", "%s": %s}' % (field.encode(), value.encode()), READING)
                )
                text = json.dumps(record()).replace('"i1"', f'"i1", "{field}2": {value}')
                found.append(parse(text.encode(), READING))
        return found

    def below(frames: int) -> list[Trajectory | Fault]:
        return below(frames - 1) if frames else verdicts()

    assert below(0) == below(sys.getrecursionlimit() - len(inspect.stack()) - 120)


def test_tags_of_images_without_an_end_are_text() -> None:
    text = "<img>a.jpg</img> and <img>" + "<img>" * 200_000
    turns = [{"from": "human", "value": text}, {"from": "gpt", "value": "So."}]
    found = parse(encode({"id": "q", "conversations": turns}), Reading(Schema.QWEN_VL))
    assert isinstance(found, Trajectory)
    assert found.images == ("a.jpg",)
    assert found.turns[0].content == "<image> and <img>" + "<img>" * 200_000
