"""The commands of README and docs, run as they stand there, in a folder that has what they name."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from beam_mat.cli.entry import COMMANDS
from beam_mat.core.reject import Reason
from beam_mat.dataset.state import TABLE, Command
from beam_mat.sample import write_sample
from tests.command import PROGRAM, ROOT, converted
from tests.making import picture
from tests.stands import hub, servers

DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [ROOT / "README.md", *DOCS]
BLOCK = re.compile(r"(?:<!-- not run: ([^\n]+) -->\n)?```bash\n(.*?)```", re.DOTALL)
ELSEWHERE = re.compile(
    r"\b(gs|s3)://|DataflowRunner|FlinkRunner|gcloud|docker|llamafactory|mat-trainer"
)
"""What no machine of its own can do: blocks with it must say that they are not run."""


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    """The page's shell blocks: why one is not run, or "", and its lines."""
    yield from BLOCK.findall(page.read_text(encoding="utf-8"))


RUN = [page for page in PAGES if any(not not_run for not_run, _ in blocks(page))]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files that the pages name, and ``beam-mat`` in it and on the path."""
    made = write_sample(tmp_path / "made", records=40, images=30)
    place = tmp_path / "here"
    (place / "shards").mkdir(parents=True)
    for name in ("mat_train.json", "shards/one.json"):
        shutil.copy(made.shards[0], place / name)
    for name in ("files.zip", "more.zip"):
        shutil.copy(made.image_zip, place / name)
    later = write_sample(tmp_path / "later", records=4, images=4, seed=1)
    shutil.copy(later.shards[0], place / "later.json")
    shutil.copy(later.image_zip, place / "later.zip")
    with zipfile.ZipFile(made.image_zip) as archive:
        archive.extractall(place / "unzipped")
    program = place / ".venv" / "bin" / "beam-mat"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {shlex.join(PROGRAM)} "$@"\n')
    program.chmod(0o755)
    somebody_elses(place)
    return place


def somebody_elses(place: Path) -> None:
    """A sharegpt set that is not ours, and rows without a registry."""
    (place / "data").mkdir()
    (place / "pictures").mkdir()
    (place / "pictures" / "1.jpg").write_bytes(picture())
    turns = [{"from": "human", "value": "<image>What is this?"}, {"from": "gpt", "value": "A cat."}]
    row = json.dumps({"conversations": turns, "image": ["1.jpg"]}) + "\n"
    (place / "data" / "rows.jsonl").write_text(row)
    (place / "rows.jsonl").write_text(row)
    shutil.copy(place / "pictures" / "1.jpg", place / "1.jpg")
    answers = {name: {"from": "gpt", "value": name} for name in ("chosen", "rejected")}
    pair = {"messages": [{"from": "human", "value": "Why?"}], **answers}
    (place / "pairs.jsonl").write_text(json.dumps(pair) + "\n")
    columns = {"messages": "conversations", "images": "image"}
    entry = {"file_name": "rows.jsonl", "formatting": "sharegpt", "columns": columns}
    (place / "data" / "dataset_info.json").write_text(json.dumps({"my_set": entry}))


@pytest.mark.slow
@pytest.mark.stands
@pytest.mark.parametrize("page", RUN, ids=lambda page: page.name)
def test_the_commands_work(page: Path, folder: Path, tmp_path: Path) -> None:
    todo = [block for not_run, block in blocks(page) if not not_run]
    if any("hf://" in block for block in todo) and not find_spec("huggingface_hub"):
        servers.missing("huggingface_hub")
    if not any("--output dataset" in block for block in todo):
        converted(folder / "mat_train.json", folder / "files.zip", folder / "dataset")
    with hub.hub(tmp_path / "made", "PengxiangLi/MAT") as url:
        environment = {
            **os.environ,
            "PATH": f"{folder}/.venv/bin:{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "HF_ENDPOINT": url,
        }
        for block in todo:
            ran = subprocess.run(
                ["bash", "-euc", block],
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            assert ran.returncode == 0, f"{block}\n{ran.stdout}\n{ran.stderr}"
    for output in re.findall(r"--output (\S+)", "\n".join(todo)):
        assert (folder / output / "manifest.json").exists(), output


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_needs_another_machine_says_so(page: Path) -> None:
    for not_run, block in blocks(page):
        assert not_run or not ELSEWHERE.search(block), block


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for link, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)", text):
        if link.startswith("https://"):
            continue
        target = page.parent / link if link else page
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            names = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in headings}
            assert anchor in names, f"{link}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_is_named_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    code = "\n".join(
        re.findall(r"```(?:bash)?\n(.*?)```", text, re.DOTALL) + re.findall(r"`([^`\n]+)`", text)
    )
    named = set(re.findall(r"\bbeam-mat ([a-z]+)\b", code))
    assert named <= set(COMMANDS), named - set(COMMANDS)


def test_the_readme_leads_to_every_page() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for page in DOCS:
        assert f"(docs/{page.name})" in text, page.name


ARCHITECTURE = ROOT / "docs" / "architecture.md"


def test_the_map_has_every_module_and_no_other() -> None:
    text = ARCHITECTURE.read_text(encoding="utf-8")
    named = []
    for section in re.split(r"^### ", text, flags=re.MULTILINE)[1:]:
        if package := re.match(r"`(beam_mat(?:/\w+)?)`", section):
            modules = re.findall(r"^\| `([\w/]+\.py)` \|", section, re.MULTILINE)
            named += [f"{package[1]}/{module}" for module in modules]
    there = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "beam_mat").rglob("*.py")
        if path.name != "__init__.py"
    }
    assert set(named) == there
    assert len(named) == len(there)


def test_the_map_has_every_package_in_its_layer() -> None:
    text = ARCHITECTURE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d) \| `(\w+)` \|", text, re.MULTILINE)
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    listed = re.search(r"^layers = \[\n(.*?)^\]", project, re.MULTILINE | re.DOTALL)
    assert listed
    layers = [re.findall(r"beam_mat\.(\w+)", line) for line in listed[1].splitlines()]
    assert rows == [(str(at), name) for at, names in enumerate(layers, 1) for name in names]


def test_the_table_of_states_is_that_of_the_code() -> None:
    text = ARCHITECTURE.read_text(encoding="utf-8")
    heads = " | ".join(f"`{command.value}`" for command in Command)
    table = text.partition(f"| state | {heads} |\n")[2].partition("\n\n")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()[1:]]
    assert rows == [
        [state.value, *(actions[command].value for command in Command)]
        for state, actions in TABLE.items()
    ]


def test_every_reason_has_its_cure_in_the_docs_and_there_is_no_other() -> None:
    text = (ROOT / "docs" / "rejects.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", text, re.MULTILINE))
    assert rows == {reason.value: reason.sentence for reason in Reason}
