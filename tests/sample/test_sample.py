"""The sample: its shapes, its pictures and its faults. It is the same each time it is made."""

from __future__ import annotations

import filecmp
import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
import tarfile
import warnings
import zipfile
import zlib
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, UnidentifiedImageError

from beam_mat.core.limits import (
    MAX_COMPRESSION_RATIO,
    MAX_IMAGE_PIXELS,
    MAX_RECORD_BYTES,
    RATIO_FREE_BYTES,
)
from beam_mat.core.reject import Reason
from beam_mat.sample import SampleSummary, write_sample
from beam_mat.sample.data import BLOCK, FAULTY_RECORDS, ORIGINALS, PATHS, picture

BUDGET = 262_144
CHECKOUT = Path(__file__).parents[2]
PICTURES = CHECKOUT / "beam_mat/sample/pictures"


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> SampleSummary:
    return write_sample(tmp_path_factory.mktemp("sample") / "set")


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> SampleSummary:
    return write_sample(tmp_path_factory.mktemp("faulty") / "set", faults=True)


def load(summary: SampleSummary) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for shard in summary.shards:
        found += json.loads(shard.read_text(encoding="utf-8"))
    return found


def paths_of(record: dict[str, Any]) -> dict[str, str]:
    """Placeholder -> path, whatever the field looks like."""
    field = record.get("image") or {}
    if isinstance(field, str):
        field = json.loads(field) if field.startswith("{") else {"<image>": field}
    return dict(field)


def member(path: str) -> str:
    return path.replace("data/open_llava_next/", "tongagent/", 1)


def first_question(record: dict[str, Any]) -> str:
    return str(next(t["content"] for t in record["conversations"] if t["role"] == "user"))


def answers(record: dict[str, Any]) -> str:
    return "\n".join(t["content"] for t in record["conversations"] if t["role"] == "assistant")


@pytest.mark.parametrize("faults", [False, True])
def test_the_same_arguments_give_the_same_bytes(tmp_path: Path, faults: bool) -> None:
    one = write_sample(tmp_path / "one", images=12, shards=2, seed=5, faults=faults)
    two = write_sample(tmp_path / "two", images=12, shards=2, seed=5, faults=faults)
    names = [path.name for path in (*one.shards, one.image_zip)]
    assert names == [path.name for path in (*two.shards, two.image_zip)]
    assert sorted(names) == sorted(path.name for path in (tmp_path / "one").iterdir())
    same, *_ = filecmp.cmpfiles(tmp_path / "one", tmp_path / "two", names, shallow=False)
    assert same == names


def test_the_bytes_are_the_same_on_every_machine(tmp_path: Path) -> None:
    made = write_sample(tmp_path / "set", records=80, images=60, shards=2, seed=7)
    written = b"".join(path.read_bytes() for path in (*made.shards, made.image_zip))
    # Whoever changes the sample on purpose changes this too.
    assert (
        hashlib.sha256(written).hexdigest()
        == "ab5356bb3a61111577911ccc84ed13845793daecbfbeb507fd19fe7b026c485d"
    )


def test_another_seed_gives_another_set(tmp_path: Path) -> None:
    one = write_sample(tmp_path / "one", images=6, seed=1)
    two = write_sample(tmp_path / "two", images=6, seed=2)
    assert one.shards[0].read_bytes() != two.shards[0].read_bytes()
    assert one.image_zip.read_bytes() != two.image_zip.read_bytes()


def test_every_shape_of_a_record_occurs_in_the_default_forty(sample: SampleSummary) -> None:
    records = load(sample)
    assert sample.records == len(records) == 40
    assert sample.rejected == {}
    fields = [record.get("image", "no key") for record in records]
    objects = [json.loads(f) for f in fields if isinstance(f, str) and f.startswith("{")]
    full = [value for value in objects if value]
    assert sum(not paths_of(record) for record in records if "image" in record) >= 16
    assert fields.count("{}") >= 14
    assert None in fields
    assert "no key" in fields
    assert sum(str(field).startswith("data/") for field in fields) >= 6
    assert any(isinstance(field, dict) for field in fields)
    assert full
    assert all(list(value) == sorted(value, reverse=True) for value in full)
    assert any(sorted(value)[:2] == ["<image_00>", "<image_02>"] for value in full)
    assert {len(value) for value in full} == {2, 3}
    assert any("system-prompt" in record for record in records)
    assert any(first_question(record).count("<image_00>") == 2 for record in records)
    assert any("<image>" in answers(record) for record in records)
    assert any("<image_00>" in answers(record) for record in records)


