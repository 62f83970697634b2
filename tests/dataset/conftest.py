"""A folder on the disk, in memory and on an object store.

`tests/storage` shows that all kinds of stores behave alike, so these tests need not run on each.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.storage.conftest import STORES, folder_on


@pytest.fixture(params=STORES[:3])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A folder that can be written to; it need not be there."""
    yield from folder_on(request.param, request, tmp_path)
