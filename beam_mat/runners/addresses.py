"""Checks the addresses of inputs and output. What is wrong with them is added to `faults`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from beam_mat.core import layout
from beam_mat.core.credentials import without_credentials
from beam_mat.core.errors import StoreError
from beam_mat.storage import files, stores


def usable(faults: list[str], option: str, uris: Sequence[str]) -> Iterator[str]:
    """Yields the addresses that can be used at all; nothing is looked up."""
    for uri in uris:
        if fault := stores.fault_of(uri):
            faults.append(f"{option} {without_credentials(uri)}: {fault}")
        else:
            yield uri


def output_folder(faults: list[str], uri: str | None, sources: Sequence[str]) -> str:
    """The URI of the output folder, "" where it cannot be used.

    `uri` is as typed, or None if it is missing, which has been reported. The output must not
    overlap the folders and zips in `sources`.
    """
    if not uri or not list(usable(faults, "--output", [uri])):
        return ""
    try:
        output = files.normalize(uri)
        if files.is_read_only(output):
            faults.append(
                f"--output {uri}: the hub is read only here; name a folder on a disk or an object "
                "store, and upload it from there"
            )
            return ""
        if files.exists(output) and not files.is_folder(output):
            faults.append(f"--output {uri}: this is a file; name a folder")
            return output
        faults += [
            f"--output {uri}: overlaps the images in {source}, and would mix with them; name a "
            "folder beside them"
            for source in sources
            if f"{output}/".startswith(f"{source}/") or f"{source}/".startswith(f"{output}/")
        ]
        ours = (files.join(output, name) for name in (layout.MANIFEST, layout.WORK))
        if not any(map(files.exists, ours)) and files.find(output):
            faults.append(
                f"--output {uri}: holds files that are not a dataset of beam-mat, and would mix "
                "with its own; name a new or an empty folder"
            )
    except StoreError as error:
        faults.append(f"--output {error}")
        return ""
    except (OSError, ValueError) as error:
        faults.append(f"--output {uri}: cannot be used ({error}); name another folder")
        return ""
    return output
