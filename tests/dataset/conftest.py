"""The folder on each kind of store that `tests/storage` has."""

from tests.storage.conftest import root

__all__ = ["root"]
