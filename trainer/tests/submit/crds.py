"""Validates objects against the definitions that their makers publish."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

FOLDER = Path(__file__).resolve().parents[3] / ".cache" / "crds"


def faults(manifest: dict[str, Any], name: str) -> list[str]:
    """What the API server would refuse or, unknown to it, drop."""
    group, _, version = manifest["apiVersion"].rpartition("/")
    schema = _schema(name, group, version, manifest["kind"])
    errors = jsonschema.Draft202012Validator(schema).iter_errors(manifest)
    return [f"{error.json_path}: {error.message}" for error in errors]


@cache
def _schema(name: str, group: str, version: str, kind: str) -> dict[str, Any]:
    file = FOLDER / f"{name}.yaml"
    if not file.exists():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{file} is missing; scripts/crds fetches it")
        pytest.skip(f"{file} is missing; scripts/crds fetches it")
    spec = yaml.load(file.read_text(), yaml.CSafeLoader)["spec"]
    assert (spec["group"], spec["names"]["kind"]) == (group, kind)
    (schema,) = (
        entry["schema"]["openAPIV3Schema"]
        for entry in spec["versions"]
        if entry["name"] == version and entry["served"]
    )
    _close(schema)
    schema["properties"]["metadata"] = {"type": "object"}
    return dict(schema)


def _close(schema: dict[str, Any]) -> None:
    """Makes of Kubernetes' schema a plain one, in which unknown fields are faults."""
    if schema.get("x-kubernetes-int-or-string"):
        schema.pop("type", None)
    if "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        schema.setdefault("additionalProperties", False)
    for child in schema.get("properties", {}).values():
        _close(child)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            _close(schema[key])
