"""Image paths: mapped from the JSON's spelling to the zip's, and refused when they could escape."""

from __future__ import annotations

import re

from beam_mat.core.limits import MAX_NAME_BYTES, MAX_PATH_BYTES

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def rewrite(path: str, prefixes: tuple[tuple[str, str], ...]) -> str:
    """Replaces the first prefix of `prefixes` that `path` begins with.

    >>> rewrite("data/open_llava_next/coco/1.jpg", (("data/open_llava_next/", "tongagent/"),))
    'tongagent/coco/1.jpg'
    """
    for old, new in prefixes:
        if path.startswith(old):
            return new + path[len(old) :]
    return path


def unsafe(path: str) -> str | None:
    r"""What makes `path` unfit as a name below the output folder, or None when it is fit.

    >>> unsafe("tongagent/coco/1.jpg")
    >>> unsafe("../../etc/passwd")
    "'..' in '../../etc/passwd'"
    >>> unsafe("C:/Windows/x.png")
    "a drive or scheme in 'C:/Windows/x.png'"
    """
    if not path:
        return "the path is empty"
    shown = repr(path if len(path) <= 200 else path[:200] + "…")
    if path.startswith("/"):
        return f"a leading / in {shown}"
    if "\\" in path:
        return f"a backslash in {shown}"
    if ":" in path.split("/", 1)[0]:
        return f"a drive or scheme in {shown}"
    if "::" in path:
        return f"'::', which chains addresses, in {shown}"
    if _CONTROL.search(path):
        return f"a control character in {shown}"
    names = path.split("/")
    for name in names:
        if name in ("", ".", ".."):
            return f"{name!r} in {shown}"
    try:
        lengths = [len(name.encode()) for name in names]
    except UnicodeEncodeError:
        return f"an unpaired surrogate in {shown}"
    if max(lengths) > MAX_NAME_BYTES:
        return f"a name of over {MAX_NAME_BYTES} bytes in {shown}"
    if sum(lengths) + len(names) - 1 > MAX_PATH_BYTES:
        return f"over {MAX_PATH_BYTES} bytes in {shown}"
    return None
