import pytest

from mat_trainer.core.address import Address, at, split
from mat_trainer.core.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "uri", "word"),
    [
        ("gs://bucket/mat", "gs://bucket/mat", None),
        ("gs://bucket/mat@42", "gs://bucket/mat", "42"),
        ("gs://bucket@42", "gs://bucket", "42"),
        ("gs://bucket/mat/@latest", "gs://bucket/mat", "latest"),
        ("mat@7/", "mat", "7"),
        ("/data/me@home/mat", "/data/me@home/mat", None),
        ("/data/me@home@3", "/data/me@home", "3"),
        ("https://me:secret@host/mat", "https://me:secret@host/mat", None),
        ("https://me:secret@host/mat@5", "https://me:secret@host/mat", "5"),
        ("https://me@host", "https://me@host", None),
        ("http://127.0.0.1:80@3", "http://127.0.0.1:80", "3"),
        ("@3", "@3", None),
        ("/@3", "/", "3"),
        ("gs://@3", "gs://@3", None),
    ],
)
def test_only_the_last_name_has_a_generation(text: str, uri: str, word: str | None) -> None:
    assert split(text) == Address(uri, word)


@pytest.mark.parametrize(
    ("word", "number"), [(None, None), ("latest", None), ("1", 1), ("000042", 42)]
)
def test_a_generation_is_a_number(word: str | None, number: int | None) -> None:
    assert Address("mat", word).generation == number


@pytest.mark.parametrize("word", ["", "0", "000", "abc", "-1", "1.0", "٣", "9" * 30])
def test_what_is_no_generation_is_refused_with_the_cure(word: str) -> None:
    with pytest.raises(
        ConfigError, match="numbered from 1; pass a number such as @42, or @latest"
    ) as caught:
        assert Address("mat", word).generation
    assert len(caught.value.faults) == 1


def test_an_address_is_made_of_both() -> None:
    assert split(at("gs://bucket/mat/", 42)) == Address("gs://bucket/mat", "42")
