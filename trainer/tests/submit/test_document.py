from __future__ import annotations

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mat_trainer.submit import document


@settings(deadline=None)
@given(st.lists(st.dictionaries(st.text(), st.text() | st.integers() | st.lists(st.text()))))
def test_what_is_written_is_read_again(documents: list[dict[str, object]]) -> None:
    assert list(yaml.safe_load_all(document.dump(documents))) == documents


def test_text_of_several_lines_is_written_as_such_and_nothing_by_reference() -> None:
    pod = {"image": "a"}
    text = document.dump([{"master": pod, "worker": pod}, {"recipe": "b: 1\n# c\n"}])
    assert text == "master:\n  image: a\nworker:\n  image: a\n---\nrecipe: |\n  b: 1\n  # c\n"
