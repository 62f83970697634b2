"""Names below the output folder, and the side of a record.

Image paths: rewritten, refused where unsafe, and turned into names that are safe everywhere.
"""

from __future__ import annotations

import fnmatch
import hashlib
import os
import re
import unicodedata
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from fsspec.core import url_to_fs
from hypothesis import example, given, settings
from hypothesis import strategies as st

from beam_mat.core import layout
from beam_mat.core.geometry import Budget
from beam_mat.core.image import ImageRules
from beam_mat.core.layout import (
    COMPONENT_BYTES,
    FOLDERS_BYTES,
    HASH_DIGITS,
    SUFFIXES,
    image_file,
    rewrite,
    unsafe,
)
from beam_mat.core.limits import MAX_PATH_BYTES
from beam_mat.core.settings import Settings
from tests.properties import examples


def test_each_format_and_split_has_a_flat_folder_of_its_own() -> None:
    parts = [
        layout.part(format, subset, split, "n")
        for format in ("jsonl", "parquet")
        for subset in layout.SUBSETS
        for split in ("train", "val")
    ]
    assert [part.rsplit("/", 1)[0] for part in parts] == list(layout.PART_FOLDERS)
    assert len(set(layout.PART_FOLDERS)) == 48
    assert all(part.endswith((".jsonl", ".parquet")) and part.count("/") == 1 for part in parts)


def test_work_files_lie_outside_the_flat_folders() -> None:
    work = [layout.SCRATCH, layout.SPLITS, layout.REQUESTS, layout.OUTPUTS, layout.IMAGE_RESULTS]
    work += [layout.SUMMARIES, layout.TEXT_ONLY, layout.MIXES, layout.WATCH, layout.PENDING]
    work += [layout.LEASE, layout.SUBMITTED, layout.VERIFIED]
    assert len(set(work)) == len(work)
    assert all(folder.startswith(f"{layout.WORK}/") for folder in work)


@settings(max_examples=examples(200))
@given(st.text(min_size=1), st.floats(0, 1), st.floats(0, 1))
def test_a_record_changes_sides_only_when_the_share_grows_past_it(
    id: str, one: float, two: float
) -> None:
    sides = [layout.split_of(id, share) for share in sorted((one, two))]
    assert sides != ["val", "train"]
    assert layout.split_of(id, 0.0) == "train"
    assert layout.split_of(id, 1.0) == "val"


def test_the_share_of_the_validation_set_is_about_what_was_asked_for() -> None:
    val = sum(layout.split_of(f"id-{at}", 0.1) == "val" for at in range(10_000))
    assert 850 < val < 1150


def test_names_differ_where_bytes_can() -> None:
    one = Settings(output="/a", resizer="x 1")
    changes = (
        Settings(output="/a", resizer="x 2"),
        Settings(output="/a", resizer="x 1", images=ImageRules(Budget(1))),
        Settings(output="/a", resizer="x 1", images=ImageRules(apply_exif=True)),
        Settings(output="/a", resizer="x 1", prefixes=(("a", "b"),)),
        Settings(output="/a", resizer="x 1", formats=("jsonl",)),
        Settings(output="/a", resizer="x 1", val_fraction=0.5),
        Settings(output="/a", resizer="x 1", drop_duplicates=True),
    )
    assert len({settings.digest() for settings in (one, *changes)}) == 1 + len(changes)
    assert len({settings.image_digest() for settings in (one, *changes)}) == 4
    same = Settings(output="/b", resizer="x 1", image_workers=8, progress="localhost:1")
    assert same.digest() == one.digest()


PARTS = st.lists(
    st.sampled_from(
        ["a", "..", ".", "", "C:", "~", "b c", "é", "x::y", "\\", "\n", "\0", "*", "%2e"]
    )
    | st.text(max_size=5),
    max_size=5,
).map("/".join)


@settings(max_examples=examples(500))
@given(PARTS)
def test_a_safe_path_stays_below_the_folder_and_names_one_place(path: str) -> None:
    if unsafe(path):
        return
    assert os.path.normpath(f"/out/{path}") == f"/out/{path}"
    assert url_to_fs(f"/out/{path}")[1] == f"/out/{path}"
    assert url_to_fs(f"memory://out/{path}")[1] == f"/out/{path}"
    path.encode()


@settings(max_examples=examples(500))
@given(PARTS)
@example("é" * 4095)
@example("/".join(["𝄞" * 200] * 6))
def test_the_pattern_finds_every_unsafe_path(path: str) -> None:
    try:
        column = pa.array([path])
    except UnicodeEncodeError:
        return  # Arrow has no unpaired surrogates
    found = pc.match_substring_regex(column, layout.MAYBE_UNSAFE)[0].as_py()
    assert found == bool(re.search(layout.MAYBE_UNSAFE, path))
    assert found or not unsafe(path)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("", "empty"),
        ("/etc/passwd", "leading /"),
        ("a//b", "''"),
        ("a/", "''"),
        ("./a", "'.'"),
        ("a/../b", "'..'"),
        ("..", "'..'"),
        ("a\\b", "backslash"),
        ("C:/a", "drive"),
        ("gs://bucket/a", "scheme"),
        ("a/b::c", "chain"),
        ("a\0b", "control"),
        ("a\nb", "control"),
        ("a\x7fb", "control"),
        ("a/\ud800", "surrogate"),
        ("/".join(["é" * 100] * 21), "4096 bytes"),
    ],
)
def test_what_is_unsafe_says_why(path: str, words: str) -> None:
    found = unsafe(path)
    assert found is not None
    assert words in found
    assert len(found) < 400
    found.encode()


