"""Names of image files: readable, immutable, and safe on every file system and store.

A name is the published path with a hash of the written bytes, and the suffix of the real format.
Two files with the same name therefore have the same bytes, so names can be shortened and characters
replaced: a collision does no harm. A folder's name never looks like a file's.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

from beam_mat.core import layout

SUFFIXES = {"JPEG": "jpg", "PNG": "png"}
"""Suffixes of the formats that are written."""

HASH_DIGITS = 16
COMPONENT_BYTES = 120
"""UTF-8 bytes of a component. With hash and suffix it is below every file system's limit."""
FOLDERS_BYTES = 600
"""UTF-8 bytes of all folders: object stores allow 1,024 for a whole name, prefix included."""

_PUNCTUATION = frozenset(" -_.,+=@()")
_FILE = re.compile(rf"\.[0-9a-f]{{{HASH_DIGITS}}}\.(?:jpg|png)$", re.IGNORECASE)


def image_file(path: str, sha256: str, format: str) -> str:
    """Returns the image's file below the output folder.

    Args:
        path: The published path; `core.path.unsafe` has accepted it.
        sha256: SHA-256 of the file's bytes, in hexadecimal.
        format: Key of `SUFFIXES`.

    >>> image_file("coco/000000000009.jpeg", "3f9a1c2b77aa00ff" + 48 * "0", "JPEG")
    'images/coco/000000000009.3f9a1c2b77aa00ff.jpg'
    >>> image_file("b.png?versionId=", "3f9a1c2b77aa00ff" + 48 * "0", "PNG")
    'images/b.3f9a1c2b77aa00ff.png'
    """
    *folders, name = path.split("/")
    places = [_folder(folder) for folder in folders]
    if len("/".join(places).encode()) > FOLDERS_BYTES:
        places = [places[0], hashlib.sha256("/".join(folders).encode()).hexdigest()[:16]]
    stem = name.rpartition(".")[0] or name
    file = f"{_component(stem)}.{sha256[:HASH_DIGITS]}.{SUFFIXES[format]}"
    return "/".join((layout.IMAGES, *places, file))


def _folder(name: str) -> str:
    name = _component(name)
    return f"{name}_" if _FILE.search(name) or name[-1] in ". " else name


def _component(name: str) -> str:
    """Replaces characters that are special for a store, a shell or a file system.

    >>> _component("a b%20?*[1]"), _component("图片")
    ('a b_20___1_', '图片')
    """
    kept = "".join(
        one if one in _PUNCTUATION or unicodedata.category(one)[0] in "LMN" else "_" for one in name
    )
    return kept.encode()[:COMPONENT_BYTES].decode(errors="ignore")
