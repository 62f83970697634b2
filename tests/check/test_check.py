"""``beam-mat check`` as a command: what it finds where, what it prints, and how it ends."""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from beam_mat.check import pipeline
from beam_mat.core.contract.finding import Finding
from beam_mat.sample import SampleSummary
from beam_mat.storage import stores
from tests.build import picture
from tests.command import Ran, converted, run, spawn
from tests.making import write_zip
from tests.rows import (
    COLUMNS,
    IMAGE,
    TAGS,
    array,
    entry,
    inside,
    lines,
    parquet,
    seen,
    text,
    turns,
    write,
)
from tests.stands import hub, reach, servers
from tests.stands.proxy import proxied

ODD = text(messages=turns("And?"), id="odd")
BAD = seen(images=["no.png"], id="bad")


def told(folder: Path, *options: object) -> dict[str, Any]:
    ran = run("check", folder, "--json", *options)
    assert ran.code in (0, 3), ran.err
    found: dict[str, Any] = json.loads(ran.out)
    return found


def kinds(found: dict[str, Any]) -> dict[str, int]:
    return {item["kind"]: item["count"] for item in found["violations"]}


def test_what_convert_writes_is_clean(
    made_up: SampleSummary, made_up_output: Path, tmp_path: Path
) -> None:
    ran = run("check", made_up_output, "--model", "qwen3_vl", "--cutoff-len", "32768")
    assert ran.code == 0, ran.out
    assert "No violations found" in ran.out
    found = told(made_up_output)
    manifest = json.loads((made_up_output / "manifest.json").read_bytes())
    rows = {item["name"]: item["rows"] for item in found["entries"]}
    assert rows["mat"] + rows["mat_val"] == manifest["counts"]["accepted"]
    assert rows["mat_parquet"] == rows["mat"]
    uses = {item["name"]: item["image_uses"] for item in found["entries"]}
    assert uses["mat"] + uses["mat_val"] == manifest["counts"]["image_uses"]


@pytest.mark.parametrize("sample", ["mat_sample"])
def test_real_trajectories_are_clean(
    sample: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    folder: Path = request.getfixturevalue(sample)
    output = converted(folder / "mat_train.json", folder / "files.zip", tmp_path / "out")
    assert run("check", output).code == 0


def test_places_are_told_in_order_with_their_counts(tmp_path: Path) -> None:
    rows = [seen(), *[ODD] * 7, BAD]
    files = {
        "d/a.jsonl": lines(*rows),
        "d/b.json": array(*rows),
        "d/c.jsonl": lines(*[seen()] * 3, BAD),
    }
    found = told(write(tmp_path, files, {"d": entry("d")}))
    assert kinds(found) == {"image_missing": 3, "odd_turns": 14}
    missing, odd = found["violations"]
    assert [(Path(at["file"]).name, at["line"], at["row"]) for at in missing["first"]] == [
        ("a.jsonl", 9, 8),
        ("b.json", None, 8),
        ("c.jsonl", 4, 3),
    ]
    assert [at["row"] for at in odd["first"]] == [1, 2, 3, 4, 5]
    assert {at["id"] for at in odd["first"]} == {"odd"}
    assert missing["severity"] == "fails the job"
    assert found["entries"] == [{"name": "d", "files": 3, "rows": 22, "images": 2, "image_uses": 8}]


def test_rows_of_many_units_keep_their_numbers(tmp_path: Path) -> None:
    long = seen(system="s" * 40_000, id="long")
    rows = [*[long] * 600, ODD, *[long] * 50, BAD]
    files = {
        "a.jsonl": lines(*rows),
        "b.json": array(*rows),
        "c.parquet": parquet(*[inside()] * 250, inside(id="x", images=[])),
    }
    entries = {name[0]: entry(name) for name in files}
    found = told(write(tmp_path, files, entries))
    places = {
        (item["entry"], item["kind"]): [at["row"] for at in item["first"]]
        for item in found["violations"]
    }
    assert places == {
        ("a", "odd_turns"): [600],
        ("a", "image_missing"): [651],
        ("b", "odd_turns"): [600],
        ("b", "image_missing"): [651],
        ("c", "image_count"): [250],
    }


def test_each_image_file_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: Counter[bytes] = Counter()

    looks = pipeline.looks

    def counting(settings: Any, images: Iterable[bytes | Finding]) -> Any:
        held = list(images)
        decoded.update(one for one in held if isinstance(one, bytes))
        return looks(settings, held)

    monkeypatch.setattr(pipeline, "looks", counting)
    names = [f"{at}.png" for at in range(5)]
    files: dict[str, bytes | None] = {name: picture((40 + at, 30)) for at, name in enumerate(names)}
    rows = [seen(images=[names[at % 5]]) for at in range(40)]
    files |= {"d/a.jsonl": lines(*rows), "d/b.json": array(*rows)}
    assert kinds(told(write(tmp_path, files, {"d": entry("d")}))) == {}
    assert set(decoded.values()) == {1}
    assert len(decoded) == 5


def test_lengths_are_told_for_the_model(tmp_path: Path) -> None:
    folder = write(tmp_path, {"rows.jsonl": lines(seen(), text())}, {"d": entry()})
    # 48 x 40 pixels are 3 x 3 tokens of 28 pixels, and of 32 pixels 8 x 9 (at least 65,536 pixels).
    options = ("--cutoff-len", "40", "--model")
    assert kinds(told(folder, *options, "qwen2_5_vl")) == {}
    assert kinds(told(folder, *options, "qwen3_vl")) == {"image_tokens_cut": 1}
    assert kinds(told(folder)) == {}


def test_images_are_looked_for_below_media_dir(tmp_path: Path) -> None:
    folder = write(tmp_path / "data", {"rows.jsonl": lines(seen(images=["x.png"]))}, {"d": entry()})
    assert kinds(told(folder)) == {"image_missing": 1}
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "x.png").write_bytes(picture())
    assert kinds(told(folder, "--media-dir", tmp_path / "media")) == {}
    (tmp_path / "media" / "x.png").unlink()
    (folder / "x.png").write_bytes(picture())
    assert kinds(told(folder, "--media-dir", tmp_path / "media")) == {"image_missing": 1}


