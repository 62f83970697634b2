"""``--sources FILE``: inputs that are listed in a YAML file, for sets that consist of many."""

import argparse
import posixpath
from collections.abc import Iterator
from typing import Any

from beam_mat.core.location import Location, location, read_location
from beam_mat.storage import files

_KEYS = {"uri", "prefix", "schema"}


def add_sources(typed: argparse.Namespace, faults: list[str]) -> None:
    """Adds the inputs of ``--sources`` to those that were typed, after them.

    Addresses in the file are relative to its folder. What is wrong is added to `faults`.
    """
    uri = typed.sources
    if not uri:
        return
    try:
        listed = _read(uri)
    except FileNotFoundError:
        faults.append(f"--sources {uri}: there is no such file; check the path")
        return
    except (OSError, ValueError) as error:
        faults.append(f"--sources {uri}: {error}")
        return
    for name in ("json", "images"):
        found = list(_locations(uri, name, listed.get(name) or [], faults))
        setattr(typed, name, [*(getattr(typed, name) or []), *found] or None)


def _read(uri: str) -> dict[str, Any]:
    import yaml

    try:
        listed = yaml.safe_load(files.read_bytes(uri))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"is not YAML ({' '.join(str(error).split())}); correct it") from None
    if not isinstance(listed, dict) or not listed.keys() <= {"json", "images"}:
        raise ValueError("must have the lists json and images, and nothing else")
    return listed


def _locations(uri: str, name: str, listed: Any, faults: list[str]) -> Iterator[Location]:
    if not isinstance(listed, list):
        faults.append(f"--sources {uri}: {name} is not a list; write one address per line")
        return
    for number, item in enumerate(listed):
        at = f"--sources {uri}: item {number} of {name}"
        try:
            found = read_location(item) if isinstance(item, str) else _location(item)
        except ValueError as error:
            faults.append(f"{at} {error}")
            continue
        yield Location(_from(uri, found.uri), found.prefix, found.schema)


def _location(item: Any) -> Location:
    if not isinstance(item, dict) or not isinstance(item.get("uri"), str):
        raise ValueError("is neither an address nor an object with uri; write uri: ADDRESS")
    if alien := sorted(map(str, item.keys() - _KEYS)):
        raise ValueError(f"has the key {alien[0]}; the keys are uri, prefix and schema")
    if not all(isinstance(value, str) for value in item.values()):
        raise ValueError("has a value that is not text; write it in quotes")
    return location(item["uri"], item.get("prefix"), item.get("schema"))


def _from(uri: str, address: str) -> str:
    """An address relative to the folder of a file."""
    folder = posixpath.dirname(uri)
    if not folder or "://" in address or address.startswith("/"):
        return address
    return f"{folder}/{address}"
