"""A turn in pieces."""

from __future__ import annotations

from beam_mat.report.examples import pieces, speaker
from beam_mat.report.findings import ShownTurn


def turn(role: str, text: str, *images: str) -> ShownTurn:
    return ShownTurn(role, text, 0, images)


def test_pictures_stand_where_their_placeholders_stand() -> None:
    found = list(pieces(turn("user", "<image>\nLeft of <image>?", "a.jpg", "b.jpg")))
    assert found == [("image", "a.jpg"), ("text", "Left of"), ("image", "b.jpg"), ("text", "?")]


def test_code_is_told_from_text() -> None:
    text = "Thought: So.\n\nCode:\n```py\nif a < b:\n    look()\n```\nDone."
    assert list(pieces(turn("assistant", text))) == [
        ("text", "Thought: So.\n\nCode:"),
        ("code", "if a < b:\n    look()"),
        ("text", "Done."),
    ]


def test_pictures_in_code_and_beyond_what_is_shown_follow() -> None:
    found = list(pieces(turn("user", "```\n<image>\n```\nthen", "a.jpg", "b.jpg")))
    assert found == [
        ("code", "<image>"),
        ("image", "a.jpg"),
        ("text", "then"),
        ("image", "b.jpg"),
    ]


def test_the_answers_of_tools_are_told_from_the_users_words() -> None:
    assert speaker(turn("user", "[OUTPUT OF STEP 0] Observation:\n5")) == "observation"
    assert speaker(turn("user", "Task: count")) == "user"
    assert speaker(turn("assistant", "Thought: Observation")) == "assistant"
