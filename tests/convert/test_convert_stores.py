"""A whole conversion with input and output on each kind of store gives what it gives on a disk."""

from __future__ import annotations

import gzip
import itertools
import json
import re
import uuid
import zipfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import zstandard

from beam_mat.core import layout
from beam_mat.sample import SampleSummary, write_sample
from beam_mat.storage import files, requests, stores
from tests import outputs as dataset
from tests.command import convert_words, converted, run, spawn
from tests.convert.test_outage import before_the_graph
from tests.making import image_record, picture, write_shard
from tests.stands import hub, reach, servers
from tests.stands.proxy import Faults, Seen, proxied

NAMING = ("manifest.json", "images.parquet", "report.html")
"""What names its inputs and is not the same for another place."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SampleSummary:
    return write_sample(tmp_path_factory.mktemp("stores") / "set", records=30, images=12, shards=2)


@pytest.fixture(scope="module")
def expected(made: SampleSummary, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The images and the rows of a conversion on the local disk."""
    output = tmp_path_factory.mktemp("stores") / "out"
    return comparable(dataset.tree(converted(made.shards, made.image_zip, output)))


def comparable(tree: dict[str, bytes]) -> dict[str, bytes]:
    """Images by path, and for each format and split its rows: parts are named after their input."""
    found: dict[str, bytes] = {}
    for name, data in sorted(tree.items()):
        if name.startswith("images/"):
            found[name] = data
        elif name.startswith(("jsonl", "rejects")):
            folder = name.split("/", maxsplit=1)[0]
            found[folder] = found.get(folder, b"") + data
    return found


def fetched(folder: str) -> dict[str, bytes]:
    """Every file below a folder of a store."""
    found = files.find(folder)
    return dict(zip((n for n, _ in found), files.read_each(f.uri for _, f in found), strict=True))


def put(made: SampleSummary, folder: str) -> list[str]:
    """Copies a sample to a store; returns the words of its conversion, but for the output."""
    for path in [*made.shards, made.image_zip]:
        files.write_bytes(files.join(folder, path.name), path.read_bytes(), "")
    images = files.join(folder, made.image_zip.name)
    return ["convert", "--json", files.join(folder, "*.json"), "--images", images]


@pytest.fixture(
    params=["memory", *(pytest.param(name, marks=pytest.mark.stands) for name in ("gs", "s3"))]
)
def place(request: pytest.FixtureRequest) -> Iterator[tuple[str, reach.Options]]:
    """A folder on a store, and the storage options that lead to it."""
    name = uuid.uuid4().hex
    folder, options = f"memory:///{name}", reach.Options()
    if request.param == "gs":
        folder, options = f"gs://tests/{name}", reach.google(request.getfixturevalue("google"))
    if request.param == "s3":
        folder, options = f"s3://tests/{name}", reach.amazon(request.getfixturevalue("amazon"))
    stores.use(options)
    yield folder, options
    stores.use(options)
    files.remove(folder)
    stores.use({})


NAMES = "b.png b.png?versionId= b.png?versionId=null b.png?generation=1 b.png#1 b%2Epng b.png?#&=@2"


