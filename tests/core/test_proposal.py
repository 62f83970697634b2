"""Groups of missing images, and options that work when they are pasted."""

from __future__ import annotations

import random
import shlex
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_mat.cli import values
from beam_mat.core.layout import DEFAULT_REWRITE, rewrite
from beam_mat.core.nearest import Near, nearest
from beam_mat.core.proposal import (
    MOST_FOLDERS,
    Group,
    Pairs,
    detail,
    group,
    line,
    merge,
    option,
    pairs_of,
    raws,
)
from tests.properties import examples

ZIP = "/in/files.zip"


def named(raw: Iterable[str], there: Iterable[str], prefixes: Pairs) -> list[tuple[str, Near]]:
    """The missing paths with their nearest members."""
    members = [Near(0, path, ZIP) for path in there]
    published = dict.fromkeys(rewrite(path, prefixes) for path in raw)
    missing = [path for path in published if path not in set(there)]
    return [(path, one) for path in missing if (one := nearest(path, members))]


def pasted(text: str) -> Pairs:
    """The pairs after the last ``--rewrite`` of a text, as the command takes them."""
    given = shlex.split(text.rpartition("--rewrite ")[2])
    pairs = tuple(values.prefix(one) for one in given)
    return (*pairs, *(pair for pair in DEFAULT_REWRITE if pair not in pairs))


CASES = [
    pytest.param(["g/1.jpg", "g/a/2.jpg"], ["d/g/1.jpg", "d/g/a/2.jpg"], "", id="down"),
    pytest.param(["x/g/1.jpg", "x/g/2.jpg"], ["g/1.jpg", "g/2.jpg"], "", id="up"),
    pytest.param(["g/1.jpg", "g/2.jpg"], ["1.jpg", "2.jpg"], "", id="no folder"),
    pytest.param(["1.jpg", "2.jpg"], ["g/1.jpg", "g/2.jpg"], "", id="into a folder"),
    pytest.param(["a/1.jpg", "b/1.jpg"], ["d/a/1.jpg", "d/b/1.jpg"], "", id="two folders"),
    pytest.param(["o/1.jpg", "o/2.jpg"], ["o/1.png", "o/2.png"], "", id="suffix"),
    pytest.param(["1.jpg", "2.jpg"], ["1.png", "2.png"], "", id="suffix without a folder"),
    pytest.param(["o/1.jpg", "o/2.png"], ["o/1.png", "o/2.jpg"], "", id="two suffixes"),
    pytest.param(["o/1", "o/2"], ["o/1.png", "o/2.png"], "", id="no suffix"),
    pytest.param(["o/1.JPG"], ["o/1.jpg"], "", id="case of the suffix"),
    pytest.param(["C/1.jpg", "C/2.jpg"], ["c/1.jpg", "c/2.jpg"], "", id="case of a folder"),
    pytest.param(["c/A.jpg"], ["c/a.jpg"], "", id="case of a name"),
    pytest.param(["c/\u00e9.jpg"], ["c/e\u0301.jpg"], "", id="Unicode form"),
    pytest.param(["g/1.jpg", "g/2.jpg"], ["d/g/1.png", "d/g/2.png"], "", id="folder and suffix"),
    pytest.param(["a b/1's.jpg"], ["d/a b/1's.jpg"], "", id="quoted"),
    pytest.param(["data/open_llava_next/c/1.jpg"], ["c/1.jpg"], "", id="rewritten by default"),
    pytest.param(
        ["data/open_llava_next/c/1.jpg", "data/open_llava_next/g/1.jpg"],
        ["c/1.jpg", "g/1.jpg"],
        "",
        id="two folders rewritten by default",
    ),
    pytest.param(["a/c/1.jpg", "a/2.jpg"], ["c/1.jpg", "y/2.jpg"], "a/=y/", id="before the user's"),
    pytest.param(
        ["a/c/1.jpg", "a/d/2.jpg"], ["y/1.jpg", "d/2.jpg"], "a/c/=y/", id="after the user's"
    ),
    pytest.param(["a/1.jpg"], ["z/y/1.jpg"], "a/=y/", id="instead of the user's"),
    pytest.param(["a/1.png"], ["y/1.jpg"], "a/*.png=y/*.gif", id="instead of the user's suffix"),
    pytest.param(
        ["data/1.jpg", "data/2.jpg", "data/open_llava_next/3.jpg"],
        ["1.jpg", "2.jpg", "tongagent/3.jpg"],
        "",
        id="after the default",
    ),
]


@pytest.mark.parametrize(("asked", "there", "given"), CASES)
def test_what_is_proposed_works(asked: list[str], there: list[str], given: str) -> None:
    prefixes: Pairs = (*([values.prefix(given)] if given else []), *DEFAULT_REWRITE)
    missing = named(asked, there, prefixes)
    assert missing
    # Of all groups together.
    pairs = [pair for one in merge(group(missing)) for pair in pairs_of(one, prefixes)]
    now = pasted(option(pairs, prefixes))
    assert {rewrite(path, now) for path in asked} <= set(there)
    for path, near in missing:
        own = pasted(detail(path, near, prefixes))
        assert [raw for raw in raws(path, prefixes) if rewrite(raw, own) == near.path]


