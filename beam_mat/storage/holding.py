"""Whether a file holds given content already."""

from __future__ import annotations

import hashlib

from beam_mat.core.errors import SourceError
from beam_mat.storage.store import Reads, Written


def holds(store: Reads, path: str, written: Written) -> bool:
    """Whether a file has this size and this SHA-256. The content is read if the size is right."""
    found = store.file_at(path)
    if found is None or found.size != written.bytes:
        return False
    digest = hashlib.sha256()
    try:
        for block in store.read_blocks(path, 0, written.bytes):
            digest.update(block)
    except (FileNotFoundError, SourceError):  # another process removed or replaced it meanwhile
        return False
    return digest.hexdigest() == written.sha256
