"""A folder of its own on each kind of store."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from beam_mat.storage import files, stores
from tests.stands import reach

STORES = [
    "local",
    "memory",
    *(pytest.param(name, marks=pytest.mark.stands) for name in ("gs", "s3")),
]


@pytest.fixture(params=STORES)
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A folder that can be written to; it need not be there."""
    yield from folder_on(request.param, request, tmp_path)


def folder_on(store: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Yields a new folder on a store, and removes it."""
    name = uuid.uuid4().hex
    if store == "local":
        yield str(tmp_path / "root")
        return
    folder = f"memory:///{name}"
    if store == "gs":
        stores.use(reach.google(request.getfixturevalue("google")))
        folder = f"gs://tests/{name}"
    if store == "s3":
        stores.use(reach.amazon(request.getfixturevalue("amazon")))
        folder = f"s3://tests/{name}"
    yield folder
    files.remove(folder)
    stores.use({})
