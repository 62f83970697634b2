"""Image paths: maps the paths in the JSON to paths in the zips, and rejects unsafe paths."""

from __future__ import annotations

import re

from beam_mat.core.limits import MAX_PATH_BYTES

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def rewrite(path: str, prefixes: tuple[tuple[str, str], ...]) -> str:
    """Replaces the first old prefix in `prefixes` with which `path` begins.

    >>> rewrite("data/open_llava_next/coco/1.jpg", (("data/open_llava_next/", "tongagent/"),))
    'tongagent/coco/1.jpg'
    """
    for old, new in prefixes:
        if path.startswith(old):
            return new + path[len(old) :]
    return path


def unsafe(path: str) -> str | None:
    r"""Why `path` must not be used as a name below the output folder, or None if it is safe.

    >>> unsafe("tongagent/coco/1.jpg")
    >>> unsafe("../../etc/passwd")
    "the path '../../etc/passwd' has the component '..'"
    >>> unsafe("C:/Windows/x.png")
    "the path 'C:/Windows/x.png' has a drive or scheme"
    """
    if not path:
        return "the path is empty"
    shown = path if len(path) <= 200 else path[:200] + "…"
    found = f"the path {shown!r} has"
    if path.startswith("/"):
        return f"{found} a leading /"
    if "\\" in path:
        return f"{found} a backslash"
    if ":" in path.split("/", 1)[0]:
        return f"{found} a drive or scheme"
    if "::" in path:
        return f"{found} '::', which fsspec uses to chain addresses"
    if _CONTROL.search(path):
        return f"{found} a control character"
    names = path.split("/")
    for name in names:
        if name in ("", ".", ".."):
            return f"{found} the component {name!r}"
    try:
        length = len(path.encode())
    except UnicodeEncodeError:
        return f"{found} an unpaired surrogate"
    if length > MAX_PATH_BYTES:
        return f"{found} more than {MAX_PATH_BYTES} bytes"
    return None