def test_no_name_is_an_instruction_to_a_store(
    place: tuple[str, reach.Options], tmp_path: Path
) -> None:
    """Members, shards and an output with names that drivers read as versions of other objects."""
    folder, options = place
    pictures = {f"{name}.png": picture(seed=at) for at, name in enumerate(NAMES.split())}
    pictures |= {f"f?a=1/{name}": picture(seed=20 + at) for at, name in enumerate(NAMES.split())}
    pictures |= {name: picture(seed=40 + at) for at, name in enumerate(NAMES.split())}
    for name, data in pictures.items():
        files.write_bytes(files.join(folder, "in#1", name), data, "")
    for at, name in enumerate(NAMES.split()):
        rows = [image_record(f"{at} {one}", one) for one in pictures]
        files.write_bytes(f"{folder}/json/{name}.json", json.dumps(rows).encode(), "")
    words = ["convert", "--json", f"{folder}/json/*.json", "--images", f"{folder}/in#1"]
    words += ["--storage-options", json.dumps(options), "--output"]
    output = f"{folder}/out?versionId=1#2"
    for number in range(2):
        ran = run(*words, output)
        assert ran.code == 0, ran.err
        assert ("Nothing to do" in ran.out) == bool(number)
    tree = fetched(output)
    rows = [
        json.loads(line)
        for name in tree
        if name.startswith("jsonl/")
        for line in tree[name].splitlines()
    ]
    assert len(rows) == len(pictures) * len(NAMES.split())
    assert {row["id"] for row in rows if not row["images"]} == set()
    local = tmp_path / "in"
    for name, data in pictures.items():
        (local / name).parent.mkdir(parents=True, exist_ok=True)
        (local / name).write_bytes(data)
    shard = write_shard(tmp_path / "a.json", [image_record(one, one) for one in pictures])
    there = converted(shard, local, tmp_path / "out")
    expected = {row["id"]: row["images"] for row in dataset.rows(there)}
    assert len({file for (file,) in expected.values()}) == len(pictures)
    assert all(row["images"] == expected[row["id"].split(" ", 1)[1]] for row in rows)
    for file in dataset.image_files(there):
        assert tree[file] == (there / file).read_bytes()
    assert all(re.fullmatch(r"[\w./ ,+=@()-]+", name) for name in tree)
    ran = run("verify", output, "--storage-options", json.dumps(options))
    assert ran.code == 0, ran.err


def test_input_and_output_on_a_store(
    made: SampleSummary, expected: dict[str, bytes], place: tuple[str, reach.Options]
) -> None:
    folder, options = place
    words = put(made, f"{folder}/in")
    output = f"{folder}/out"
    ran = run(*words, "--output", output, "--storage-options", json.dumps(options))
    assert ran.code == 0, ran.err
    tree = fetched(output)
    assert comparable(tree) == expected
    manifest = json.loads(tree["manifest.json"])
    assert [one["uri"] for one in manifest["inputs"]["json"]] == [
        files.join(folder, "in", path.name) for path in made.shards
    ]
    assert all(one["version"] for one in manifest["inputs"]["json"] + manifest["inputs"]["images"])
    for part in [*manifest["parts"], manifest["image_table"]]:
        assert len(tree[part["path"]]) == part["bytes"]
    verify = ["verify", output, "--storage-options", json.dumps(options)]
    assert run(*verify).code == 0
    spoiled = manifest["parts"][0]["path"]
    files.write_bytes(files.join(output, spoiled), b"x" + tree[spoiled][1:], "")
    ran = run(*verify)
    assert ran.code == 3
    assert f"{spoiled}: has SHA-256" in ran.err


def test_compressed_shards_on_a_store(
    made: SampleSummary, expected: dict[str, bytes], place: tuple[str, reach.Options]
) -> None:
    folder, options = place
    packers: tuple[Callable[[bytes], bytes], ...] = (gzip.compress, zstandard.compress)
    for path, pack in zip(made.shards, packers, strict=True):
        files.write_bytes(f"{folder}/in/{path.name}.packed", pack(path.read_bytes()), "")
    files.write_bytes(f"{folder}/in/files.zip", made.image_zip.read_bytes(), "")
    output = f"{folder}/out"
    words = ["--json", f"{folder}/in/*.packed", "--images", f"{folder}/in/files.zip"]
    ran = run("convert", *words, "--output", output, "--storage-options", json.dumps(options))
    assert ran.code == 0, ran.err
    tree = fetched(output)
    assert comparable(tree) == expected
    assert not any(name.startswith(layout.UNPACKED) for name in tree)
    report = tree["report.html"].decode()
    assert report.count('data-kind="accepted"') > 0


def covers(seen: Seen, byte: int) -> bool:
    """Whether a byte of a file is in the range that was asked for."""
    bounds = re.fullmatch(r"bytes=(\d+)-(\d+)", seen.range)
    return bounds is not None and int(bounds[1]) <= byte <= int(bounds[2])


