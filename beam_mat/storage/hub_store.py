"""Hugging Face's hub: datasets are read where they are, and never written."""

from __future__ import annotations

from typing import Any, NoReturn

from beam_mat.core.errors import OutputError
from beam_mat.storage.remote_store import RemoteStore


class HubStore(RemoteStore):
    """The hub. Every change is refused with an `OutputError`."""

    read_only = True

    def _range_options(self, end: int) -> dict[str, Any]:
        # The driver reads megabytes ahead, and asks for the size first if it does not get one.
        return {"cache_type": "none", "size": end}

    def _refuse(self, *arguments: Any, **named: Any) -> NoReturn:
        path = next(one for one in (*arguments, *named.values()) if isinstance(one, str))
        raise OutputError(
            f"{self.uri(path)}: the hub is read only to beam-mat; choose another output folder"
        )

    staged = place = place_new = create = move = remove_file = remove = prune = _refuse
