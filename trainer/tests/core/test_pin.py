import pytest

from mat_trainer.core.pin import Pin, differs, parse, write

FIFTH = Pin("gs://b/mat@5", "5" * 64, 5, "l" * 64)
SIXTH = Pin("gs://b/mat@6", "6" * 64, 6, "l" * 64)
PLAIN = Pin("gs://b/mat", "a" * 64)
GROWN = Pin("gs://b/mat", "b" * 64)


def test_what_is_written_is_read() -> None:
    assert [parse(write(pin)) for pin in (FIFTH, PLAIN)] == [FIFTH, PLAIN]


def test_what_cannot_be_read_is_none() -> None:
    assert parse(b"{") is None


IN_PLACE = Pin("gs://b/mat", "c" * 64, 5, "l" * 64)


@pytest.mark.parametrize(
    ("begun", "now"),
    [
        (FIFTH, IN_PLACE),
        (IN_PLACE, FIFTH),
        (FIFTH, FIFTH),
        (FIFTH, Pin("/mnt/mat@5", "5" * 64, 5)),
    ],
)
def test_the_same_generation_may_lie_elsewhere(begun: Pin, now: Pin) -> None:
    assert differs(begun, now) is None


@pytest.mark.parametrize(
    ("begun", "now"), [(FIFTH, SIXTH), (FIFTH, PLAIN), (PLAIN, FIFTH), (PLAIN, GROWN)]
)
def test_another_generation_is_told_with_its_cures(begun: Pin, now: Pin) -> None:
    fault = differs(begun, now)
    assert fault is not None
    assert begun.uri in fault
    assert now.uri in fault
    assert "--resume never" in fault
