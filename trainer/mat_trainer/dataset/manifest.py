"""Finds out what a dataset is: reads the manifest that a finished one has."""

from __future__ import annotations

from mat_trainer.core import manifest
from mat_trainer.core.errors import UnreachableError
from mat_trainer.core.manifest import Manifest
from mat_trainer.dataset.source import Source, told


def read(uri: str) -> Manifest:
    """Reads the manifest of a dataset anywhere.

    Args:
        uri: The dataset's folder: a local path, gs://, s3:// or another address that fsspec knows.

    Raises:
        ConfigError: What is there is no manifest.
        UnreachableError: There is no finished dataset, or it cannot be reached.
    """
    return manifest.parse(read_bytes(Source(uri)))


def read_bytes(source: Source) -> bytes:
    """The manifest as it is. Errors as in `read`."""
    try:
        return source.read(manifest.NAME)
    except (FileNotFoundError, NotADirectoryError):
        raise UnreachableError(
            [
                f"{source.uri}: no {manifest.NAME}; only a finished dataset of beam-mat is trained "
                f"on: beam-mat convert --json … --images … --output {source.uri}"
            ]
        ) from None
    except Exception as error:  # noqa: BLE001 each driver has errors of its own
        raise UnreachableError(
            [
                f"{source.uri}: cannot be read ({told(error)}); check the address, the network "
                "and the credentials of this machine"
            ]
        ) from None
