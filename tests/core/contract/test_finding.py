"""Kinds of violations: a closed list, each with what happens and a cure, in code and in docs."""

from __future__ import annotations

import json
import pickle
import re
from importlib import resources
from pathlib import Path

import msgspec
import pytest

from beam_mat.core.contract.finding import Kind, Severity

DOCS = Path(__file__).resolve().parents[3] / "docs" / "check.md"


@pytest.mark.parametrize("kind", Kind)
def test_each_kind_says_what_happens_and_what_to_do(kind: Kind) -> None:
    assert kind.value == kind.name.lower()
    for sentence in (kind.about.happens, kind.about.cure):
        assert len(sentence.split()) > 2
        assert sentence.endswith(".")
        assert "|" not in sentence
    assert pickle.loads(pickle.dumps(kind)) is kind
    assert msgspec.json.decode(msgspec.json.encode(kind), type=Kind) is kind


def test_every_kind_has_its_texts_and_there_are_no_others() -> None:
    texts = json.loads(resources.files("beam_mat.core.contract").joinpath("kind.json").read_text())
    assert list(texts) == [kind.value for kind in Kind]


def test_the_docs_have_every_kind_with_its_sentences_and_no_other() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \|$", DOCS.read_text("utf-8"), re.MULTILINE)
    assert {name: (happens, cure) for name, happens, cure in rows} == {
        kind.value: (kind.about.happens, kind.about.cure) for kind in Kind
    }


def test_the_docs_sort_the_kinds_by_what_they_cost() -> None:
    parts = re.split(r"^## ", DOCS.read_text("utf-8"), flags=re.MULTILINE)
    for severity in Severity:
        (part,) = [part for part in parts if part.lower().startswith(severity.value)]
        found = re.findall(r"^\| `(\w+)` \|", part, re.MULTILINE)
        assert found == [kind.value for kind in Kind if kind.about.severity is severity]
