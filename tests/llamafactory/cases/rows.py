"""Turns, roles, contents, tools."""

from __future__ import annotations

from beam_mat.core.contract.finding import Kind
from tests.llamafactory.cases.case import (
    GOOD_CALL,
    ODD,
    TEXTS,
    TOOLS,
    Case,
    call,
    drops,
    fails,
    sound,
)
from tests.rows import (
    IMAGE,
    TAGS,
    entry,
    lines,
    seen,
    text,
    turns,
    without,
)

ROWS = [
    *(
        fails(
            f"messages that are {name}", Kind.MESSAGES_INVALID, lines(text(messages=messages)), says
        )
        for name, messages, says in (
            ("null", None, "TypeError"),
            ("an object", {"role": "user"}, "KeyError"),
            ("texts", ["a", "b"], "TypeError"),
        )
    ),
    fails(
        "a turn that is null",
        Kind.MESSAGES_INVALID,
        lines(text(), text(messages=[None, *turns("a")])),
        "TypeError",
    ),
    fails(
        "a turn without a role, and no tag for systems",
        Kind.MESSAGES_INVALID,
        lines(text(messages=[{"content": "x"}, *turns("a", "b")[1:]])),
        "Unexpected role",
        entry=entry(tags=without(TAGS, "observation_tag", "system_tag")),
    ),
    sound(
        "a turn without a role, taken for an observation",
        lines(text(messages=[{"content": "x"}, *turns("a", "b")[1:]])),
        1,
        entry=entry(tags=without(TAGS, "observation_tag")),
    ),
    Case(
        "a dropped row with null behind its image",
        {"rows.jsonl": lines(text(), text(messages=turns("a"), images=[IMAGE, None]))},
        frozenset({Kind.ODD_TURNS, Kind.IMAGE_FIELD_INVALID}),
        says="TypeError",
    ),
    drops("no turns", Kind.NO_TURNS, lines(text(), text(messages=[])), 1),
    drops(
        "nothing but a system turn",
        Kind.NO_TURNS,
        lines(text(), text(messages=[{"role": "system", "content": "x"}])),
        1,
    ),
    drops(
        "an unknown role",
        Kind.ROLE_UNKNOWN,
        lines(text(), text(messages=[{"role": "bot", "content": "x"}, *turns("y")])),
        1,
    ),
    drops(
        "a turn without a role",
        Kind.ROLE_UNKNOWN,
        lines(text(), text(messages=[{"content": "x"}, *turns("y")])),
        1,
    ),
    drops(
        "a system turn without its tag",
        Kind.SYSTEM_TAG_NOT_LISTED,
        lines(text(), text(messages=[{"role": "system", "content": "x"}, *turns("y", "z")])),
        1,
        entry=entry(tags=without(TAGS, "system_tag")),
    ),
    drops(
        "the assistant first",
        Kind.ROLES_OUT_OF_ORDER,
        lines(text(), text(messages=turns("a", "b", "c")[1:])),
        1,
    ),
    drops(
        "a system turn in the middle",
        Kind.ROLES_OUT_OF_ORDER,
        lines(text(), text(messages=[*turns("a"), {"role": "system", "content": "x"}])),
        1,
    ),
    drops("a question without an answer", Kind.ODD_TURNS, lines(text(), ODD), 1),
    drops(
        "a dropped row whose image is missing",
        Kind.ODD_TURNS,
        lines(seen(), seen(messages=turns("<image><image>"), images=["no.png"])),
        1,
    ),
    Case(
        "all rows dropped",
        {"rows.jsonl": lines(ODD, ODD)},
        frozenset({Kind.ODD_TURNS, Kind.BATCH_DROPPED}),
        says="Cannot find valid samples",
    ),
    Case(
        "a whole batch dropped",
        {"rows.jsonl": lines(*TEXTS, *[ODD] * 1000, text())},
        frozenset({Kind.ODD_TURNS, Kind.BATCH_DROPPED}),
        says="Schema and number",
    ),
    Case(
        "the last batch dropped",
        {"rows.jsonl": lines(*TEXTS, ODD)},
        frozenset({Kind.ODD_TURNS, Kind.BATCH_DROPPED}),
        says="Schema and number",
    ),
    Case(
        "the first batch dropped",
        {"rows.jsonl": lines(*[ODD] * 1000, text())},
        frozenset({Kind.ODD_TURNS, Kind.BATCH_DROPPED}),
        says="to null",
    ),
    fails(
        "null content",
        Kind.CONTENT_NOT_TEXT,
        lines(text(), text(messages=turns("a", None))),
        "AttributeError",
    ),
    fails(
        "a turn without content",
        Kind.CONTENT_NOT_TEXT,
        lines(text(), text(messages=[{"role": "user"}, *turns("a", "b")[1:]])),
        "AttributeError",
    ),
    fails(
        "content in parts",
        Kind.CONTENT_NOT_TEXT,
        lines(text(messages=turns([{"type": "text"}], [{"type": "text"}]))),
        "Error",
    ),
    fails(
        "a system prompt that is a number", Kind.SYSTEM_NOT_TEXT, lines(text(system=5)), "TypeError"
    ),
    fails(
        "a system prompt that is an object",
        Kind.SYSTEM_NOT_TEXT,
        lines(text(system={"a": 1})),
        "TypeError",
    ),
    *(
        fails(
            f"a function call that is {name}",
            Kind.FUNCTION_CALL_INVALID,
            lines(text(messages=call(content))),
            says,
        )
        for name, content, says in (
            ("no JSON", "add(1)", "Invalid JSON format in function"),
            ("without a name", "{}", "KeyError"),
            ("a number", "5", "TypeError"),
            ("a list of texts", '["add"]', "TypeError"),
            ("behind other text", f"I add. {GOOD_CALL}", "Invalid JSON format in function"),
        )
    ),
    *(
        fails(
            f"tools that are {name}",
            Kind.TOOLS_INVALID,
            lines(text(tools=tools)),
            says,
            entry=entry(columns=TOOLS),
        )
        for name, tools, says in (
            ("no JSON", "add", "Invalid JSON format in tool"),
            ("an object", '{"name": "add"}', "AttributeError"),
            ("texts", '["add"]', "AttributeError"),
            ("a number", "5", "TypeError"),
            ("no text", [{"name": "add"}], "TypeError"),
        )
    ),
    sound(
        "function calls",
        lines(
            text(messages=call(GOOD_CALL)),
            text(messages=call("[]")),
            text(messages=call(f"<think>\nx\n</think>\n\n{GOOD_CALL}")),
            text(messages=call(f"[{GOOD_CALL}]")),
        ),
        4,
    ),
    sound(
        "tools",
        lines(
            text(tools="[]"),
            text(tools=""),
            text(tools=None),
            text(tools='[{"name": "a"}]'),
            text(tools="{}"),
        ),
        5,
        entry=entry(columns=TOOLS),
    ),
    sound("empty contents", lines(text(messages=turns("", ""))), 1),
    sound("no system prompt", lines(text(system=None), text(system="")), 2),
    sound(
        "rows without a system column",
        lines({"messages": turns("a", "b"), "images": []}, text()),
        2,
    ),
    sound(
        "a system turn",
        lines(text(messages=[{"role": "system", "content": None}, *turns("y", "z")], system="")),
        1,
    ),
    sound(
        "observations first",
        lines(text(messages=[{"role": "observation", "content": "x"}, *turns("a", "b")[1:]])),
        1,
    ),
]