@pytest.mark.stands
def test_each_place_by_itself_and_two_worker_processes(
    made: SampleSummary, expected: dict[str, bytes], google: str, amazon: str, tmp_path: Path
) -> None:
    with proxied(amazon) as proxy:
        options = {**reach.google(google), **reach.amazon(proxy.url)}
        stores.use(options)
        images = f"s3://tests/{uuid.uuid4().hex}/files.zip"
        files.write_bytes(images, made.image_zip.read_bytes(), "")
        output = f"gs://tests/{uuid.uuid4().hex}"
        held = tmp_path / "options.json"
        held.write_text(json.dumps(options))
        # Emulators are reached by what the options say alone, in every process.
        words = ["convert", "--json", *made.shards, "--images", images, "--output", output]
        workers = ["--direct_num_workers", "2", "--direct_running_mode", "multi_processing"]
        ran = spawn(*words, *workers, "--storage-options", held)
        assert ran.code == 0, ran.err
        assert "testing" not in ran.out + ran.err
        assert comparable(fetched(output)) == expected
    stores.use({})
    with zipfile.ZipFile(made.image_zip) as archive:
        directory = archive.start_dir
    # Once in the job, not once a worker.
    assert len([seen for seen in proxy.seen if covers(seen, directory)]) == 1


@pytest.mark.stands
def test_input_on_the_hub(made: SampleSummary, expected: dict[str, bytes], tmp_path: Path) -> None:
    if not find_spec("huggingface_hub"):
        servers.missing("huggingface_hub")
    place = f"hf://datasets/{hub.REPO}"
    with hub.hub(made.image_zip.parent) as url:
        words = ["convert", "--json", f"{place}/*.json", "--images", f"{place}/files.zip"]
        # As users set it.
        ran = spawn(*words, "--output", tmp_path / "out", environment={"HF_ENDPOINT": url})
    assert ran.code == 0, ran.err
    assert comparable(dataset.tree(tmp_path / "out")) == expected
    assert dataset.manifest(tmp_path / "out")["inputs"]["json"][0]["uri"].startswith(place)


@pytest.mark.stands
def test_the_hub_is_not_written_to(made: SampleSummary) -> None:
    ran = run(*convert_words(made.shards, made.image_zip, Path("x"))[:-1], "hf://datasets/a/b/out")
    assert ran.code == 2
    assert "--output hf://datasets/a/b/out: beam-mat only reads from the hub" in ran.err
    for command in ("publish", "report"):
        ran = run(command, "hf://datasets/a/b")
        assert ran.code == 2
        assert "hf://datasets/a/b: beam-mat only reads from the hub" in ran.err


@pytest.mark.slow
@pytest.mark.stands
def test_on_a_store_that_fails_all_the_time_the_result_is_the_same(
    made: SampleSummary, expected: dict[str, bytes], amazon: str
) -> None:
    with proxied(amazon) as proxy:
        options = reach.amazon(proxy.url)
        stores.use(options)
        folder = f"s3://tests/{uuid.uuid4().hex}"
        words = put(made, f"{folder}/in")
        proxy.faults = Faults(reset=0.02, cut=0.02, short=0.02, lost=0.02, statuses={503: 0.05})
        ran = run(*words, "--output", f"{folder}/out", "--storage-options", json.dumps(options))
        assert ran.code == 0, ran.err
        assert len(proxy.made) > 10
        proxy.faults = Faults()
        assert comparable(fetched(f"{folder}/out")) == expected
    stores.use({})


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts are few, and follow each other at once."""
    monkeypatch.setattr(requests, "ATTEMPTS", 2)
    monkeypatch.setattr(requests, "FIRST_PAUSE_SECONDS", 0.01)


def reading(first: int) -> Faults:
    """The zip's answers break off, from the one with this number on."""
    asked = itertools.count()

    def on(method: str, path: str) -> bool:
        return method == "GET" and path.endswith("files.zip") and next(asked) >= first

    return Faults(cut=1, on=on)


def writing(status: int) -> Faults:
    """No image can be written."""
    return Faults(
        statuses={status: 1}, on=lambda method, path: method == "PUT" and "/out/images/" in path
    )


