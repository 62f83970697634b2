"""Pairs of answers, labels, and values that LLaMA-Factory does not read."""

from __future__ import annotations

import json
from typing import Any

from beam_mat.core.contract.finding import Kind
from tests.llamafactory.cases.case import GOOD_CALL, TOOLS, Case, call, drops, fails, sound
from tests.rows import (
    COLUMNS,
    IMAGE,
    TAGS,
    Row,
    entry,
    inside,
    lines,
    parquet,
    seen,
    text,
    turns,
    without,
)

PAIR = {**COLUMNS, "chosen": "chosen", "rejected": "rejected"}
LABEL = {**COLUMNS, "kto_tag": "kto_tag"}
DPO: dict[str, Any] = {"entry": entry(columns=PAIR, ranking=True), "stage": "dpo"}
KTO: dict[str, Any] = {"entry": entry(columns=LABEL), "stage": "kto"}


def answer(content: object, role: object = "assistant") -> Row:
    return {"role": role, "content": content}


def pair(**changes: Any) -> Row:
    """A row with an image and two answers."""
    asked = {"messages": turns("<image> What?"), "images": [IMAGE]}
    answers = {"chosen": answer("That."), "rejected": answer("This.")}
    return text(**{**asked, **answers, **changes})


def told(label: object, **changes: Any) -> Row:
    """A row with an image and a label."""
    return seen(**{"kto_tag": label, **changes})


GOOD, BAD = told(True), told(False)


def dpo(maker: Any, name: str, *more: Any, **options: Any) -> Case:
    """A case of a ranking entry."""
    made: Case = maker(name, *more, **{**DPO, **options})
    return made


def kto(maker: Any, name: str, *more: Any, **options: Any) -> Case:
    """A case of an entry with labels."""
    made: Case = maker(name, *more, **{**KTO, **options})
    return made


RANKING = [
    dpo(sound, "pairs", lines(pair(), pair(messages=turns("a", "b", "<image>c"))), 2),
    dpo(sound, "pairs that are trained on", lines(pair(), pair()), 2, step="train"),
    dpo(
        sound,
        "pairs in Parquet",
        {"rows.parquet": parquet(pair(images=inside()["images"]))},
        1,
        entry=entry("rows.parquet", columns=PAIR, ranking=True),
        step="train",
    ),
    dpo(
        sound,
        "pairs of calls",
        lines(
            pair(
                messages=[*call(GOOD_CALL)[:2], answer("<image>", "observation")],
                chosen=answer(GOOD_CALL, "function_call"),
            )
        ),
        1,
        step="train",
    ),
    dpo(
        sound,
        "answers that both have an image",
        lines(
            pair(messages=turns("?"), chosen=answer("<image>"), rejected=answer("<image> or not"))
        ),
        1,
    ),
    dpo(
        sound,
        "answers with more keys",
        lines(pair(chosen={**answer("a"), "observation": "x", "name": ""})),
        1,
    ),
    *(
        dpo(fails, f"columns without {name}", Kind.COLUMN_NOT_LISTED, lines(pair()), "None", **more)
        for name, more in (
            (name, {"entry": entry(columns=without(PAIR, name), ranking=True)})
            for name in ("chosen", "rejected")
        )
    ),
    dpo(
        drops,
        "a history that ends with an answer",
        Kind.EVEN_TURNS,
        lines(pair(), pair(messages=turns("<image>", "b"))),
        1,
    ),
    dpo(drops, "no turns before the answers", Kind.NO_TURNS, lines(pair(), pair(messages=[])), 1),
    dpo(
        drops,
        "a pair without one answer",
        Kind.ANSWERS_INVALID,
        lines(pair(), pair(rejected=None), pair(chosen=None)),
        1,
    ),
    *(
        Case(
            f"pairs whose answers are {name}",
            {"rows.jsonl": lines(pair(chosen=value, rejected=value))},
            frozenset({Kind.ANSWERS_INVALID, Kind.BATCH_DROPPED}),
            DPO["entry"],
            says="Cannot find valid samples",
            more={"stage": "dpo"},
        )
        for name, value in (("texts", "a"), ("lists", [answer("a")]))
    ),
    *(
        dpo(drops, f"an answer with the role {role}", Kind.ANSWER_ROLE, lines(row), 1, step="train")
        for role, row in (
            ("user", pair(rejected=answer("x", "user"))),
            ("observation", pair(chosen=answer("x", "observation"))),
        )
    ),
    *(
        dpo(
            fails,
            f"an answer with the role {role}",
            Kind.ANSWER_ROLE_UNKNOWN,
            lines(pair(), pair(chosen=answer("x", role))),
            says,
        )
        for role, says in (("gpt", "KeyError"), ("system", "Unexpected role"), (None, "KeyError"))
    ),
    dpo(
        fails,
        "an answer without a role, and no tag for systems",
        Kind.ANSWER_ROLE_UNKNOWN,
        lines(pair(), pair(rejected={"content": "x"})),
        "Unexpected role",
        entry=entry(columns=PAIR, ranking=True, tags=without(TAGS, "system_tag")),
    ),
    dpo(
        fails,
        "an answer of null",
        Kind.CONTENT_NOT_TEXT,
        lines(pair(), pair(rejected=answer(None))),
        "Error",
    ),
    *(
        dpo(fails, f"an image in {name} alone", Kind.IMAGE_COUNT, lines(pair(), row), "number of")
        for name, row in (
            ("the chosen answer", pair(messages=turns("?"), chosen=answer("<image>"))),
            ("the rejected answer", pair(rejected=answer("<image>"))),
        )
    ),
    dpo(
        drops,
        "equal answers",
        Kind.ANSWERS_EQUAL,
        lines(pair(rejected=answer("That."))),
        1,
        step="train",
    ),
    dpo(drops, "an empty answer", Kind.ANSWER_EMPTY, lines(pair(chosen=answer(""))), 1),
    dpo(
        fails,
        "a call of a pair that is no JSON",
        Kind.FUNCTION_CALL_INVALID,
        lines(pair(chosen=answer("add(1)", "function_call"))),
        "Invalid JSON format in function",
    ),
    dpo(
        drops,
        "a pair with a label",
        Kind.LABEL_INVALID,
        lines(pair(kto_tag=None), pair(kto_tag=True)),
        1,
        entry=entry(columns={**PAIR, "kto_tag": "kto_tag"}, ranking=True),
    ),
    dpo(
        fails,
        "three images of a pair, cut after the first",
        Kind.IMAGE_TOKENS_CUT,
        lines(pair(messages=turns("<image>" * 3), images=[IMAGE] * 3)),
        "match",
        cutoff_len=20,
        step="train",
    ),
    dpo(
        drops,
        "the longer of two answers is cut",
        Kind.ROW_CUT,
        lines(pair(messages=turns("What?"), images=[], rejected=answer("word " * 60))),
        1,
        cutoff_len=50,
        step="train",
    ),
    dpo(
        sound,
        "room for a pair",
        lines(pair(rejected=answer("word " * 30))),
        1,
        cutoff_len=500,
        step="train",
    ),
    drops(
        "a pair among other rows",
        Kind.ODD_TURNS,
        lines(seen(), pair()),
        1,
    ),
    dpo(
        drops,
        "another row among pairs",
        Kind.EVEN_TURNS,
        lines(pair(), seen()),
        1,
    ),
    fails(
        "a ranking in supervised training",
        Kind.COLUMN_NOT_LISTED,
        lines(pair()),
        "not applicable in the current training stage",
        entry=entry(ranking=True),
    ),
    drops(
        "answers that are not listed",
        Kind.COLUMN_IGNORED,
        lines(seen(chosen=answer("a"), rejected=answer("b"))),
        1,
    ),
]

