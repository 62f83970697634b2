"""Paths of all files below the output folder, image paths in records, and the split of a record.

LLaMA-Factory reads all files of a folder, so each format and split has its own folder.

The name of an image file is readable, immutable, and safe on every file system and store. It is the
published path with a hash of the written bytes, and the suffix of the real format. Two files with
the same name therefore have the same bytes, so names can be shortened and characters replaced: a
collision does no harm. A folder's name never looks like a file's.
"""

import hashlib
import re
import unicodedata

from beam_mat.core.limits import MAX_PATH_BYTES
from beam_mat.core.settings import JSONL, PARQUET

TRAIN = "train"
VAL = "val"

MANIFEST = "manifest.json"
DATASET_INFO = "dataset_info.json"
REPORT = "report.html"
STATISTICS = "statistics.json"
"""The data of the report, except the manifest and the images."""
IMAGES = "images"
IMAGE_TABLE = "images.parquet"
REJECTS = "rejects"
GENERATIONS = "generations"
"""The log: one file per commit."""
REPLACED = "replaced"
"""Parts and rejects of older generations that the newest generation does not have."""

WORK = "_beam_mat"
"""Files for jobs, not for readers of the dataset."""
PENDING = f"{WORK}/job.json"
"""The conversion that was started but not committed."""
WATCHED = f"{WORK}/watched"
"""Exists if a watch has run, which may have left images that no table of images names."""
LEASE = f"{WORK}/lease"
SUBMITTED = f"{WORK}/dataflow.json"
"""The job that a service runs, possibly without a driver."""
VERIFIED = f"{WORK}/verified.json"
SCRATCH = f"{WORK}/scratch"
SPLITS = f"{WORK}/shards"
REQUESTS = f"{WORK}/requests"
OUTPUTS = f"{WORK}/chunks"
IMAGE_RESULTS = f"{WORK}/images"
"""One folder for each batch of images."""
SUMMARIES = f"{WORK}/summaries"
"""One folder for each fingerprint."""
TEXT_ONLY = f"{WORK}/text-only"
"""Parts without images, which will be mixed."""
MISSING = f"{WORK}/missing"
"""Missing images in groups. One folder for each fingerprint."""
MIXES = f"{WORK}/mixes"
WATCH = f"{WORK}/watch"
"""Messages between the steps of a watch."""

SUFFIXES = {"JPEG": "jpg", "PNG": "png"}
"""Suffixes of the formats that are written."""

DEFAULT_REWRITE = (("data/open_llava_next/", "tongagent/"),)
"""Prefixes of paths in the JSON of MAT, and in its zip."""

HASH_DIGITS = 16
COMPONENT_BYTES = 120
"""UTF-8 bytes of a component. With hash and suffix it is below every file system's limit."""
FOLDERS_BYTES = 600
"""UTF-8 bytes of all folders: object stores allow 1,024 for a whole name, prefix included."""

_PUNCTUATION = frozenset(" -_.,+=@()")
_FILE = re.compile(rf"\.[0-9a-f]{{{HASH_DIGITS}}}\.(?:jpg|png)$", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def part_folder(format: str, split: str) -> str:
    """The flat folder of a format's parts.

    >>> part_folder("jsonl", "train"), part_folder("parquet", "val")
    ('jsonl', 'parquet_val')
    """
    return format if split == TRAIN else f"{format}_{split}"


def part(format: str, split: str, name: str) -> str:
    """A part's path below the output folder.

    >>> part("parquet", "train", "mat-0a1b-000")
    'parquet/train-mat-0a1b-000.parquet'
    """
    return f"{part_folder(format, split)}/{split}-{name}.{format}"


PART_FOLDERS = tuple(part_folder(f, s) for f in (JSONL, PARQUET) for s in (TRAIN, VAL))
FLAT_FOLDERS = (*PART_FOLDERS, REJECTS)
"""Folders that have only files of the newest generation."""


def split_of(id: str, val_fraction: float) -> str:
    """The split of a record. It depends only on the id, so it never changes.

    >>> split_of("i0AjblJ-", 0.0), split_of("i0AjblJ-", 1.0)
    ('train', 'val')
    """
    share = int.from_bytes(hashlib.sha256(id.encode()).digest()[:8], "big") / (1 << 64)
    return VAL if share < val_fraction else TRAIN


def rewrite(path: str, prefixes: tuple[tuple[str, str], ...]) -> str:
    """Replaces the first old prefix in `prefixes` with which `path` begins.

    A pair may have one ``*`` on each side, for what stays the same between a prefix and a suffix.

    >>> rewrite("data/open_llava_next/coco/1.jpg", (("data/open_llava_next/", "tongagent/"),))
    'tongagent/coco/1.jpg'
    >>> rewrite("ocr/1.jpg", (("ocr/*.jpg", "ocr_vqa/*.png"),))
    'ocr_vqa/1.png'
    """
    for old, new in prefixes:
        begin, _, end = old.partition("*")
        if path.startswith(begin) and path.endswith(end) and len(path) >= len(begin) + len(end):
            before, _, after = new.partition("*")
            return before + path[len(begin) : len(path) - len(end)] + after
    return path


def unsafe(path: str) -> str | None:
    r"""Why `path` must not be used as a name below the output folder, or None if it is safe.

    >>> unsafe("tongagent/coco/1.jpg")
    >>> unsafe("../../etc/passwd")
    "the path '../../etc/passwd' has the component '..'"
    """
    if not path:
        return "the path is empty"
    shown = path if len(path) <= 200 else path[:200] + "…"
    found = f"the path {shown!r} has"
    if path.startswith("/"):
        return f"{found} a leading /"
    if "\\" in path:
        return f"{found} a backslash"
    if ":" in path.split("/", 1)[0]:
        return f"{found} a drive or scheme"
    if "::" in path:
        return f"{found} '::', which fsspec uses to chain addresses"
    if _CONTROL.search(path):
        return f"{found} a control character"
    for name in path.split("/"):
        if name in ("", ".", ".."):
            return f"{found} the component {name!r}"
    try:
        length = len(path.encode())
    except UnicodeEncodeError:
        return f"{found} an unpaired surrogate"
    if length > MAX_PATH_BYTES:
        return f"{found} more than {MAX_PATH_BYTES} bytes"
    return None


def image_file(path: str, sha256: str, format: str) -> str:
    """The image's file below the output folder, for a published path that is not `unsafe`.

    `sha256` is that of the file's bytes, in hexadecimal, and `format` a key of `SUFFIXES`.

    >>> image_file("b.png?versionId=", "3f9a1c2b77aa00ff" + 48 * "0", "PNG")
    'images/b.3f9a1c2b77aa00ff.png'
    """
    *folders, name = path.split("/")
    places = [_folder(folder) for folder in folders]
    if len("/".join(places).encode()) > FOLDERS_BYTES:
        places = [places[0], hashlib.sha256("/".join(folders).encode()).hexdigest()[:16]]
    stem = name.rpartition(".")[0] or name
    file = f"{_component(stem)}.{sha256[:HASH_DIGITS]}.{SUFFIXES[format]}"
    return "/".join((IMAGES, *places, file))


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