@pytest.mark.stands
@pytest.mark.parametrize(
    ("faults", "code", "why"),
    [
        pytest.param(reading(0), 2, "--images {}/in/files.zip: the store failed 2", id="looking"),
        # The zip's end has been looked at, and its directory been read.
        pytest.param(reading(2), 1, "{}/in/files.zip: the store failed 2", id="reading"),
        pytest.param(writing(503), 1, r"{}/out/images/\S+: the store failed 2", id="writing"),
        pytest.param(writing(403), 1, r"{}/out/images/\S+: the store refused", id="forbidden"),
    ],
)
def test_a_store_that_stays_away_fails_the_job_by_name(
    made: SampleSummary,
    expected: dict[str, bytes],
    amazon: str,
    quick: None,
    faults: Faults,
    code: int,
    why: str,
) -> None:
    with proxied(amazon) as proxy:
        options = reach.amazon(proxy.url)
        stores.use(options)
        folder = f"s3://tests/{uuid.uuid4().hex}"
        words = [*put(made, f"{folder}/in"), "--output", f"{folder}/out"]
        words += ["--storage-options", json.dumps(options)]
        proxy.faults = faults
        ran = run(*words)
        assert ran.code == code, ran.err
        (said,) = [line for line in ran.err.splitlines() if folder in line]
        assert re.match(f"(beam-mat:)? +{why.format(folder)}", said), said
        assert not files.exists(f"{folder}/out/manifest.json")
        proxy.faults = Faults()
        if code == 1:
            assert run(*words).code == 0
            assert comparable(fetched(f"{folder}/out")) == expected
        else:
            assert files.find(f"{folder}/out") == []
    stores.use({})


@pytest.mark.parametrize("place", [pytest.param("gs", marks=pytest.mark.stands)], indirect=True)
@pytest.mark.parametrize("how", ["written again", "gone"])
def test_an_input_that_changes_under_the_job(
    made: SampleSummary,
    expected: dict[str, bytes],
    place: tuple[str, reach.Options],
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    folder, options = place
    words = [*put(made, f"{folder}/in"), "--output", f"{folder}/out"]
    words += ["--storage-options", json.dumps(options)]
    shard, data = f"{folder}/in/{made.shards[1].name}", made.shards[1].read_bytes()

    def change() -> None:
        if how == "gone":
            files.remove(shard)
        else:  # the same bytes, as another generation
            files.write_bytes(shard, data, "")

    with monkeypatch.context() as patched:
        before_the_graph(patched, change)
        ran = run(*words)
    assert ran.code == 1
    (said,) = [line for line in ran.err.splitlines() if line.startswith("beam-mat: ")]
    assert said.startswith(f"beam-mat: {shard}: ")
    assert said.endswith("nothing was published: run the same command again")
    assert not files.exists(f"{folder}/out/manifest.json")
    files.write_bytes(shard, data, "")
    assert run(*words).code == 0
    assert comparable(fetched(f"{folder}/out")) == expected


def held(output: str) -> dict[str, files.FileInfo]:
    """What lies there in which generation, but for the lease."""
    found = files.find(output)
    return {name: file for name, file in found if not name.startswith(f"{layout.LEASE}/")}


@pytest.mark.stands
def test_a_rerun_reads_no_image_and_writes_nothing(made: SampleSummary, google: str) -> None:
    with proxied(google) as proxy:
        options = reach.google(proxy.url)
        stores.use(options)
        folder = f"gs://tests/{uuid.uuid4().hex}"
        words = [*put(made, f"{folder}/in"), "--output", f"{folder}/out"]
        words += ["--storage-options", json.dumps(options)]
        assert run(*words).code == 0
        before, begin = held(f"{folder}/out"), len(proxy.seen)
        ran = run(*words)
        asked = proxy.seen[begin:]
        after = held(f"{folder}/out")
        files.remove(folder)
    stores.use({})
    assert ran.out.startswith("Nothing to do")
    assert [seen for seen in asked if "images" in seen.path] == []
    # Of the zip its end, to see that it is one.
    assert sum(seen.bytes for seen in asked if seen.range and "files.zip" in seen.path) < 200
    assert after == before
