"""Reasons: a closed list, each with its sentence, and rejects that survive being written."""

from __future__ import annotations

import json
import pickle
from importlib import resources

import msgspec
import pytest

from beam_mat.core import limits
from beam_mat.core.reject import Reason, Reject


@pytest.mark.parametrize("reason", Reason)
def test_each_reason_says_what_was_found_and_what_to_do(reason: Reason) -> None:
    assert reason.value == reason.name.lower()
    assert reason.sentence[0].isupper()
    assert reason.sentence.endswith(".")
    assert ";" in reason.sentence
    assert Reason(reason.value) is reason
    assert pickle.loads(pickle.dumps(reason)) is reason


def test_every_reason_has_its_sentence_and_there_are_no_others() -> None:
    sentences = json.loads(resources.files("beam_mat.core").joinpath("reject.json").read_text())
    assert list(sentences) == [reason.value for reason in Reason]


def test_sentences_name_the_limits_as_they_are() -> None:
    assert limits.MAX_RECORD_BYTES == 8 << 20
    assert "8 MiB" in Reason.RECORD_TOO_LARGE.sentence
    assert limits.MAX_IMAGE_BYTES == 64 << 20
    assert limits.MAX_IMAGE_PIXELS // 10**6 == 67
    assert limits.MAX_COMPRESSION_RATIO == 200
    for words in ("64 MiB", "67 megapixels", "200 to 1"):
        assert words in Reason.IMAGE_TOO_LARGE.sentence


def test_an_unknown_reason_is_an_error() -> None:
    with pytest.raises(ValueError, match="odd"):
        Reason("odd")


@pytest.mark.parametrize("id", [None, "é"])
def test_a_reject_comes_back_from_its_line(id: str | None) -> None:
    reject = Reject(Reason.NO_ID, "why\n", "gs://b/a.json", 3, 10, 20, id, '{"\\xff"\u2028', True)
    line = msgspec.json.encode(reject)
    assert b"\n" not in line
    assert b'"reason":"no_id"' in line
    assert msgspec.json.decode(line, type=Reject) == reject
