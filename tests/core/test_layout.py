"""Names below the output folder, and the side of a record."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from beam_mat.core import layout
from beam_mat.core.geometry import Budget
from beam_mat.core.settings import Settings
from tests.properties import examples


def test_each_format_and_split_has_a_flat_folder_of_its_own() -> None:
    parts = [
        layout.part(format, split, "n")
        for format in ("jsonl", "parquet")
        for split in ("train", "val")
    ]
    assert [part.rsplit("/", 1)[0] for part in parts] == list(layout.PART_FOLDERS)
    assert len(set(layout.PART_FOLDERS)) == 4
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
        Settings(output="/a", resizer="x 1", budget=Budget(1)),
        Settings(output="/a", resizer="x 1", apply_exif=True),
        Settings(output="/a", resizer="x 1", prefixes=(("a", "b"),)),
        Settings(output="/a", resizer="x 1", formats=("jsonl",)),
        Settings(output="/a", resizer="x 1", val_fraction=0.5),
        Settings(output="/a", resizer="x 1", drop_duplicates=True),
    )
    assert len({settings.digest() for settings in (one, *changes)}) == 1 + len(changes)
    assert len({settings.image_digest() for settings in (one, *changes)}) == 4
    same = Settings(output="/b", resizer="x 1", image_threads=8, progress="localhost:1")
    assert same.digest() == one.digest()