@pytest.mark.parametrize(
    ("held", "nearest", "cure"),
    [
        ("data/in/g/1.png", "in/g/1.png", "set media_dir to {}/data/in"),
        ("g/1.png", "{}/g/1.png", "set media_dir to {}"),
        ("data/g/1.PNG", "g/1.PNG", "spell the paths in the rows as the files, or rename these"),
        ("data/1.png", "1.png", "spell the paths in the rows as the files, or rename these"),
        ("data/g/2.png", "", ""),
    ],
)
def test_where_missing_images_may_be(tmp_path: Path, held: str, nearest: str, cure: str) -> None:
    rows = lines(seen(images=["g/1.png"]), seen(images=["g/1.png"]))
    folder = write(tmp_path / "data", {"rows.jsonl": rows}, {"d": entry()})
    (tmp_path / held).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / held).write_bytes(picture())
    (one,) = told(folder)["missing_images"]
    assert (one["entry"], one["below"], one["count"], one["example"]) == ("d", "g/", 1, "g/1.png")
    assert (one["nearest"], one["cure"]) == (nearest.format(tmp_path), cure.format(tmp_path))
    if cure.startswith("set media_dir"):
        media = cure.format(tmp_path).removeprefix("set media_dir to ")
        assert kinds(told(folder, "--media-dir", media)) == {}
    printed = run("check", folder).out
    assert "1 image below g/, for example g/1.png: " in printed
    assert cure.format(tmp_path) in printed


def test_missing_images_are_looked_for_in_archives(tmp_path: Path) -> None:
    rows = lines(*[seen(images=[f"g/{at}.png"]) for at in range(3)])
    folder = write(tmp_path / "data", {"rows.jsonl": rows}, {"d": entry()})
    packed = write_zip(folder / "all" / "g.zip", {f"g/{at}.png": picture() for at in range(3)})
    (one,) = told(folder)["missing_images"]
    assert (one["count"], one["nearest"]) == (3, f"g/0.png in {packed}")
    assert one["cure"] == f"unpack it: unzip {packed} -d {folder}"
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(folder)
    assert kinds(told(folder)) == {}