LABELS = [
    kto(sound, "labels", lines(GOOD, BAD, told(True, **text())), 3),
    kto(sound, "labels that are trained on", lines(GOOD, BAD), 2, step="train"),
    kto(
        sound,
        "labels in Parquet",
        {"rows.parquet": parquet(inside(kto_tag=True), inside(kto_tag=False))},
        2,
        entry=entry("rows.parquet", columns=LABEL),
    ),
    kto(drops, "one label", Kind.ONE_LABEL, lines(GOOD, GOOD), 2, step="train"),
    kto(drops, "no label", Kind.LABEL_INVALID, lines(GOOD, BAD, told(None)), 2),
    *(
        Case(
            f"labels that are {name}",
            {"rows.jsonl": lines(told(value), told(value))},
            frozenset({Kind.LABEL_INVALID, Kind.BATCH_DROPPED}),
            KTO["entry"],
            says="Cannot find valid samples",
            more={"stage": "kto"},
        )
        for name, value in (("texts", "true"), ("numbers", 1))
    ),
    kto(
        drops,
        "an empty answer that is wanted",
        Kind.ANSWER_EMPTY,
        lines(GOOD, BAD, told(True, messages=turns("<image>", ""))),
        3,
    ),
    kto(
        sound,
        "an empty answer that is not wanted",
        lines(GOOD, told(False, messages=turns("<image>", ""))),
        2,
    ),
    *(
        Case(
            f"{name} in KTO",
            {"rows.jsonl": lines(GOOD, BAD, row, GOOD)},
            frozenset({kind, Kind.DROPPED_IN_KTO}),
            KTO["entry"],
            says="IndexError",
            more={"stage": "kto"},
        )
        for name, kind, row in (
            ("an odd turn", Kind.ODD_TURNS, told(True, messages=turns("<image>"))),
            ("no turns", Kind.NO_TURNS, told(True, messages=[])),
            ("a role", Kind.ROLE_UNKNOWN, told(True, messages=[answer("x", "bot"), *turns("y")])),
            ("no label", Kind.LABEL_INVALID, told(None, messages=turns("<image>", ""))),
        )
    ),
    kto(
        fails,
        "an image in an answer of KTO",
        Kind.IMAGE_COUNT,
        lines(GOOD, told(False, messages=turns("?", "<image>"))),
        "number of",
    ),
    drops("a label that is not listed", Kind.COLUMN_IGNORED, lines(GOOD), 1),
]

