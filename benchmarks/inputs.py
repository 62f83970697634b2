"""The inputs of the cases: from given folders, or from `beam-mat sample`."""

import json
import subprocess
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cache import cached
from make_images import make_images
from make_records import make_records

PICTURES = (".jpg", ".jpeg", ".png")
BRIEF = 300


@dataclass(frozen=True)
class Dataset:
    """A JSON file in MAT's format with its zip. `origin` says what it was made from."""

    json: Path
    zip: Path
    records: int
    origin: str


@dataclass(frozen=True)
class Sources:
    """The user's folders. If a folder is missing, a generated sample is used instead."""

    photos: Path
    mat_sample: Path
    beam_mat: Path

    def images(self, count: int) -> Dataset:
        """`count` images in the sizes of MAT's source datasets, with one record each."""
        photos, origin = self._photos()
        folder = cached(f"images-{count}", photos, lambda to: make_images(to, count, photos))
        return Dataset(folder / "mat.json", folder / "files.zip", count, origin)

    def records(self, count: int, images: int) -> Dataset:
        """`count` full-length records that use `images` tiny images."""
        sample = self.sample()
        folder = cached(
            f"records-{count}-{images}",
            [sample.json],
            lambda to: make_records(to, count, images, _records(sample.json)),
        )
        return Dataset(folder / "mat.json", folder / "files.zip", count, sample.origin)

    def brief_records(self, count: int, images: int) -> Dataset:
        """Like `records`, but with at most `BRIEF` characters per turn to save disk space."""
        sample = self.sample()
        folder = cached(
            f"brief-{count}-{images}",
            [sample.json],
            lambda to: make_records(to, count, images, list(map(_brief, _records(sample.json)))),
        )
        return Dataset(folder / "mat.json", folder / "files.zip", count, sample.origin)

    def sample(self) -> Dataset:
        """The records of the MAT sample and their zip, unchanged."""
        missing = not self.mat_sample.is_dir()
        folder = self._sample() if missing else self.mat_sample
        shard, archive = min(folder.glob("**/*.json")), min(folder.glob("**/*.zip"))
        origin = "records of `beam-mat sample`" if missing else "real MAT records"
        return Dataset(shard, archive, len(_records(shard)), origin)

    def _photos(self) -> tuple[list[Path], str]:
        if photos := _pictures(self.photos):
            return photos, f"{len(photos)} photographs"
        return _pictures(self._sample()), "images of `beam-mat sample`"

    def _sample(self) -> Path:
        return cached("finished-sample", [], self._make_sample)

    def _make_sample(self, folder: Path) -> None:
        command = [str(self.beam_mat), "sample", str(folder / "set"), "--records", "40"]
        subprocess.run([*command, "--images", "30", "--shards", "1"], check=True)
        for archive in sorted(folder.glob("**/*.zip")):
            with zipfile.ZipFile(archive) as members:
                members.extractall(folder / "unzipped")


def _brief(record: dict[str, Any]) -> dict[str, Any]:
    # The placeholders are at the beginning of a turn, so none is lost.
    turns = [{**turn, "content": turn["content"][:BRIEF]} for turn in record["conversations"]]
    return {**record, "conversations": turns}


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURES)


def _records(shard: Path) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = json.loads(shard.read_bytes())
    return records
