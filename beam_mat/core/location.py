"""Where inputs are, as a user names them: an address or a pattern, and what holds for its files."""

import re

import msgspec

from beam_mat.core.trajectory import Schema


class Location(msgspec.Struct, frozen=True):
    """An address or a pattern of inputs.

    `prefix` is put before the image paths of the records in a shard, or before the names of images
    in a source. `schema` is that of a shard, or None.
    """

    uri: str
    prefix: str = ""
    schema: Schema | None = None


_OPTIONS = re.compile(r"((?::(?:prefix|schema)=[^:]*)+)$")
_SHORT = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]*)=(.+)", re.DOTALL)


def read_location(text: str) -> Location:
    """Reads a location as typed. Raises ValueError if an option of it is wrong.

    >>> read_location("gui/*.json:prefix=gui/:schema=aguvis")
    Location(uri='gui/*.json', prefix='gui/', schema=<Schema.AGUVIS: 'aguvis'>)
    >>> read_location("coco=train2017.zip"), read_location("./day=1/a.json").uri
    (Location(uri='train2017.zip', prefix='coco/', schema=None), './day=1/a.json')
    """
    found = _OPTIONS.search(text)
    uri = text[: found.start()] if found else text
    options = found[1][1:].split(":") if found else []
    given = dict[str, str]()
    for option in options:
        name, _, value = option.partition("=")
        if name in given:
            raise ValueError(f"has {name} twice; give it once")
        given[name] = value
    short = _SHORT.fullmatch(uri)
    if short:
        if "prefix" in given:
            raise ValueError("has a prefix at its beginning and at its end; give one")
        given["prefix"], uri = f"{short[1]}/", short[2]
    return location(uri, given.get("prefix"), given.get("schema"))


def location(uri: str, prefix: str | None, schema: str | None) -> Location:
    """Checks the parts of a location. Raises ValueError if one is wrong."""
    if not uri:
        raise ValueError("has no address; give a file, a folder or a pattern")
    if schema not in (None, *(known.value for known in Schema)):
        names = ", ".join(known.value for known in Schema)
        raise ValueError(f"has the schema {schema!r}; give one of {names}")
    return Location(uri, prefix or "", Schema(schema) if schema else None)
