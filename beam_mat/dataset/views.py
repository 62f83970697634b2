"""Views: the files at the top of the output folder, which describe the newest generation.

manifest.json has the inputs, the configuration and the files of the dataset. It depends only on the
newest generation, so it has no timestamp and no runner.
"""

import logging
from collections.abc import Callable, Container, Iterable
from typing import Any

import msgspec
import pyarrow as pa

from beam_mat.core import layout
from beam_mat.core.results import Broken, Part
from beam_mat.core.settings import FORMAT, JSONL
from beam_mat.core.trajectory import Schema
from beam_mat.dataset import image_table
from beam_mat.dataset.commit import Snapshot, in_order
from beam_mat.storage import files
from beam_mat.work import results

_LOG = logging.getLogger(__name__)

_TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "observation_tag": "observation",
    "function_tag": "function_call",
    "system_tag": "system",
}


class ImageInput(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A zip or folder of images as it was converted; see `core.results.Source`."""

    uri: str
    size: int
    version: str
    prefix: str = ""


class JsonInput(ImageInput, frozen=True, omit_defaults=True, kw_only=True):
    """A shard as it was converted. The fields are as in `core.results.ShardSummary`."""

    records: int
    schema: Schema
    why: str
    compression: str = ""
    key: str = ""
    broken: Broken | None = None


class Inputs(msgspec.Struct, frozen=True):
    """The inputs, in order."""

    json: tuple[JsonInput, ...]
    images: tuple[ImageInput, ...]


class Manifest(msgspec.Struct, frozen=True):
    """The content of manifest.json; see docs/outputs.md."""

    format: int
    generation: int
    command: str
    made_by: dict[str, str]
    inputs: Inputs
    configuration: dict[str, Any]
    counts: dict[str, Any]
    parts: tuple[Part, ...]
    rejects: tuple[Part, ...]
    image_table: Part

    def files(self) -> tuple[Part, ...]:
        """Returns all listed files. The images are listed in the image table, which is first."""
        return (self.image_table, *self.parts, *self.rejects)


Report = Callable[[str, Manifest, Snapshot], object]
"""Writes report.html. The arguments are the output folder, its manifest and the snapshot."""


def write(
    output: str, snapshot: Snapshot, report: Report | None, table: pa.Table | None = None
) -> Manifest:
    """Writes the views of the newest generation; manifest.json is the last.

    `table` has the rows of its image tables, if they are in memory.
    """
    _write(output, layout.DATASET_INFO, dataset_info(snapshot.parts(), name_of(snapshot)))
    manifest = _manifest_of(snapshot, image_table.write_view(output, snapshot.images, table))
    if report:
        try:
            report(output, manifest, snapshot)
        except Exception as error:  # noqa: BLE001 the dataset is complete without the report
            _LOG.warning("%s: the report could not be written: %s", output, error)
    _write(output, layout.MANIFEST, manifest)
    return manifest


def _manifest_of(snapshot: Snapshot, table: Part) -> Manifest:
    """Returns the manifest of the newest generation. `table` is images.parquet."""
    made = snapshot.made
    assert made is not None
    inputs = {
        "json": in_order(snapshot.shards.values()),
        "images": in_order(snapshot.sources.values()),
    }
    return Manifest(
        format=FORMAT,
        generation=snapshot.number,
        command=made.command,
        made_by=made.made_by,
        inputs=msgspec.convert(inputs, Inputs, from_attributes=True),
        configuration=made.configuration,
        counts=snapshot.counts,
        parts=tuple(snapshot.parts()),
        rejects=tuple(snapshot.rejects()),
        image_table=table,
    )


def read_manifest(output: str) -> Manifest | None:
    """Returns the manifest of a dataset, or None. Raises as `results.read_stored`."""
    return results.read_stored(files.join(output, layout.MANIFEST), "manifest", Manifest)


def name_of(snapshot: Snapshot) -> str:
    """The name of its entries, see `entry_name`."""
    made = snapshot.made
    return str(made.configuration.get("name", "mat")) if made else "mat"


def dataset_info(parts: Iterable[Part], name: str) -> dict[str, Any]:
    """Returns LLaMA-Factory's entries, one for each folder of parts.

    With the name "mat", these are `mat` for JSONL and `mat_parquet`, each of them again with
    `_val`, and the same for each subset of `layout.SUBSETS`, such as `mat_ranking`.

    If an entry has some columns or tags, LLaMA-Factory ignores its defaults for the others. So all
    are given.
    """
    entries: dict[str, Any] = {}
    parts = list(parts)
    subsets = {part.subset for part in parts}
    for subset, format, split in sorted({(one.subset, one.format, one.split) for one in parts}):
        place = layout.part_folder(format, subset, split)
        named = entry_name(name, format, subset, split, subsets)
        entries[named] = {"file_name": place, "formatting": "sharegpt"}
        if "ranking" in subset:
            entries[named]["ranking"] = True
        columns = {column: column for column in layout.columns(subset)}
        entries[named] |= {"columns": columns, "tags": _TAGS}
    return entries


def entry_name(name: str, format: str, subset: str, split: str, subsets: Container[str]) -> str:
    """Returns the name of an entry.

    "noid" is in it only if the dataset has rows of the same kind with ids, which `subsets` says.

    >>> entry_name("mat", "jsonl", "ranking_noid", "train", {"ranking_noid"})
    'mat_ranking'
    >>> entry_name("mat", "parquet", "noid", "val", {"", "noid"})
    'mat_noid_parquet_val'
    """
    if not layout.has_id(subset):
        with_ids = subset.removesuffix("noid").removesuffix("_")
        subset = subset if with_ids in subsets else with_ids
    words = (
        name,
        subset,
        "" if format == JSONL else format,
        "" if split == layout.TRAIN else split,
    )
    return "_".join(filter(None, words))


def withdraw(output: str) -> None:
    """Removes the views. The manifest is removed first, so that readers find no dataset."""
    names = (layout.MANIFEST, layout.DATASET_INFO, layout.REPORT, layout.STATISTICS)
    for name in (*names, layout.IMAGE_TABLE):
        files.remove_file(files.join(output, name))


def _write(output: str, path: str, value: Any) -> None:
    data = msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"
    files.write_bytes(files.join(output, path), data, files.join(output, layout.SCRATCH))
