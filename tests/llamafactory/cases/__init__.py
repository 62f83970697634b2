"""For every kind of violation small datasets that have it, and datasets that have none."""

from tests.llamafactory.cases.case import Case
from tests.llamafactory.cases.files import FILES
from tests.llamafactory.cases.media import LENGTHS, MEDIA, TOKENS
from tests.llamafactory.cases.preferences import PREFERENCES
from tests.llamafactory.cases.registry import REGISTRY
from tests.llamafactory.cases.rows import ROWS
from tests.llamafactory.cases.types import DRIFT, TYPES

CASES: list[Case] = [*REGISTRY, *FILES, *TYPES, *ROWS, *PREFERENCES, *MEDIA, *TOKENS, *LENGTHS]

__all__ = ["CASES", "DRIFT", "Case"]