@pytest.mark.parametrize(
    "path",
    ["file:///etc/hostname", "simplecache::memory://a", "a\0b", "x" * 5000, "/dev/zero", ".."],
)
def test_a_path_is_never_taken_for_an_address(tmp_path: Path, path: str) -> None:
    folder = write(tmp_path, {"rows.jsonl": lines(seen(images=[path]))}, {"d": entry()})
    assert kinds(told(folder)) == {"image_missing": 1}


def test_columns_stand_in_for_a_registry(tmp_path: Path) -> None:
    row = {"talk": [{"who": "me", "what": "<image>?"}, {"who": "it", "what": "!"}], "pic": IMAGE}
    (tmp_path / "rows.jsonl").write_bytes(lines(row))
    (tmp_path / IMAGE).write_bytes(picture())
    columns = ("--columns", "messages=talk", "images=pic")
    tags = ("--tags", "role_tag=who", "content_tag=what", "user_tag=me", "assistant_tag=it")
    assert kinds(told(tmp_path / "rows.jsonl", *columns, *tags)) == {}
    assert set(kinds(told(tmp_path / "rows.jsonl", *columns))) == {"role_unknown", "batch_dropped"}
    (tmp_path / IMAGE).unlink()
    assert kinds(told(tmp_path, *columns, *tags)) == {"image_missing": 1}


def test_every_entry_is_checked_and_others_are_named(tmp_path: Path) -> None:
    entries = {
        "a": entry(),
        "b": entry("x.jsonl"),
        "c": {"hf_hub_url": "some/where"},
        "d": {"file_name": "rows.jsonl"},
        "e": entry("t.csv"),
    }
    folder = write(tmp_path, {"rows.jsonl": lines(ODD, text()), "t.csv": b"a\n"}, entries)
    found = told(folder)
    assert [(item["entry"], item["kind"]) for item in found["violations"]] == [
        ("a", "odd_turns"),
        ("b", "file_not_found"),
    ]
    assert set(found["not_checked"]) == {"c", "d", "e"}
    assert [item["name"] for item in told(folder, "--name", "b")["entries"]] == ["b"]


@pytest.mark.slow
def test_the_table_says_what_happens_and_what_to_do(tmp_path: Path) -> None:
    ran = spawn("check", write(tmp_path, {"rows.jsonl": lines(text(), ODD, BAD)}, {"d": entry()}))
    assert (ran.code, ran.err) == (3, "")
    said = " ".join(ran.out.split())
    for words in ("Fails the job", "image_missing", "line 3 (id bad)", "odd_turns", "no.png"):
        assert words in said
    assert "Add the file, or set media_dir to the folder that contains it." in said
    assert "2 kinds of violations (fails the job: 1, row is dropped silently: 1)" in said


def faults(ran: Ran) -> list[str]:
    assert ran.code == 2, ran.out + ran.err
    return [line.strip() for line in ran.err.splitlines()[1:]]


def test_every_fault_of_what_was_asked_for_is_told_at_once(tmp_path: Path) -> None:
    words = [
        "--model",
        "gpt",
        "--image-max-pixels",
        "1",
        "--columns",
        "x",
        "--tags",
        "y=z",
        "--fast",
    ]
    said = faults(run("check", tmp_path / "none", *words))
    starts = (
        "--fast:",
        "--image-max-pixels 1",
        "--model and",
        "--model gpt",
        "--columns x",
        "--tags y",
    )
    for start in (*starts, f"{tmp_path}/none: there is no such file"):
        assert any(fault.startswith(start) for fault in said), (start, said)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--json"], "DATASET is missing"),
        (["{}", "--name", "x"], "--name x: "),
        (["{}", "--columns", "messages=m"], "--columns: "),
        (["{}", "--media-dir", "{}/none"], "there is no such folder"),
        (["{}", "--images", "x"], "--images: unknown option"),
        (["{}/rows.jsonl"], "describe the columns"),
        (["{}", "--runner", "DataflowRunner"], "--temp_location is missing"),
    ],
)
def test_faults_of_the_command(tmp_path: Path, words: list[str], why: str) -> None:
    folder = write(tmp_path, {"rows.jsonl": lines(text())}, {"d": entry()})
    said = faults(run("check", *[word.format(folder) for word in words]))
    assert any(why in fault for fault in said), said


