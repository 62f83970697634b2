"""fsspec's own suites for file systems, on those that `beam_mat.storage.drivers` makes.

Our stores are no file systems of fsspec, so of its suites only that for `pipe` applies: a file is
written whole, and created once with ``mode="create"``. The stores never open a file for writing,
and never copy, get or put a tree; their own contract is in test_store_contract.py.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from fsspec.tests.abstract import AbstractFixtures, AbstractPipeTests

from beam_mat.storage import stores
from beam_mat.storage.stores import locate
from tests.stands import reach


class Fixtures(AbstractFixtures):  # type: ignore[misc]
    """What the suites ask for: a driver, and a folder on it."""

    @pytest.fixture(
        params=["memory", *(pytest.param(name, marks=pytest.mark.stands) for name in ("gs", "s3"))]
    )
    def fs(self, request: pytest.FixtureRequest) -> Iterator[Any]:
        options = reach.Options()
        if request.param == "gs":
            options = reach.google(request.getfixturevalue("google"))
        if request.param == "s3":
            options = reach.amazon(request.getfixturevalue("amazon"))
        stores.use(options)
        yield locate(f"{request.param}://tests/{uuid.uuid4().hex}")[0]._fs  # type: ignore[attr-defined]
        stores.use({})

    @pytest.fixture
    def fs_path(self, fs: Any) -> str:
        return "tests"

    @pytest.fixture
    def fs_join(self) -> Any:
        return lambda *names: "/".join(names)


class TestPipe(AbstractPipeTests, Fixtures):  # type: ignore[misc]
    """Files that are written whole."""
