"""Inputs with prefixes and schemas of their own: typed, and in a YAML file."""

import argparse
from pathlib import Path

import pytest

from beam_mat.cli.sources import add_sources
from beam_mat.core.location import Location, read_location
from beam_mat.core.trajectory import Schema


@pytest.mark.parametrize(
    ("text", "location"),
    [
        ("a.json", Location("a.json")),
        ("gs://b/day=1/*.json", Location("gs://b/day=1/*.json")),
        ("./day=1/a.json", Location("./day=1/a.json")),
        ("coco=train2017.zip", Location("train2017.zip", "coco/")),
        ("coco=s3://b/x.zip", Location("s3://b/x.zip", "coco/")),
        ("a.json:prefix=gui/x/", Location("a.json", "gui/x/")),
        ("a.json:schema=qwen-vl", Location("a.json", "", Schema.QWEN_VL)),
        ("g=a:schema=mat", Location("a", "g/", Schema.MAT)),
        ("memory://a/b:prefix=", Location("memory://a/b")),
    ],
)
def test_locations(text: str, location: Location) -> None:
    assert read_location(text) == location


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a:schema=x", "has the schema 'x'; give one of mat, llava"),
        ("a:prefix=b/:prefix=c/", "has prefix twice"),
        ("g=a:prefix=b/", "has a prefix at its beginning and at its end"),
        (":prefix=a/", "has no address"),
    ],
)
def test_wrong_locations(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        read_location(text)


def added(path: Path | str, **typed: list[Location]) -> tuple[argparse.Namespace, list[str]]:
    given = argparse.Namespace(**{"json": None, "images": None, "sources": str(path), **typed})
    faults: list[str] = []
    add_sources(given, faults)
    return given, faults


def test_a_file_adds_to_what_was_typed(tmp_path: Path) -> None:
    file = tmp_path / "sources.yaml"
    file.write_text(
        """
        json:
          - a.json
          - uri: gui/*.json
            prefix: gui/
            schema: aguvis
        images:
          - coco=train2017.zip
          - uri: s3://bucket/b.zip
          - /c
        """
    )
    typed, faults = added(file, json=[Location("typed.json")])
    assert faults == []
    assert typed.json == [
        Location("typed.json"),
        Location(f"{tmp_path}/a.json"),
        Location(f"{tmp_path}/gui/*.json", "gui/", Schema.AGUVIS),
    ]
    assert typed.images == [
        Location(f"{tmp_path}/train2017.zip", "coco/"),
        Location("s3://bucket/b.zip"),
        Location("/c"),
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[", "is not YAML"),
        ("- a.json", "must have the lists json and images"),
        ("jsons: []", "must have the lists json and images"),
        ("json: a.json", "json is not a list"),
        ("json: [1]", "item 0 of json is neither an address"),
        ("json: [{uri: a, prefixes: b}]", "item 0 of json has the key prefixes"),
        ("json: [{uri: a, prefix: 1}]", "item 0 of json has a value that is not text"),
        ("json: [a, {uri: a, schema: x}]", "item 1 of json has the schema 'x'"),
    ],
)
def test_wrong_files(tmp_path: Path, text: str, fault: str) -> None:
    file = tmp_path / "sources.yaml"
    file.write_text(text)
    _, faults = added(file)
    assert len(faults) == 1
    assert faults[0].startswith(f"--sources {file}: ")
    assert fault in faults[0]


def test_a_file_that_is_missing(tmp_path: Path) -> None:
    _, faults = added(tmp_path / "x.yaml")
    assert faults == [f"--sources {tmp_path}/x.yaml: there is no such file; check the path"]