@pytest.mark.parametrize(
    "path", ["a", "tongagent/coco/1.jpg", "a b/ü.png", "..a/b..", "a/b:c", "~/a"]
)
def test_what_is_safe(path: str) -> None:
    assert unsafe(path) is None


def test_the_longest_path_that_is_allowed() -> None:
    names = ["a" * 1000] * 3 + ["b" * (MAX_PATH_BYTES - 3 * 1001)]
    assert unsafe("/".join(names)) is None
    assert unsafe("/".join(names) + "b")


def test_a_long_component_is_allowed() -> None:
    assert unsafe("é" * 2000) is None, "the name of its file is shortened: core.layout"


def test_the_first_prefix_that_fits_is_replaced_once() -> None:
    prefixes = (("data/", "x/"), ("data/data/", "y/"), ("x/", "z/"))
    assert rewrite("data/data/1.jpg", prefixes) == "x/data/1.jpg"
    assert rewrite("other/data/1.jpg", prefixes) == "other/data/1.jpg"
    assert rewrite("a", ()) == "a"


few = settings(max_examples=examples(80))

_LETTERS = "aA.-_ ?#%*[]{}<>|\"'~$&;!`^@+=,()éÉ图\u0301\u200d\ufe0f\u2028\U0001f600\x85"
"""Of every kind, among them all that mean something to a store, a shell or a file system."""

_SHORT = st.text(_LETTERS, min_size=1, max_size=6) | st.text(min_size=1, max_size=6)
_COMPONENTS = st.one_of(
    _SHORT,
    st.builds(lambda text, times: text * times, _SHORT, st.sampled_from([50, 300])),
    st.sampled_from(["a.png", "a", "...", ". .", "x.", "y ", ".hidden", "b.3f9a1c2b77aa00ff.JPG"]),
)
PATHS = st.builds(
    lambda some, times: "/".join(some * times),
    st.lists(_COMPONENTS, min_size=1, max_size=4),
    st.sampled_from([1, 1, 1, 30]),
).filter(lambda path: unsafe(path) is None)
CONTENTS = st.binary(max_size=4)
FORMATS = st.sampled_from(sorted(SUFFIXES))


def named(path: str, content: bytes, format: str = "PNG") -> str:
    return image_file(path, hashlib.sha256(content).hexdigest(), format)


@few
@given(PATHS, CONTENTS, FORMATS)
@example("/".join(["é" * 60] * 30), b"", "PNG")
@example("x" * MAX_PATH_BYTES, b"", "JPEG")
@example("a./b /c.png", b"", "PNG")
def test_a_name_is_safe(path: str, content: bytes, format: str) -> None:
    name = named(path, content, format)
    first, *components = name.split("/")
    assert (first, bool(components)) == ("images", True)
    assert len(name.encode()) <= 1024
    assert unsafe(name) is None
    for one in components:
        assert 0 < len(one.encode()) <= 255
        assert one not in (".", "..")
        assert not set(one) & set("?#%*[]{}\\:<>|\"'~$&;!`^")
        assert not any(unicodedata.category(letter)[0] in "CZ" for letter in one if letter != " ")
        assert one[-1] not in ". "
    assert components[-1].endswith(f".{SUFFIXES[format]}")


@few
@given(PATHS, CONTENTS, FORMATS)
def test_a_name_is_a_function_of_path_bytes_and_format(
    path: str, content: bytes, format: str
) -> None:
    assert named(path, content, format) == named(path, bytes(content), format)


@few
@given(PATHS, CONTENTS, CONTENTS)
def test_other_bytes_have_another_name(path: str, one: bytes, two: bytes) -> None:
    assert (named(path, one) == named(path, two)) == (one == two)


@few
@given(st.tuples(PATHS, CONTENTS), st.tuples(PATHS, CONTENTS))
@example(("a?.png", b"1"), ("a*.png", b"1"))
@example(("a?.png", b"1"), ("a*.png", b"2"))
@example(("x" * 130 + "1.png", b"1"), ("x" * 130 + "2.png", b"2"))
@example(("a.jpg", b"1"), ("a.gif", b"2"))
def test_images_with_the_same_name_have_the_same_bytes(
    one: tuple[str, bytes], two: tuple[str, bytes]
) -> None:
    if named(*one) == named(*two):
        assert one[1] == two[1]
    # Nor do names differ in nothing but case or Unicode form where the bytes differ.
    if _folded(named(*one)) == _folded(named(*two)):
        assert one[1] == two[1]


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


