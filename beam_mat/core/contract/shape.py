"""Column types, inferred and cast like the loader of Hugging Face's datasets does it.

The loader reads JSON Lines 10 MB at a time, a JSON array as a whole, and Parquet with its schema.
The first read determines the type of every column. All later reads are cast to these types
(``datasets.table.table_cast``).
"""

from __future__ import annotations

import re
from collections.abc import Set

import msgspec

from beam_mat.core.contract.finding import Finding, Kind, printable
from beam_mat.core.limits import MAX_NESTING

NULL, BOOL, INT, WHOLE, FLOAT, DIGITS, TIME, TEXT, BINARY = (1 << at for at in range(9))
"""Bits for the values of a leaf. WHOLE is 2.0, DIGITS is "12", TIME is a text like a date."""

_NUMBER = INT | WHOLE | FLOAT
_STRING = DIGITS | TIME | TEXT
_NAMES = {
    "null": NULL,
    "true or false": BOOL,
    "whole number": INT,
    "number": _NUMBER,
    "date": TIME,
    "text": _STRING,
    "bytes": BINARY,
}
_LEAVES = {type(None): NULL, bool: BOOL, int: INT, bytes: BINARY}
_DIGITS = re.compile(r"-?[0-9]{1,18}")
_TIME = re.compile(
    r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"([ T]([01][0-9]|2[0-3])(:?[0-5][0-9]){0,2}(Z|[+-][0-9]{2}(:?[0-9]{2})?)?)?"
)
_DATE_COLUMN = re.compile(r"(?i).*_(at|time)|modified|date|datetime|timestamp.*")
"""Names of columns in which pandas looks for dates (``pandas.read_json``, convert_dates)."""

_CASTS = {
    BOOL: BOOL | INT | WHOLE | FLOAT,
    INT: BOOL | INT | WHOLE | DIGITS | TIME,
    FLOAT: BOOL | _NUMBER | DIGITS,
    TIME: INT | TIME,
    TEXT: BOOL | _NUMBER | _STRING | BINARY,
    BINARY: _STRING | BINARY,
}
"""The values that Arrow can cast to each type. Measured, see tests/llamafactory/test_check.py."""


_MAX_KEY = 100
"""Characters of a key in a path. A key may have megabytes, and each value has a path."""


def _joined(path: str, key: str) -> str:
    name = key if len(key) <= _MAX_KEY else key[:_MAX_KEY] + "…"
    return f"{path}.{name}" if path else name


class Shape(msgspec.Struct, array_like=True):
    """All values found at one path in the rows.

    `leaf` has a bit for each type of value that is neither a list nor an object. `item` is the
    shape of the items of lists, `fields` those of the values of objects, by key.
    """

    leaf: int = 0
    item: Shape | None = None
    fields: dict[str, Shape] | None = None

    def absorb(self, value: object, path: str = "", depth: int = 0) -> str | None:
        """Adds a value, and returns a path at which it has no common type with earlier values.

        `path` and `depth` say where this shape is in the rows.
        """
        before = self._kinds()
        inner = None
        if isinstance(value, dict):
            self.fields = self.fields if self.fields is not None else {}
            for key, part in value.items():
                name = printable(str(key))
                field = self.fields.setdefault(name, Shape())
                if depth < MAX_NESTING:
                    where = _joined(path, name)
                    inner = field.absorb(part, where, depth + 1) or inner
        elif isinstance(value, list):
            self.item = self.item or Shape()
            if depth < MAX_NESTING:
                where = f"{path}[]"
                for part in value:
                    inner = self.item.absorb(part, where, depth + 1) or inner
        else:
            self.leaf |= leaf_of(value)
        after = self._kinds()
        return path if after > before and after > 1 else inner

    def join(self, other: Shape) -> None:
        self.leaf |= other.leaf
        if other.item is not None:
            self.item = self.item or Shape()
            self.item.join(other.item)
        if other.fields is not None:
            self.fields = self.fields if self.fields is not None else {}
            for key, shape in other.fields.items():
                self.fields.setdefault(key, Shape()).join(shape)

    def clash(self, path: str = "") -> str | None:
        """The first path at which the values have no common type, or None."""
        if self._kinds() > 1:
            return path
        if self.item is not None:
            return self.item.clash(f"{path}[]")
        found = (part.clash(_joined(path, key)) for key, part in (self.fields or {}).items())
        return next((where for where in found if where is not None), None)

    def size(self) -> int:
        """The number of columns, counting each key and each list at any depth."""
        inner = [*(self.fields or {}).values(), *([self.item] if self.item else [])]
        return len(inner) + sum(one.size() for one in inner)

    def _kinds(self) -> int:
        """The number of incompatible types. Null is compatible with every type."""
        groups = (BOOL, _NUMBER, _STRING, BINARY)
        leaves = sum(1 for group in groups if self.leaf & group)
        return leaves + (self.item is not None) + (self.fields is not None)

    @property
    def is_null(self) -> bool:
        return not self._kinds()

    def describe(self) -> str:
        if self.fields is not None:
            return "an object"
        if self.item is not None:
            return f"a list of {self.item.describe()}"
        seen = self.leaf & ~NULL
        return next((name for name, bits in _NAMES.items() if not seen & ~bits), "mixed values")


