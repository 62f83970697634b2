"""manifest.json: one that this version cannot read is named with what to do."""

from __future__ import annotations

import re

import pytest

from beam_mat.core import layout
from beam_mat.core.errors import ConfigError
from beam_mat.dataset import manifest
from beam_mat.storage import files
from tests.dataset.made import put


def test_without_a_dataset_there_is_none(root: str) -> None:
    assert manifest.read(root) is None


@pytest.mark.parametrize("data", [b"", b"[]", b'{"format": 2}', b'{"format": 2, "generation'])
def test_one_that_cannot_be_read_is_named(root: str, data: bytes) -> None:
    put(root, layout.MANIFEST, data)
    uri = re.escape(files.join(root, layout.MANIFEST))
    with pytest.raises(ConfigError, match=f"^{uri}: this version of beam-mat cannot read this man"):
        manifest.read(root)


@pytest.mark.parametrize("format", [1, 3])
def test_another_layout_is_named(root: str, format: int) -> None:
    put(root, layout.MANIFEST, b'{"format": %d, "more": "unknown"}' % format)
    with pytest.raises(
        ConfigError,
        match=f"manifest.json: has layout version {format}, but this version of beam-mat uses 2",
    ):
        manifest.read(root)
