"""The settings of the pipeline's steps."""

import hashlib

import msgspec

from beam_mat.core.image import ImageRules
from beam_mat.core.trajectory import Reading, Schema

FORMAT = 3
"""Version of the output's layout. It is part of every name, so that layouts never mix."""

JSONL = "jsonl"
PARQUET = "parquet"


class Settings(msgspec.Struct, frozen=True):
    """Checked and complete: no step decides on a default.

    Attributes:
        output: URI of the output folder.
        prefixes: Path prefixes to replace, as pairs of old and new.
        schema: The schema of all shards, or None to decide for each shard.
        name: The name of the entries in dataset_info.json.
        val_fraction: Share of ids that goes to the validation set, 0 to 1.
        drop_duplicates: Whether only the first record of an id is kept.
        zip_encoding: Codec of names in zips and tars that do not say theirs, as Python calls it; ""
            for UTF-8 and code page 437, see `core.member_name.decode`.
        records: The key of the list of records in a shard that is one object, or "" to find it.
        resizer: Name and version of the library that resizes pictures.
        fingerprint: A hash of inputs and configuration: jobs with equal hashes write the same
            dataset. For a watch, which has no fixed inputs, a hash of its configuration.
        resume: Whether the output folder may have work results.
        image_workers: Number of processes that convert images, beside each process of the runner.
            0 for the cores that it may use.
        progress: ``host:port`` on loopback, to which progress is sent, or "".
        storage: Storage options for workers on other machines: JSON without secrets, or the name of
            a file that they can read; "" for none. Not part of any name.
    """

    output: str
    images: ImageRules = ImageRules()
    prefixes: tuple[tuple[str, str], ...] = ()
    schema: Schema | None = None
    name: str = "mat"
    formats: tuple[str, ...] = (JSONL, PARQUET)
    val_fraction: float = 0.0
    drop_duplicates: bool = False
    zip_encoding: str = ""
    records: str = ""
    resizer: str = ""
    fingerprint: str = ""
    resume: bool = False
    image_workers: int = 0
    progress: str = ""
    storage: str = ""

    def reading(self, schema: Schema, prefix: str) -> Reading:
        """How the records of a shard with this schema and prefix are read."""
        return Reading(schema, self.prefixes, prefix)

    def image_digest(self) -> str:
        """A hash of the settings that affect an image's bytes, for names."""
        return _digest([FORMAT, *self.images.changes(), self.resizer])

    def digest(self) -> str:
        """A hash of the settings that affect the output's bytes, for names."""
        records = [
            self.prefixes,
            self.schema,
            sorted(self.formats),
            self.val_fraction,
            self.drop_duplicates,
            self.zip_encoding,
            self.records,
        ]
        return _digest([self.image_digest(), *records])


def _digest(values: list[object]) -> str:
    return hashlib.sha256(msgspec.json.encode(values)).hexdigest()[:12]
