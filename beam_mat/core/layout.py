"""Paths of all files below the output folder, image paths in records, and the split of a record.

LLaMA-Factory reads all files of a folder, so each format and split has its own folder.

The name of an image file is readable, immutable, and safe on every file system and store. It is the
published path with a hash of the written bytes, and the suffix of the real format. Two files with
the same name therefore have the same bytes, so names can be shortened and characters replaced: a
collision does no harm. A folder's name never looks like a file's.
"""

import hashlib
import itertools
import re
import unicodedata

from beam_mat.core.limits import MAX_PATH_BYTES
from beam_mat.core.settings import JSONL, PARQUET

TRAIN = "train"
VAL = "val"

SUBSETS = tuple(
    "_".join(filter(None, names))
    for names in itertools.product(("", "ranking", "kto"), ("", "tools"), ("", "noid"))
)
"""Subsets of a dataset: rows with equal columns. The first, "", has no columns besides the usual.

In LLaMA-Factory's registry each needs an entry of its own. Rows of `ranking` have two answers,
those of `kto` a label, those of `tools` a list of tools, and those of `noid` no id.
"""

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
UNPACKED = f"{WORK}/unpacked"
"""The texts of compressed shards and the tars of compressed archives, while they are needed."""
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
_USUAL = re.compile(r"(?:(?!\.{1,2}/)[A-Za-z0-9_.-]+/)*(?!\.{1,2}$)[A-Za-z0-9_.-]+")
"""Paths of plain characters, which are safe and need no closer look."""


def columns(subset: str) -> tuple[str, ...]:
    """The columns of a subset's rows that LLaMA-Factory reads.

    >>> columns(""), columns("kto_tools")
    (('messages', 'images', 'system'), ('messages', 'images', 'system', 'tools', 'kto_tag'))
    """
    kinds = subset.split("_")
    more = {"tools": ("tools",), "ranking": ("chosen", "rejected"), "kto": ("kto_tag",)}
    extra = (column for kind, added in more.items() if kind in kinds for column in added)
    return ("messages", "images", "system", *extra)


def has_id(subset: str) -> bool:
    """Whether the rows of a subset have an id."""
    return "noid" not in subset.split("_")


_OTHER = re.compile(r"[^A-Za-z0-9]+")
_SPLIT = re.compile(
    r"(?<![a-z])(train(?:ing)?|val(?:id(?:ation)?)?|dev|test(?:ing)?|eval(?:uation)?)(?![a-z])",
    re.IGNORECASE,
)
"""Words that ``datasets`` takes for a split, wherever they are in the name of a file."""
SHARD_CHARACTERS = 40


def shard_name(name: str) -> str:
    """The name of a shard, without its suffix, for use in names of files.

    ``datasets.load_dataset`` lists a file once for each place in its name where a pattern finds a
    split: the rows of a part ``train-mat_train-…`` would be read twice. So the word `train` stands
    only where `part` puts it, and a shard's own words for a split get the ending `set`, which no
    pattern matches. Hyphens separate the fields of a name, so the shard has none; nor does it begin
    with ``_``, which Arrow and Spark skip.

    >>> shard_name("mat_train"), shard_name("coco-train2017-00000-of-00010"), shard_name("图片")
    ('mat_trainset', 'coco_trainset2017_00000_of_00010', 'shard')
    """
    plain = _OTHER.sub("_", name)[:SHARD_CHARACTERS].strip("_")
    return _SPLIT.sub(r"\1set", plain) or "shard"


def part_folder(format: str, subset: str, split: str) -> str:
    """The flat folder of a format's parts.

    >>> part_folder("jsonl", "", "train"), part_folder("parquet", "ranking", "val")
    ('jsonl', 'parquet_ranking_val')
    """
    return "_".join(filter(None, (format, subset, "" if split == TRAIN else split)))


def part(format: str, subset: str, split: str, name: str) -> str:
    """A part's path below the output folder.

    `name` begins with a `shard_name`, so that it has no other split than `split`.

    >>> part("parquet", "", "train", "mat-0a1b-000")
    'parquet/train-mat-0a1b-000.parquet'
    """
    return f"{part_folder(format, subset, split)}/{split}-{name}.{format}"


PART_FOLDERS = tuple(
    part_folder(*one) for one in itertools.product((JSONL, PARQUET), SUBSETS, (TRAIN, VAL))
)
FLAT_FOLDERS = (*PART_FOLDERS, REJECTS)
"""Folders that have only files of the newest generation."""


def split_of(id: str, val_fraction: float) -> str:
    """The split of a record. It depends only on the id, so it never changes.

    For a record without an id, `id` is a hash of the record.

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
    if len(path) <= MAX_PATH_BYTES and _USUAL.fullmatch(path):
        return None
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
    if len(path) > MAX_PATH_BYTES:  # before it is cut into names, which would take more memory
        return f"{found} more than {MAX_PATH_BYTES} bytes"
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


MAYBE_UNSAFE = r"^$|\\|:|[\x00-\x1f\x7f]|(^|/)\.{0,2}(/|$)|.{1000}"
"""Found in every path that is `unsafe`, in the syntax of re and of RE2, for many paths at once."""


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