@few
@given(PATHS, PATHS, CONTENTS, FORMATS)
@example("a.png", "a.png/b.png", b"", "PNG")
@example("b.jpg", f"b.{hashlib.sha256(b'').hexdigest()[:16]}.jpg/c.png", b"", "JPEG")
@example("b.jpg", f"b.{hashlib.sha256(b'').hexdigest()[:16].upper()}.JPG/c.png", b"", "JPEG")
def test_a_folder_never_has_the_name_of_a_file(
    path: str, other: str, content: bytes, format: str
) -> None:
    file = _folded(named(path, content, format))
    name = _folded(named(other, content, format))
    assert not name.startswith(f"{file}/")
    for folder in named(other, content, format).split("/")[:-1]:
        assert not re.search(rf"\.[0-9a-f]{{{HASH_DIGITS}}}\.(jpg|png)$", folder, re.IGNORECASE)


def test_a_name_stays_readable() -> None:
    name = named("tongagent/coco/train2017/000000000009.jpeg", b"", "JPEG")
    assert name == "images/tongagent/coco/train2017/000000000009.e3b0c44298fc1c14.jpg"
    assert named("图片/é a.png", b"") == "images/图片/é a.e3b0c44298fc1c14.png"
    assert named("no_suffix", b"") == "images/no_suffix.e3b0c44298fc1c14.png"
    assert named(".png", b"") == "images/.png.e3b0c44298fc1c14.png"


def test_long_names_are_cut_between_characters() -> None:
    *_, stem = named("é" * 200 + ".png", b"").split("/")
    assert stem == "é" * (COMPONENT_BYTES // 2) + ".e3b0c44298fc1c14.png"


def test_deep_folders_become_one_that_differs_for_each() -> None:
    deep = ["/".join(["x" * 100] * 7 + [last, "a.png"]) for last in "yz"]
    names = [named(path, b"") for path in deep]
    assert len(set(names)) == 2
    assert all(len(name.encode()) < FOLDERS_BYTES and name.count("/") == 3 for name in names)


@pytest.mark.parametrize(
    "paths",
    [
        pytest.param(["a.png", "a.png/b.png", "a.png/b.png/c.png"], id="a prefix of another"),
        pytest.param(["Cat.png", "cat.png", "CAT.PNG", "Dir/a.png", "dir/a.png"], id="case"),
        pytest.param(["\u00e9.png", "e\u0301.png", "\u212b/a.png", "\u00c5/a.png"], id="form"),
        pytest.param(["x" * 500 + end for end in ("1.png", "2.png")], id="long"),
        pytest.param(["a./b.png", "a/b.png", "a /b.png"], id="ends of folders"),
    ],
)
def test_paths_that_would_collide_are_all_on_disk(tmp_path: Path, paths: list[str]) -> None:
    contents = {path: path.encode() for path in paths}
    for path, data in contents.items():
        file = tmp_path / named(path, data)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    for path, data in contents.items():
        assert (tmp_path / named(path, data)).read_bytes() == data
    # The same bytes under all paths may share files, and are whole under each.
    for path in paths:
        file = tmp_path / named(path, b"same")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"same")
    assert all((tmp_path / named(path, b"same")).read_bytes() == b"same" for path in paths)


SPLIT_WORDS = (
    *("train", "training", "validation", "valid", "dev", "val"),
    *("test", "testing", "eval", "evaluation"),
)
"""``datasets.data_files.SPLIT_KEYWORDS``."""
shard_names = st.lists(
    st.sampled_from([*SPLIT_WORDS, "TRAIN", "Val", "set", "of", "mat", "00000", "1", *"-_. 图\n"])
    | st.text(max_size=3),
    max_size=20,
).map("".join)


def matches(path: str) -> list[str]:
    """The patterns of ``datasets`` that match a name, for all splits."""
    name = path.split("/")[1]
    between = "[-._ 0-9]"
    patterns = [f"{word}{between}*" for word in SPLIT_WORDS]
    patterns += [f"*{between}{word}{between}*" for word in SPLIT_WORDS]
    return [pattern for pattern in patterns if fnmatch.fnmatchcase(name.lower(), pattern)]


@given(shard_names, st.sampled_from(["train", "val"]))
@example("mat_train", "train")
@example("val-coco1train2017.train", "val")
@example("a" * 37 + "_valid", "train")
def test_a_part_is_found_once_whatever_its_shard_is_called(name: str, split: str) -> None:
    stem = f"{layout.shard_name(name)}-0a1b2c3d4e"
    for more in ("-00000000000006-50a76270c1b55e29", "-text", "-ab12-0000"):
        assert matches(layout.part("jsonl", "", split, stem + more)) == [f"{split}[-._ 0-9]*"]
        assert matches(f"{layout.REJECTS}/{stem}{more}.jsonl") == []
    # Other readers skip some names, and split names at hyphens.
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_]*", layout.shard_name(name))
