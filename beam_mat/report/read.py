"""What the page is made of, out of a dataset on any store."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import msgspec

from beam_mat import manifest as manifests
from beam_mat.core import layout
from beam_mat.core.errors import BeamMatError, ConfigError
from beam_mat.manifest import Manifest
from beam_mat.report.findings import Example, Findings
from beam_mat.report.thumbnail import Thumbnail, thumbnail
from beam_mat.storage import files

MAX_PICTURES = 4
"""Pictures that are drawn of a trajectory; the others are named."""
THREADS = 8


class ReportData(msgspec.Struct, frozen=True):
    """All that the page shows.

    Attributes:
        manifest: The dataset's.
        findings: What was counted, and the sample.
        thumbnails: Small pictures by path, as far as there are such images.
    """

    manifest: Manifest
    findings: Findings
    thumbnails: dict[str, Thumbnail]


def read(output: str) -> ReportData:
    """Reads a published dataset.

    Raises:
        ConfigError: There is none, or none of this version.
    """
    manifest = manifests.read(output)
    if manifest is None:
        raise ConfigError(
            [
                f"{output}: there is no {layout.MANIFEST}, and so no finished dataset; "
                "run beam-mat convert to its end"
            ]
        )
    uri = files.join(output, layout.STATISTICS)
    try:
        findings = msgspec.json.decode(files.read_bytes(uri), type=Findings)
    except FileNotFoundError:
        fault = "is not there; run the same beam-mat convert with --overwrite to count anew"
        raise ConfigError([f"{uri}: {fault}"]) from None
    except msgspec.DecodeError as error:
        fault = f"is not of this version of beam-mat ({error}); run beam-mat convert --overwrite"
        raise ConfigError([f"{uri}: {fault}"]) from error
    return collect(output, manifest, findings)


def collect(output: str, manifest: Manifest, findings: Findings) -> ReportData:
    """Adds the pictures of the examples to what is known of a dataset.

    Args:
        output: Where the dataset is; only its images need be there.
        manifest: What its manifest says or will say.
        findings: What its statistics.json says or will say.
    """
    paths = dict.fromkeys(path for one in findings.examples for path in images_of(one))
    return ReportData(manifest, findings, dict(_thumbnails(output, list(paths))))


def images_of(example: Example) -> list[str]:
    """Paths of the images that are drawn of an example, each once."""
    paths = dict.fromkeys(path for turn in example.turns for path in turn.images)
    return list(paths)[:MAX_PICTURES]


def _thumbnails(output: str, paths: list[str]) -> Iterator[tuple[str, Thumbnail]]:
    def made(path: str) -> Thumbnail | None:
        try:
            return thumbnail(files.read_bytes(files.join(output, layout.IMAGES, path)))
        except (OSError, BeamMatError):  # `verify` is what names an image that is gone or spoiled
            return None

    with ThreadPoolExecutor(THREADS, thread_name_prefix="thumbnail") as pool:
        for path, small in zip(paths, pool.map(made, paths), strict=True):
            if small:
                yield path, small
