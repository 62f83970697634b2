"""The members of an archive come in order of their offsets, the last one of each path."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from beam_mat.core.member_index import MemberIndex

ADDED = st.lists(
    st.tuples(st.integers(0, 1 << 63), st.none() | st.sampled_from("abcd"), st.integers(0, 1 << 40))
)


@given(ADDED, st.integers(0, 1 << 60))
def test_members_come_in_order(added: list[tuple[int, str | None, int]], end: int) -> None:
    index = MemberIndex(int)
    for offset, path, value in added:
        index.add(offset, path, value)
    assert len(index) == len(added)
    last = {path: at for at, (_, path, _) in enumerate(added)}
    order = sorted(range(len(added)), key=lambda at: added[at][0])
    expected = []
    for place, at in enumerate(order):
        offset, path, value = added[at]
        behind = added[order[place + 1]][0] if place + 1 < len(order) else end
        if path and last[path] == at:
            expected.append((path, offset, behind, value))
    assert list(index.in_order(end)) == expected


def test_many_members_take_little() -> None:
    index = MemberIndex(int)
    for at in range(100_000):
        index.add(at, f"{at}.jpg", at)
    held = len(index._data) + 24 * len(index)
    assert held < 45 * 100_000
    assert sum(1 for _ in index.in_order(0)) == 100_000
