"""Which files are let in: new ones, whole ones, and no more than there is room for."""

from __future__ import annotations

import string

from hypothesis import given
from hypothesis import strategies as st

from beam_mat.watch.arrivals import MAX_FILES, Arrivals, Found


def found(uri: str, size: int = 1, version: str = "1", *, settles: bool = True) -> Found:
    return Found(uri, 0, size, version, settles)


def test_a_file_that_appears_whole_is_let_in_at_once_and_once() -> None:
    arrivals = Arrivals()
    for _ in range(3):
        arrivals.look([found("a")], 0.0)
    assert arrivals.release(1.0, 0.0) == [found("a")]
    arrivals.look([found("a")], 2.0)
    assert arrivals.release(3.0, 9.0) == []


def test_a_file_that_grows_is_left_alone_until_two_looks_agree() -> None:
    arrivals = Arrivals()
    for size in (1, 2, 3):
        arrivals.look([found("a", size, settles=False)], 0.0)
        assert arrivals.release(1.0, 0.0) == []
        assert arrivals.unsettled([found("a", size, settles=False)]) == 1
    arrivals.look([found("a", 3, "later", settles=False)], 0.0)
    assert arrivals.release(1.0, 0.0) == []
    arrivals.look([found("a", 3, "later", settles=False)], 0.0)
    assert [one.size for one in arrivals.release(1.0, 0.0)] == [3]


def test_a_new_version_is_new_and_one_that_is_in_the_dataset_is_not() -> None:
    arrivals = Arrivals()
    arrivals.know("a", (1, "1"))
    arrivals.look([found("a")], 0.0)
    assert arrivals.release(1.0, 0.0) == []
    arrivals.look([found("a", 2, "2")], 0.0)
    assert arrivals.release(1.0, 0.0) == [found("a", 2, "2")]


def test_a_version_that_is_replaced_while_it_waits_is_not_let_in() -> None:
    arrivals = Arrivals()
    arrivals.look([found("a")], 5.0)
    arrivals.look([found("a", 2, "2")], 6.0)
    assert arrivals.oldest() == 5.0
    assert arrivals.release(1.0, 0.0) == [found("a", 2, "2")]


def test_what_is_removed_is_waited_for_no_more_and_is_new_when_it_comes_back() -> None:
    arrivals = Arrivals()
    arrivals.look([found("a")], 0.0)
    arrivals.release(1.0, 0.0)
    arrivals.look([], 1.0)
    assert arrivals.oldest() is None
    arrivals.look([found("a")], 2.0)
    assert arrivals.release(3.0, 2.0) == [found("a")]


def test_what_is_in_the_dataset_is_let_in_again_when_its_images_have_come() -> None:
    arrivals = Arrivals()
    arrivals.know("a", (1, "1"))
    arrivals.look([found("a")], 0.0)
    arrivals.again(found("a"), 1.0)
    assert arrivals.release(1.0, 0.0) == [found("a")]
    assert arrivals.unprocessed(1.0) == 1
    arrivals.know("a", (1, "1"))
    assert arrivals.oldest() is None


def test_a_large_file_is_let_in_alone() -> None:
    arrivals = Arrivals(max_bytes=10)
    arrivals.look([found("a", 4), found("b", 99), found("c", 4), found("d", 4)], 0.0)
    assert [one.uri for one in arrivals.release(1.0, 0.0)] == ["a"]
    assert arrivals.release(2.0, 1.0) == []  # what was let in at 1 is not known to be done
    assert [one.uri for one in arrivals.release(3.0, 1.5)] == ["b"]
    assert [one.uri for one in arrivals.release(4.0, 3.5)] == ["c", "d"]


def test_nothing_is_let_in_when_the_watch_is_to_end() -> None:
    arrivals = Arrivals()
    arrivals.look([found("a")], 0.0)
    assert arrivals.release(1.0, 0.0, stop=True) == []
    assert arrivals.oldest() == 0.0


@given(
    st.lists(
        st.dictionaries(st.sampled_from(string.ascii_lowercase[:6]), st.integers(1, 4), max_size=6),
        max_size=12,
    ),
    st.integers(1, 6),
)
def test_in_the_end_the_last_version_of_each_file_has_been_let_in(
    looks: list[dict[str, int]], max_bytes: int
) -> None:
    arrivals = Arrivals(max_bytes=max_bytes)
    let_in: dict[str, Found] = {}
    at = 0.0
    steps = [*looks, *([looks[-1]] * 20 if looks else [])]
    for listing in steps:
        at += 1.0
        there = [found(uri, size, str(size), settles=False) for uri, size in listing.items()]
        arrivals.look(there, at)
        out = arrivals.release(at, at - 0.5)
        busy = sum(one.size for one in out)
        assert len(out) <= MAX_FILES
        assert busy <= max_bytes or len(out) == 1
        let_in.update((one.uri, one) for one in out)
        for one in out:
            arrivals.know(one.uri, one.content)
    last = looks[-1] if looks else {}
    assert {uri: let_in[uri].size for uri in last} == last


def test_what_is_worked_on_is_let_in_once_more_only_when_that_is_over() -> None:
    arrivals = Arrivals()
    arrivals.know("a", (1, "1"))
    arrivals.again(found("a"), 0.0)
    assert arrivals.release(1.0, 0.0) == [found("a")]
    arrivals.again(found("a"), 2.0)
    assert arrivals.release(3.0, 9.0) == []
    arrivals.know("a", (1, "1"))
    assert arrivals.release(4.0, 9.0) == [found("a")]