def test_help_names_its_options_and_not_those_of_convert() -> None:
    ran = run("check", "--help")
    assert ran.code == 0
    for option in (
        "--name",
        "--media-dir",
        "--columns",
        "--tags",
        "--model",
        "--cutoff-len",
        "--json",
    ):
        assert f"  {option}" in ran.out
    assert "--overwrite" not in ran.out


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two entries with some of everything."""
    rows = [seen(), ODD, BAD, text(n=1), text(n="x")]
    files: dict[str, bytes | None] = {"d/a.jsonl": lines(*rows), "d/b.json": array(*rows)}
    files["p.parquet"] = parquet(*[inside()] * 120, inside(images=[]))
    entries = {"d": entry("d"), "p": entry("p.parquet", columns=COLUMNS)}
    return write(tmp_path_factory.mktemp("troubled"), files, entries)


LENGTHS = ("--json", "--model", "qwen2_vl", "--cutoff-len", "10")


@pytest.mark.stands
def test_a_dataset_on_the_hub_is_checked_there(troubled: Path) -> None:
    if not find_spec("huggingface_hub"):
        servers.missing("huggingface_hub")
    expected = run("check", troubled, *LENGTHS)
    there = f"hf://datasets/{hub.REPO}"
    with hub.hub(troubled) as url, proxied(url) as proxy:
        options = json.dumps(reach.hub(proxy.url))
        ran = run("check", there, *LENGTHS, "--storage-options", options)
        stores.use({})
    assert ran.code == 3, ran.err
    assert ran.out == expected.out.replace(str(troubled), there)
    assert {seen.method for seen in proxy.seen} <= {"GET", "HEAD"}


@pytest.mark.slow
def test_worker_processes_find_the_same(troubled: Path) -> None:
    expected = run("check", troubled, *LENGTHS)
    two = ("--direct_num_workers", "2", "--direct_running_mode", "multi_processing")
    ran = spawn("check", troubled, *LENGTHS, *two)
    assert ran.code == 3, ran.err
    assert ran.out == expected.out
    assert "image_tokens_cut" in ran.out


@pytest.mark.prism
def test_prism_finds_the_same(troubled: Path, prism: Path) -> None:
    expected = run("check", troubled, *LENGTHS)
    ran = spawn("check", troubled, *LENGTHS, "--runner", "PrismRunner", "--prism_location", prism)
    assert ran.code == 3, ran.err
    assert ran.out == expected.out


@pytest.mark.slow
def test_nothing_is_left_behind(
    troubled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted(troubled.rglob("*"))
    ran = spawn("check", troubled, environment={"TMPDIR": str(tmp_path)})
    assert ran.code == 3
    assert sorted(troubled.rglob("*")) == before
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["rows.txt", "images.zip", "rows.jsonl.gz"])
def test_a_file_that_is_no_dataset_is_refused_for_what_it_is(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    for more in ([], ["--columns", "messages=messages"]):
        ran = run("check", tmp_path / name, *more)
        assert ran.code == 2
        assert "is not a dataset: check reads folders, and files whose names end in" in ran.err
        assert "describe the columns" not in ran.err


def test_columns_of_two_answers_make_a_ranking(tmp_path: Path) -> None:
    answer = {"role": "assistant", "content": "So."}
    row = {"messages": [{"role": "user", "content": "Why?"}], "chosen": answer, "rejected": answer}
    (tmp_path / "rows.jsonl").write_bytes(lines(row))
    columns = ["messages=messages", "chosen=chosen", "rejected=rejected"]
    tags = [f"{tag}={word}" for tag, word in TAGS.items()]
    words = ["check", tmp_path / "rows.jsonl", "--columns", *columns, "--tags", *tags, "--json"]
    found = json.loads(run(*words).out)
    assert [violation["kind"] for violation in found["violations"]] == ["answers_equal"]
