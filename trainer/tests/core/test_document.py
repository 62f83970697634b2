from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from mat_trainer.core import document
from mat_trainer.core.errors import ConfigError

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(blacklist_categories=["Cs"]))
    | st.from_regex(r"\A[-+]?[0-9_.:]{1,6}([eE][-+]?[0-9]{1,3})?\Z")
    | st.sampled_from(["2026-11-22", "yes", "null", "1e-4", "~", "0x1f"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab"), inner, max_size=3),
    max_leaves=6,
)


@hypothesis_settings(deadline=None)  # a busy machine is no fault
@given(st.dictionaries(st.from_regex(r"\A[a-z][a-z0-9_]{0,12}\Z"), VALUES, max_size=6))
def test_what_is_written_reads_back_in_its_order(settings: dict[str, object]) -> None:
    again = document.read(document.write(settings), "it")
    assert list(again.items()) == list(settings.items())
    assert [type(value) for value in again.values()] == [type(v) for v in settings.values()]


@pytest.mark.parametrize("text", ["1e-4", "1E-4", "1.0e-4", "0.0001", "+1e-04", "1_0e-5"])
def test_a_learning_rate_is_a_number_however_it_is_written(text: str) -> None:
    assert document.read(f"learning_rate: {text}", "it") == {"learning_rate": 0.0001}


def test_a_date_is_a_text() -> None:
    assert document.read("run_name: 2026-11-22", "it") == {"run_name": "2026-11-22"}


def test_each_key_that_is_set_twice_is_named() -> None:
    with pytest.raises(ConfigError) as raised:
        document.read("a: 1\nb: 2\na: 3\nb: 2\nc: 1\n", "it.yaml")
    assert [fault.partition(" is set twice")[0] for fault in raised.value.faults] == [
        "it.yaml: a",
        "it.yaml: b",
    ]


@pytest.mark.parametrize("text", ["- a\n- b\n", "just words", "a: [1\n", "a: !!python/name:os\n"])
def test_what_is_no_mapping_of_settings_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"it\.yaml"):
        document.read(text, "it.yaml")


def test_a_fault_of_yaml_is_told_with_its_line() -> None:
    with pytest.raises(ConfigError, match="line 2, column 1"):
        document.read("a: 1\n]\n", "it.yaml")


def test_an_empty_file_has_no_settings() -> None:
    assert document.read("# nothing\n", "it.yaml") == {}


@hypothesis_settings(deadline=None)
@given(st.lists(st.dictionaries(st.text(), st.text() | st.integers() | st.lists(st.text()))))
def test_documents_are_read_again(documents: list[dict[str, object]]) -> None:
    assert list(yaml.safe_load_all(document.dump(documents))) == documents


def test_text_of_several_lines_is_written_as_such_and_nothing_by_reference() -> None:
    pod = {"image": "a"}
    text = document.dump([{"master": pod, "worker": pod}, {"recipe": "b: 1\n# c\n"}])
    assert text == "master:\n  image: a\nworker:\n  image: a\n---\nrecipe: |\n  b: 1\n  # c\n"