AS_TEXT = json.dumps({"name": "add", "arguments": json.dumps({"a": 1})})
TAGGED = f"<tool_call>{GOOD_CALL}</tool_call>"

CALLS = [
    sound(
        "calls in tags",
        lines(text(messages=call(f"I add. {TAGGED}\n")), text(messages=call(TAGGED))),
        2,
        step="train",
    ),
    sound("a row that ends with a call", lines(text(messages=call(GOOD_CALL)[:2])), 1),
    sound(
        "an image in an observation",
        lines(seen(messages=[*call(GOOD_CALL)[:2], answer("<image>", "observation"), answer("x")])),
        1,
        step="train",
    ),
    *(
        fails(
            f"a function call with {name}",
            Kind.FUNCTION_CALL_INVALID,
            lines(text(messages=call(content))),
            says,
        )
        for name, content, says in (
            ("an open tag", f"<tool_call>{GOOD_CALL}", "Invalid JSON format in function"),
            ("a thought in one line", f"<think>x</think>{GOOD_CALL}", "Invalid JSON format"),
            ("no arguments", '{"name": "add"}', "KeyError"),
            ("half a letter", GOOD_CALL.replace("add", "\\ud800"), "Error"),
        )
    ),
    *(
        drops(
            f"{name} after a call", Kind.CALL_MOVED, lines(text(messages=call(TAGGED + after))), 1
        )
        for name, after in (("text", " Done."), ("a call", TAGGED))
    ),
    *(
        drops(
            f"arguments that are text, {name}",
            Kind.ARGUMENTS_AS_TEXT,
            lines(text(messages=call(content))),
            1,
        )
        for name, content in (
            ("alone", AS_TEXT),
            ("in a list", f"[{GOOD_CALL}, {AS_TEXT}]"),
            ("in tags", f"<tool_call>{AS_TEXT}</tool_call>"),
        )
    ),
    drops(
        "results in a row",
        Kind.ROLES_OUT_OF_ORDER,
        lines(
            text(),
            text(messages=[*call(GOOD_CALL)[:3], answer("4", "observation"), answer("x")]),
        ),
        1,
    ),
    fails(
        "an image in a call",
        Kind.IMAGE_COUNT,
        lines(text(messages=call(GOOD_CALL.replace("1", '"<image>"')))),
        "number of",
    ),
]

IGNORED = [
    Case(
        "a row that is cut and has a key that is ignored",
        {"rows.jsonl": lines(text(messages=turns("a", "word " * 60), tools="[]x"))},
        frozenset({Kind.COLUMN_IGNORED, Kind.ROW_CUT}),
        kept=1,
        more={"cutoff_len": 50},
    ),
    drops(
        "a system turn and another system prompt",
        Kind.SYSTEM_IGNORED,
        lines(text(messages=[answer("x", "system"), *turns("y", "z")])),
        1,
    ),
    sound(
        "the same system prompt twice",
        lines(text(messages=[answer("Be brief.", "system"), *turns("y", "z")])),
        1,
    ),
    *(
        drops(
            f"{name} that the entry does not list",
            Kind.COLUMN_IGNORED,
            lines(text(**{name: value})),
            1,
            entry=entry(columns={"messages": "messages"}) if name == "images" else entry(),
        )
        for name, value in (
            ("tools", "[]x"),
            ("videos", ["a.mp4"]),
            ("audios", ["a.wav"]),
            ("image", IMAGE),
            ("rejected_response", "No."),
        )
    ),
    drops(
        "a system prompt that the entry does not list",
        Kind.COLUMN_IGNORED,
        lines(text()),
        1,
        entry=entry(columns=without(COLUMNS, "system")),
    ),
    drops(
        "tools in Parquet that the entry does not list",
        Kind.COLUMN_IGNORED,
        {"rows.parquet": parquet(inside(tools='[{"name": "add"}]'))},
        1,
        entry=entry("rows.parquet"),
    ),
    sound(
        "columns that are empty or of another name",
        lines(text(tools="[]", videos=[], image="", kto_tag=None, label="cat")),
        1,
    ),
    sound("images under both names", lines(seen(image=IMAGE)), 1, entry=entry(columns=COLUMNS)),
    drops(
        "tool_calls in a turn",
        Kind.TURN_KEY_IGNORED,
        lines(text(messages=[*turns("a"), {**answer(""), "tool_calls": [{"id": "1"}]}])),
        1,
    ),
    *(
        drops(
            f"{key} in a turn",
            Kind.TURN_KEY_IGNORED,
            lines(text(messages=[*turns("a"), {**answer("b"), key: value}])),
            1,
        )
        for key, value in (("images", [IMAGE]), ("loss", False), ("reasoning_content", "Hm."))
    ),
    sound(
        "turns with keys that do not matter",
        lines(text(messages=[*turns("a"), {**answer("b"), "loss": True, "name": "x"}])),
        1,
    ),
    sound(
        "tools and calls",
        lines(text(messages=call(GOOD_CALL), tools='[{"name": "add"}]')),
        1,
        entry=entry(columns=TOOLS),
        step="train",
    ),
]

PREFERENCES = [*RANKING, *LABELS, *CALLS, *IGNORED]