PART = st.sampled_from(["a", "b", "data", "open_llava_next", "tongagent"])
NAME = st.builds("{}.{}".format, st.integers(0, 3), st.sampled_from(["jpg", "png", "JPG"]))
PATH = st.builds(lambda folders, name: "/".join([*folders, name]), st.lists(PART, max_size=3), NAME)
PREFIX = st.sampled_from(["a/", "a/b/", "data/", "", "b/"])
PAIRS = st.lists(st.tuples(PREFIX, PREFIX).filter(lambda pair: pair[0] != pair[1]), max_size=2)


@settings(max_examples=examples(500))
@given(PATH, PATH, PAIRS)
def test_any_option_that_is_proposed_works(
    raw: str, there: str, own: list[tuple[str, str]]
) -> None:
    prefixes: Pairs = (*own, *DEFAULT_REWRITE)
    for path, near in named([raw], [there], prefixes):
        text = detail(path, near, prefixes)
        (one,) = group([(path, near)])
        if "--rewrite" in text:
            assert raw in raws(path, prefixes)
            assert rewrite(raw, pasted(text)) == there
            assert rewrite(raw, pasted(line(one, prefixes))) == there


@given(st.lists(st.tuples(PATH, PATH), max_size=30), st.integers(1, 5), st.randoms())
def test_groups_do_not_depend_on_order_or_batches(
    pairs: list[tuple[str, str]], batches: int, random: random.Random
) -> None:
    found: dict[str, Near | None] = {
        path: nearest(path, [Near(0, other, ZIP)]) for path, other in pairs
    }
    once = merge(group(found.items()))
    shuffled = list(found.items())
    random.shuffle(shuffled)
    cut = [shuffled[at::batches] for at in range(batches)]
    assert merge(one for batch in cut for one in group(batch)) == once
    assert sum(one.count for one in once) == len(found)
    for one in once:
        assert one.path.startswith(one.below)


def test_many_folders_are_one_group() -> None:
    many = [f"e{number}/1.jpg" for number in range(MOST_FOLDERS + 1)]
    few = many[:-1]
    for paths, groups, below in ((few, len(few), "e0/"), (many, 1, "")):
        found = merge(group((path, Near(0, f"d/{path}", ZIP)) for path in paths))
        assert len(found) == groups
        assert found[0].below == below
    assert line(found[0], DEFAULT_REWRITE) == (
        "21 images in no folder in common: files.zip has them below d/: "
        "--rewrite data/open_llava_next/=tongagent/ =d/"
    )


def said(*found: tuple[str, Near | None], lost: int = 0) -> str:
    (one,) = merge(group(found))
    return line(one, DEFAULT_REWRITE, lost)


def test_sentences() -> None:
    moved = [(f"gqa/{number}.jpg", Near(0, f"data/gqa/{number}.jpg", ZIP)) for number in (1, 2)]
    rule = "--rewrite gqa/=data/gqa/"
    assert said(*moved) == f"2 images below gqa/: files.zip has them below data/gqa/: {rule}"
    assert said(moved[0]) == f"1 image, gqa/1.jpg: files.zip has it as data/gqa/1.jpg: {rule}"
    assert said(*moved, lost=3).startswith(
        f"2 images below gqa/: files.zip has them below data/gqa/: {rule}; but 3 images that"
    )
    other = ("gqa/3.jpg", Near(1, "data/gqa/3.jpg", "/in/more.zip"))
    assert "the image sources have them below" in said(*moved, other)
    assert said(("a/1.jpg", None), ("a/2.jpg", None)) == (
        "2 images below a/: no image source has anything like them, for example a/1.jpg"
    )
    inside = [(f"a/{n}.jpg", Near(0, f"a/{n}.jpg", "/in/all/a.zip", inside=True)) for n in (1, 2)]
    assert said(*inside) == (
        "2 images below a/: a.zip, which is in a folder of --images, has them: "
        "add /in/all/a.zip to --images"
    )
    several = [(f"{n}.jpg", Near(0, f"a/{n}.jpg", ZIP, is_one_of=True)) for n in (1, 2)]
    assert said(*several) == (
        "2 images in no folder in common: files.zip has members like them, for example a/1.jpg "
        "for 1.jpg: other members are as near, so correct the path in the record"
    )
    spelled = [(f"a/A{n}.jpg", Near(0, f"a/a{n}.jpg", ZIP)) for n in (1, 2)]
    assert said(*spelled) == (
        "2 images below a/: files.zip has members like them, for example a/a1.jpg for a/A1.jpg: "
        "spell the paths in the records as the members, or rename these"
    )


def test_a_path_that_cannot_be_typed_gets_no_option() -> None:
    text = detail("a=b/1.jpg", Near(0, "d/a=b/1.jpg", ZIP), ())
    assert "--rewrite" not in text
    assert text.endswith("spell the paths in the records as the members, or rename these")


def test_no_member_gives_the_plain_detail() -> None:
    assert detail("a.jpg") == detail("a.jpg", None, DEFAULT_REWRITE)
    assert detail("a.jpg") == "'a.jpg' is in none of the image sources"
    assert isinstance(group([("a.jpg", None)])[0], Group)