def misfit(shape: Shape, type: Shape, path: str = "") -> Finding | None:
    """Says at which path the values of `shape` cannot be cast to the type of `type`.

    Neither of the two may have a clash. The bits of `type` determine its Arrow type. Text is text
    unless all values look like dates, and numbers are floating point unless all are whole numbers.
    """
    if shape.is_null:
        return None
    if type.is_null:
        why = f"{path or 'the row'} is {shape.describe()} here, but null in earlier rows"
        return Finding(Kind.NULL_CAST, why)
    if shape.fields is not None and type.fields is not None:
        for key, field in shape.fields.items():
            where = f"{path}.{key}" if path else key
            if key not in type.fields:
                return Finding(Kind.TYPE_DRIFT, f"the row has {where}, which no earlier row has")
            if inner := misfit(field, type.fields[key], where):
                return inner
        return None
    if shape.item is not None and type.item is not None:
        return misfit(shape.item, type.item, f"{path}[]")
    leaf = shape.leaf & ~NULL
    if leaf and not leaf & ~_CASTS.get(_type_of(type), 0):
        return None
    before = f"{type.describe()} in earlier rows"
    return Finding(Kind.TYPE_DRIFT, f"{path} is {shape.describe()} here, but {before}")


def _type_of(shape: Shape) -> int:
    seen = shape.leaf & ~NULL
    if seen & _STRING:
        return TIME if seen == TIME else TEXT
    if seen & _NUMBER:
        return INT if seen == INT else FLOAT
    return seen


def leaf_of(value: object) -> int:
    """The bit for a value that is neither a list nor an object.

    >>> leaf_of("2024-01-01") == TIME, leaf_of("12") == DIGITS, leaf_of(True) == BOOL
    (True, True, True)
    """
    if type(value) in _LEAVES:
        return _LEAVES[type(value)]
    if isinstance(value, float):
        return WHOLE if value.is_integer() else FLOAT
    if isinstance(value, str) and value[:1].isdigit() | value.startswith("-") and len(value) < 40:
        if _DIGITS.fullmatch(value):
            return DIGITS
        if _TIME.fullmatch(value):
            return TIME
    return TEXT


def of_array(rows: Shape, always: Set[str]) -> Shape:
    """The shape that the reader of JSON arrays infers. It uses pandas, which has its own rules.

    `always` are the columns that every row has.
    """
    columns = {key: _of_pandas(key, part) for key, part in (rows.fields or {}).items()}
    for key, column in columns.items():
        if column.is_null and key not in always:
            column.leaf |= INT  # null in some rows and missing in others
    return Shape(fields=columns)


def _of_pandas(name: str, column: Shape) -> Shape:
    seen = column.leaf & ~NULL
    if seen and not seen & ~(TIME | DIGITS) and _DATE_COLUMN.fullmatch(name):
        return Shape(TIME | column.leaf & NULL)
    made = _without_dates(column)
    if seen & WHOLE and not seen & FLOAT:
        made.leaf = made.leaf & ~WHOLE | INT
    return made


def _without_dates(shape: Shape) -> Shape:
    leaf = (shape.leaf & ~TIME) | (TEXT if shape.leaf & TIME else 0)
    item = shape.item and _without_dates(shape.item)
    fields = shape.fields and {key: _without_dates(part) for key, part in shape.fields.items()}
    return Shape(leaf, item, fields)
