"""The folders of `tests/dataset`."""

from tests.dataset.conftest import root

__all__ = ["root"]
