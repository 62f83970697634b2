"""Patterns of files: which URIs match, which names never do, and which folders a pattern reaches.

Segments are compared one by one: ``*`` matches no slash, and ``**`` matches any folders. A wildcard
never matches a name that begins with a dot, nor ``__MACOSX``: these are not data, but what systems
leave beside it.
"""

import fnmatch
from collections.abc import Sequence
from glob import has_magic


def is_hidden(name: str) -> bool:
    """Whether a file or folder is none of the user's, by its name.

    >>> is_hidden("._a.json"), is_hidden(".DS_Store"), is_hidden("__MACOSX"), is_hidden("a.json")
    (True, True, True, False)
    """
    return name.startswith(".") or name == "__MACOSX"


def fits(uri: str, pattern: str) -> bool:
    """Whether a file's URI is the pattern, or matches it.

    >>> fits("gs://b/in/a.json", "gs://b/in/*.json"), fits("gs://b/in/x/a.json", "gs://b/in/*.json")
    (True, False)
    >>> fits("/in/._a.json", "/in/*.json"), fits("/in/x/__MACOSX/a.json", "/in/**/*.json")
    (False, False)
    >>> fits("/in/.x/a.json", "/in/.x/*.json")
    True
    """
    return uri == pattern or _fits(uri.split("/"), pattern.split("/"))


def _fits(names: Sequence[str], patterns: Sequence[str]) -> bool:
    if not patterns:
        return not names
    if patterns[0] == "**":
        if _fits(names, patterns[1:]):
            return True
        return bool(names) and not is_hidden(names[0]) and _fits(names[1:], patterns)
    return bool(names) and _matches(names[0], patterns[0]) and _fits(names[1:], patterns[1:])


def _matches(name: str, pattern: str) -> bool:
    if not fnmatch.fnmatchcase(name, pattern):
        return False
    return not is_hidden(name) or not has_magic(pattern) or pattern.startswith(".")


def hides(uri: str, pattern: str) -> bool:
    """Whether a file that a store has found by a pattern has a name that wildcards never match.

    >>> hides("/a/.b/c/._d.json", "/a/.b/**"), hides("/a/.b/c/d.json", "/a/.b/**")
    (True, False)
    """
    names, patterns = uri.split("/"), pattern.split("/")
    fixed = next((at for at, one in enumerate(patterns) if has_magic(one)), len(patterns))
    if any(one.startswith(".") for one in patterns[fixed:]):
        return not fits(uri, pattern)
    return any(map(is_hidden, names[fixed:]))


LITERAL = ("gs://", "gcs://", "s3://", "s3a://", "hf://", "memory://", "file://")
"""Addresses in which no character has a meaning; see `beam_mat.storage.drivers`."""


def name_fault(uri: str) -> str | None:
    r"""Why a file that a store has found cannot be used, by its name.

    >>> name_fault("/in/a.json"), name_fault("/in/x::y.json")
    (None, None)
    >>> name_fault("gs://b/x::y.json"), name_fault("ftp://b/x::y.json")
    (None, 'its name has ::, which joins addresses')
    >>> name_fault("/in/\udcff.json")
    'its name is not UTF-8'
    """
    try:
        uri.encode()
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    if "::" in uri and "://" in uri and not uri.startswith(LITERAL):
        return "its name has ::, which joins addresses"
    return None


def reaches(pattern: str, folder: str) -> bool:
    """Whether a pattern can match a file in a folder or below it.

    >>> reaches("/in/**", "/in/out"), reaches("/in/*/*.json", "/in/out")
    (True, True)
    >>> reaches("/in/*.json", "/in/out"), reaches("/in/a/*", "/in/out")
    (False, False)
    """
    return has_magic(pattern) and _reaches(pattern.split("/"), folder.rstrip("/").split("/"))


def _reaches(patterns: Sequence[str], folders: Sequence[str]) -> bool:
    if not folders:
        return bool(patterns)
    if not patterns:
        return False
    if patterns[0] == "**":
        # It matches the rest of the folders, and the files below them.
        return True
    return _matches(folders[0], patterns[0]) and _reaches(patterns[1:], folders[1:])