def test_every_record_is_one_that_a_converter_accepts(sample: SampleSummary) -> None:
    with zipfile.ZipFile(sample.image_zip) as archive:
        members = set(archive.namelist())
    for record in load(sample):
        turns = list(record["conversations"])
        if "system-prompt" in record:
            turns.insert(0, {"role": "system", "content": record["system-prompt"]})
        roles = [turn["role"] for turn in turns]
        assert roles == ["system", *["user", "assistant"] * (len(roles) // 2)]
        assert 2 <= roles.count("assistant") <= 4
        assert all(turn["content"].strip() for turn in turns)
        assert re.fullmatch(r"[\w-]{8}", record["id"], re.ASCII)
        asked = "\n".join(turn["content"] for turn in turns if turn["role"] == "user")
        paths = paths_of(record)
        assert set(re.findall(r"<image(?:_\d\d)?>", asked)) == set(paths)
        assert {member(path) for path in paths.values()} <= members


def test_answers_follow_from_what_the_tools_printed(sample: SampleSummary) -> None:
    for record in load(sample):
        last = record["conversations"][-1]["content"]
        assert f"final_answer({json.dumps(record['answer'], ensure_ascii=False)})" in last


def test_code_between_looking_and_answering_prints_what_it_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = 0
    for record in load(write_sample(tmp_path / "set", records=200, images=0, seed=3)):
        turns, variables = record["conversations"], dict[str, object]()
        for turn, after in pairwise(turns):
            code = re.search(r"```py\n(.*)\n```", turn["content"], re.DOTALL)
            if turn["role"] == "assistant" and code and "search(" not in code[1]:
                exec(code[1], variables)
                assert after["content"].endswith(f"Observation:\n{capsys.readouterr().out}")
                ran += 1
    assert ran > 50


def test_ids_repeat_up_to_five_times_with_the_same_record(sample: SampleSummary) -> None:
    records = load(sample)
    times = Counter(record["id"] for record in records)
    assert max(times.values()) == 5
    assert sample.duplicates == len(records) - len(times) > 0
    assert len({json.dumps(record) for record in records}) == len(times)


def test_an_image_is_used_by_different_records(sample: SampleSummary) -> None:
    users: dict[str, set[str]] = {}
    for record in load(sample):
        for path in paths_of(record).values():
            users.setdefault(path, set()).add(record["id"])
    assert any(len(ids) > 1 for ids in users.values())
    assert len(users) == 30


def test_every_picture_decodes_in_the_size_and_format_of_its_source(sample: SampleSummary) -> None:
    seen: set[tuple[str | None, str]] = set()
    pixels: list[int] = []
    folders: set[str] = set()
    with zipfile.ZipFile(sample.image_zip) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert names == sorted(set(names))
        for info in archive.infolist():
            assert info.compress_type == zipfile.ZIP_DEFLATED
            assert info.date_time == (2024, 12, 10, 0, 0, 0)
            with Image.open(io.BytesIO(archive.read(info))) as image:
                image.load()
                seen.add((image.format, image.mode))
                pixels.append(image.width * image.height)
            folders.add(info.filename.split("/")[1])
    assert len(names) == 30
    assert seen >= {("JPEG", "RGB"), ("JPEG", "L"), ("PNG", "RGB"), ("PNG", "P"), ("PNG", "RGBA")}
    assert min(pixels) < BUDGET < max(pixels)
    assert folders == {
        *("coco", "llava", "sam", "chartqa", "share_textvqa", "web-landmark"),
    }


def test_a_picture_that_is_used_again_has_other_bytes_and_the_same_pixels() -> None:
    count = len(ORIGINALS)
    bodies: set[bytes] = set()
    for index in range(3 * count):
        made = picture(0, index)
        bodies.add(made.encoded())
        with Image.open(io.BytesIO(made.encoded())) as one:
            with Image.open(PICTURES / made.original.file) as other:
                assert one.format == other.format
                assert one.mode == other.mode
                assert one.tobytes() == other.tobytes()
            assert made.note in str(one.info)
    assert len(bodies) == 3 * count


def test_the_table_of_pictures_describes_every_file() -> None:
    described = [one.file for one in ORIGINALS]
    assert {*described, "pictures.json"} == {path.name for path in PICTURES.iterdir()}
    assert len(described) == len(set(described)) >= 24
    assert {one.source for one in ORIGINALS} == set(PATHS)
    assert {one.subject for one in ORIGINALS} == {
        *("landscape", "portrait", "skyline", "still life", "landmark", "chart", "menu"),
        "road sign",
    }
    for one in ORIGINALS:
        assert one.tasks, one.file
        assert Path(PATHS[one.source]).suffix == Path(one.file).suffix


def test_the_code_of_every_task_about_a_picture_prints_its_output(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ran = 0
    for one in ORIGINALS:
        for task in one.tasks:
            variables: dict[str, object] = {}
            for working in task.workings:
                exec(working.code, variables)
                assert capsys.readouterr().out == f"{working.output}\n", one.file
                ran += 1
    assert ran > 30


def test_numbers_and_names_in_answers_come_from_the_picture_or_a_working() -> None:
    numbers = "no one two three four five six seven eight nine ten".split()
    for one in ORIGINALS:
        for task in one.tasks:
            known = " ".join([one.seen, one.caption, *(step.output for step in task.workings)])
            words = {*re.findall(r"[\w.]+", known.lower().replace(",", " "))}
            words |= {str(numbers.index(word)) for word in words if word in numbers}
            words |= {f"{float(word):.2f}" for word in words if re.fullmatch(r"\d+\.\d", word)}
            words |= {word.rstrip(".") for word in words}
            answer = re.sub(
                r"thousand|million|minutes|about|is the highest", "", task.answer.lower()
            )
            for word in re.findall(r"[\w.]+", answer):
                assert word.rstrip(".") in words | {""}, (one.file, task)


def test_the_pictures_are_at_most_a_megabyte_and_a_half() -> None:
    assert sum(path.stat().st_size for path in PICTURES.iterdir()) <= 1_500_000


def test_wheel_and_source_distribution_contain_every_data_file(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(CHECKOUT / name, project)
    shutil.copytree(
        CHECKOUT / "beam_mat", project / "beam_mat", ignore=shutil.ignore_patterns("__pycache__")
    )
    build = "from setuptools import build_meta as b; b.build_sdist('dist'); b.build_wheel('dist')"
    subprocess.run([sys.executable, "-c", build], cwd=project, check=True, capture_output=True)
    expected = {
        path.relative_to(CHECKOUT).as_posix()
        for path in (CHECKOUT / "beam_mat").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {path.suffix for path in map(Path, expected)} >= {".png", ".json", ".txt", ".css"}
    (wheel,) = (project / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert expected <= set(archive.namelist())
    (source,) = (project / "dist").glob("*.tar.gz")
    with tarfile.open(source) as packed:
        assert expected <= {name.split("/", 1)[1] for name in packed.getnames() if "/" in name}


def test_shards_share_the_records(tmp_path: Path) -> None:
    whole = write_sample(tmp_path / "whole", images=3)
    split = write_sample(tmp_path / "split", images=3, shards=3)
    assert [path.name for path in split.shards] == [f"mat_train-0000{n}.json" for n in range(3)]
    assert [len(json.loads(path.read_text("utf-8"))) for path in split.shards] == [13, 13, 14]
    assert load(split) == load(whole)
    assert split.image_zip.read_bytes() == whole.image_zip.read_bytes()


@pytest.mark.parametrize(("records", "images"), [(0, 0), (0, 2), (1, 0), (45, 0), (45, 1), (45, 2)])
def test_small_sets_are_sound_too(tmp_path: Path, records: int, images: int) -> None:
    summary = write_sample(tmp_path / "set", records=records, images=images)
    found = load(summary)
    assert len(found) == summary.records == records
    with zipfile.ZipFile(summary.image_zip) as archive:
        assert len(archive.namelist()) == images
        members = set(archive.namelist())
    for record in found:
        assert {member(path) for path in paths_of(record).values()} <= members


def test_a_large_set_repeats_neither_ids_nor_names(tmp_path: Path) -> None:
    summary = write_sample(tmp_path / "set", records=2000, images=0)
    ids = [record["id"] for record in load(summary)]
    assert len(set(ids)) == len(ids) - summary.duplicates


def test_a_folder_that_is_not_empty_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kept.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=re.escape(f"{tmp_path} is not empty")):
        write_sample(tmp_path)
    with pytest.raises(FileExistsError, match="is a file"):
        write_sample(tmp_path / "kept.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"]


@pytest.mark.parametrize("wrong", [{"records": -1}, {"images": -1}, {"shards": 0}])
def test_numbers_out_of_range_are_refused(tmp_path: Path, wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"it must be"):
        write_sample(tmp_path / "set", **wrong)  # type: ignore[arg-type]
    assert not (tmp_path / "set").exists()


NOT_MADE = {
    *(Reason.IMAGE_CRASHES_DECODER, Reason.IMAGE_TOO_SLOW),  # no file is known
    *(Reason.TOOLS_INVALID, Reason.PAIR_INVALID),  # MAT has neither tools nor pairs
}
MADE = set(Reason) - NOT_MADE


def test_the_table_of_faults_covers_every_reason() -> None:
    # --duplicates drop rejects the second of the two valid records.
    # A shard that breaks off is a file of its own.
    records = MADE - {Reason.SHARD_BREAKS_OFF}
    assert {fault.reason or Reason.DUPLICATE_ID for fault in FAULTY_RECORDS} == records
    assert [fault.reason for fault in FAULTY_RECORDS].count(None) == 2


def test_a_record_is_repeated_after_it_has_appeared_first() -> None:
    assert len(BLOCK) == 40
    for place, shape in enumerate(BLOCK):
        if shape.repeats is not None:
            assert shape.repeats < place
            assert BLOCK[shape.repeats].repeats is None
        assert len(shape.keys) == (len(shape.pictures) if len(shape.pictures) > 1 else 0)


def test_faults_cover_every_reason(faulty: SampleSummary, sample: SampleSummary) -> None:
    assert {*faulty.rejected, Reason.DUPLICATE_ID} == MADE
    assert all(count > 0 for count in faulty.rejected.values())
    assert faulty.duplicates == sample.duplicates + 1
    assert faulty.shards[-1].name == "mat_train-broken.json"


def elements(text: str) -> list[str]:
    """The elements of an array that was written with a record at each four-space indent."""
    return re.split(r",\n(?=    \S)", text.removeprefix("[\n").removesuffix("\n]"))


def test_faulty_records_are_counted_as_they_are_written(
    faulty: SampleSummary, sample: SampleSummary
) -> None:
    raw = elements(faulty.shards[0].read_bytes().decode("utf-8", "surrogateescape"))
    found: Counter[str] = Counter()
    sound = {json.dumps(record) for record in load(sample)}
    others = []
    for text in raw:
        try:
            text.encode()
            record = json.loads(text)
        except ValueError:
            found["malformed"] += 1
            continue
        if not isinstance(record, dict):
            found["not an object"] += 1
        elif len(text.encode()) > MAX_RECORD_BYTES:
            found["too large"] += 1
        elif json.dumps(record) not in sound:
            others.append(record)
    assert len(raw) + 3 == faulty.records
    assert found["malformed"] == faulty.rejected[Reason.MALFORMED_JSON]
    assert faulty.rejected[Reason.SHARD_BREAKS_OFF] == 1
    assert found["not an object"] == faulty.rejected[Reason.NOT_AN_OBJECT]
    assert found["too large"] == faulty.rejected[Reason.RECORD_TOO_LARGE]
    assert sum(not record.get("id") for record in others) == faulty.rejected[Reason.NO_ID]
    turns = sum(not record.get("conversations") for record in others)
    assert turns == faulty.rejected[Reason.NO_TURNS]
    rejected = sum(faulty.rejected.values())
    elsewhere = sum(found.values()) + 1
    assert len(others) - 2 == rejected - elsewhere  # a pair with one id is sound


def test_the_broken_shard_breaks_off_in_its_third_record(faulty: SampleSummary) -> None:
    text = faulty.shards[-1].read_text("utf-8")
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        json.loads(text)
    first, second, third = elements(text)
    assert json.loads(first)["id"] != json.loads(second)["id"]
    assert third.lstrip().startswith('{\n        "id"')


def test_faulty_members_fail_in_the_way_that_is_expected(
    faulty: SampleSummary, sample: SampleSummary
) -> None:
    with zipfile.ZipFile(sample.image_zip) as archive:
        sound = set(archive.namelist())
    found: Counter[Reason] = Counter()
    Image.init()
    with zipfile.ZipFile(faulty.image_zip) as archive:
        for info in archive.infolist():
            if info.filename not in sound:
                found[why(archive, info)] += 1
    expected = {reason: faulty.rejected[reason] for reason in found}
    expected[Reason.IMAGE_TRUNCATED] -= 1  # two records use this one
    assert dict(found) == expected
    assert set(found) == {
        *(Reason.IMAGE_UNDECODABLE, Reason.IMAGE_TRUNCATED, Reason.IMAGE_TOO_LARGE),
        *(Reason.MEMBER_UNSUPPORTED, Reason.MEMBER_DAMAGED),
    }


def why(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Reason:
    """What zipfile says of the member, or else Pillow."""
    if info.flag_bits & 1 or info.external_attr >> 28 == 0xA:
        return Reason.MEMBER_UNSUPPORTED
    ratio = info.file_size / info.compress_size
    if info.file_size > RATIO_FREE_BYTES and ratio > MAX_COMPRESSION_RATIO:
        return Reason.IMAGE_TOO_LARGE
    try:
        body = archive.read(info)
    except NotImplementedError:
        return Reason.MEMBER_UNSUPPORTED
    except (zipfile.BadZipFile, zlib.error):
        return Reason.MEMBER_DAMAGED
    return why_not(body)


def why_not(body: bytes) -> Reason:
    """What Pillow says of the file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            opened = Image.open(io.BytesIO(body))
        with opened as image:
            if image.width * image.height > MAX_IMAGE_PIXELS:
                return Reason.IMAGE_TOO_LARGE
            image.load()
    except UnidentifiedImageError:
        return Reason.IMAGE_UNDECODABLE
    except OSError:
        return Reason.IMAGE_TRUNCATED
    raise AssertionError("The picture is sound.")
