"""The recorded terminal in the README: small, still true, and asking for nothing from elsewhere."""

from __future__ import annotations

import html
import re

from tests.command import ROOT

SVG = (ROOT / "docs" / "terminal.svg").read_text(encoding="utf-8")
TEXT = html.unescape(re.sub(r"<[^>]+>", "", SVG)).replace("\xa0", " ")


def test_it_is_small_and_asks_for_nothing_from_elsewhere() -> None:
    assert len(SVG.encode()) <= 200_000
    addresses = set(re.findall(r"https?://[^\s\"'<)]+", SVG))
    assert addresses <= {"http://www.w3.org/2000/svg", "https://www.textualize.io"}


def test_it_shows_what_the_commands_print_today() -> None:
    for told in ("convert --json", "rejected", "not_an_object: the record is", "turn 1 of", "JPEG"):
        assert told in TEXT


def test_each_line_appears_after_the_one_above() -> None:
    lines = re.findall(r"beam-mat-line-(\d+)\)\" style=\"animation-delay:([\d.]+)s", SVG)
    moments = [float(moment) for _, moment in sorted(lines, key=lambda line: int(line[0]))]
    assert moments
    assert moments == sorted(moments)
    assert moments[-1] < 30
