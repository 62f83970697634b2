"""Options and arguments that several commands share."""

from argparse import Namespace, _ArgumentGroup

from beam_mat.cli import values
from beam_mat.cli.command_line import CommandLine
from beam_mat.core.credentials import without_credentials
from beam_mat.core.errors import ConfigError
from beam_mat.core.geometry import Budget
from beam_mat.core.image import ImageRules, resizer_name
from beam_mat.core.layout import DEFAULT_REWRITE
from beam_mat.core.location import read_location
from beam_mat.core.proposal import Pairs
from beam_mat.core.settings import Settings
from beam_mat.core.trajectory import Schema
from beam_mat.storage import files, stores

_REWRITE = " ".join(f"{old}={new}" for old, new in DEFAULT_REWRITE)


def add_conversion(line: CommandLine, *, images: str, keep: str) -> None:
    """Adds the options of ``convert`` and ``watch``.

    `images` is the help of ``--images``, `keep` the default of ``--keep-generations`` in its help.
    """
    group = line.add_argument_group("input and output")
    group.add_argument(
        "--json",
        type=read_location,
        nargs="+",
        metavar="URI",
        help="JSON shards: arrays of records or JSON Lines, also compressed (gzip, bzip2, xz, "
        "zstd); globs and any fsspec URI",
    )
    group.add_argument(
        "--records",
        default="",
        metavar="KEY",
        help="the key of the list of records, in shards that are one object with several lists "
        "(default: the only list of objects)",
    )
    group.add_argument("--images", type=read_location, nargs="+", metavar="URI", help=images)
    group.add_argument(
        "--sources",
        metavar="FILE",
        help="more inputs, in a YAML file with the lists json and images: for sets that consist of "
        "many, each with a prefix or schema of its own",
    )
    group.add_argument("--output", metavar="URI", help="folder to write the dataset to")
    group.add_argument(
        "--overwrite", action="store_true", help="replace the dataset that is in the output folder"
    )
    group.add_argument(
        "--storage-options",
        metavar="JSON|FILE",
        help="options of file systems: a JSON object with an entry for each protocol, such as "
        '{"gs": {"token": "anon"}}, or a file that contains one; use a file for secrets',
    )
    group.add_argument(
        "--formats",
        type=values.formats,
        default="jsonl,parquet",
        metavar="LIST",
        help="jsonl, parquet or both (default: %(default)s)",
    )
    group.add_argument(
        "--detach",
        action="store_true",
        help="with --runner DataflowRunner: submit the job, print where it is, and end",
    )
    add_image_workers(group)
    group.add_argument(
        "--keep-generations",
        type=values.generations,
        metavar="N|all",
        help="how many generations to keep, for use as URI@N; files that only older generations "
        f"need are removed (default: {keep})",
    )
    group.add_argument(
        "--name",
        type=values.name,
        default="mat",
        metavar="NAME",
        help="name of the entries in dataset_info.json (default: %(default)s)",
    )
    group = line.add_argument_group("rules")
    group.add_argument(
        "--schema",
        type=values.one_of("auto", *(schema.value for schema in Schema)),
        default="auto",
        metavar="auto|NAME",
        help="shape of the records: "
        f"{', '.join(schema.value for schema in Schema)}; beam-mat schemas describes them "
        "(default: auto, which decides for each shard)",
    )
    group.add_argument(
        "--max-pixels",
        type=values.whole_number(28 * 28),
        default=262144,
        metavar="N",
        help="scale larger images down to N pixels, width times height (default: %(default)s)",
    )
    group.add_argument(
        "--min-pixels",
        type=values.whole_number(1),
        default=1024,
        metavar="N",
        help="scale smaller images up to N pixels (default: %(default)s)",
    )
    group.add_argument(
        "--rewrite",
        type=values.prefix,
        nargs="+",
        metavar="OLD=NEW",
        help="path prefixes to replace; the first that matches is used. With one * on each side, "
        f"also suffixes: 'ocr/*.jpg=ocr/*.png'. {_REWRITE} follows",
    )
    group.add_argument(
        "--no-default-rewrite",
        action="store_true",
        help=f"do not replace {_REWRITE}",
    )
    group.add_argument(
        "--zip-encoding",
        type=values.encoding,
        metavar="NAME",
        help="encoding of names in zips and tars that do not say theirs, such as gbk (default: "
        "UTF-8 where it fits, otherwise cp437)",
    )
    group.add_argument(
        "--val-fraction",
        type=values.fraction,
        default=0.0,
        metavar="FRACTION",
        help="share of ids, chosen by hash, for the validation set (default: %(default)s)",
    )
    group.add_argument(
        "--limit",
        type=values.whole_number(1),
        metavar="N",
        help="convert only the first N records, for a first try",
    )
    group.add_argument(
        "--duplicates",
        type=values.one_of("keep", "drop"),
        default="keep",
        metavar="keep|drop",
        help="what to do with records whose id is repeated (default: %(default)s)",
    )
    group.add_argument(
        "--exif",
        type=values.one_of("ignore", "apply"),
        default="ignore",
        metavar="ignore|apply",
        help="what to do with the EXIF orientation; LLaMA-Factory ignores it "
        "(default: %(default)s)",
    )
    group.add_argument(
        "--background",
        type=values.one_of("none", "white"),
        default="none",
        metavar="none|white",
        help="what to put behind transparent images; LLaMA-Factory drops their transparency "
        "(default: %(default)s)",
    )
    group.add_argument(
        "--high-bit-depth",
        type=values.one_of("clip", "scale"),
        default="clip",
        metavar="clip|scale",
        help="what to do with 16-bit values; LLaMA-Factory clips them at 255, which is white "
        "(default: %(default)s)",
    )
    group.add_argument(
        "--reencode",
        action="store_true",
        help="write every image anew, also those that could keep their bytes",
    )
    group.add_argument(
        "--fast-decode",
        action="store_true",
        help="decode large JPEGs at a half, a quarter or an eighth of their size, which is faster "
        "and changes pixels a little",
    )
    group.add_argument(
        "--max-rejected",
        type=values.fraction,
        metavar="FRACTION",
        help="commit nothing and exit with 3 if a larger share of records is rejected, or of the "
        "shards' bytes cannot be read",
    )


def add_image_workers(group: _ArgumentGroup) -> None:
    """Adds ``--image-workers``."""
    group.add_argument(
        "--image-workers",
        type=values.whole_number(1),
        default=0,
        metavar="N",
        help="number of processes that decode images, for each process of the runner (default: "
        "the cores of the machine, or their share if the runner has several processes)",
    )


def rules_of(typed: Namespace, faults: list[str]) -> Settings:
    """The rules that were typed: settings without places. Adds what is wrong to `faults`."""
    budget = Budget(typed.max_pixels, typed.min_pixels)
    if budget.min_pixels > budget.max_pixels:
        faults.append(
            f"--min-pixels {budget.min_pixels} is more than --max-pixels {budget.max_pixels}; "
            "lower the first or raise the second"
        )
    return Settings(
        output="",
        images=ImageRules(
            budget=budget,
            apply_exif=typed.exif == "apply",
            reencode=typed.reencode,
            fast_decode=typed.fast_decode,
            white_background=typed.background == "white",
            scale_values=typed.high_bit_depth == "scale",
        ),
        prefixes=_prefixes(typed),
        schema=None if typed.schema == "auto" else Schema(typed.schema),
        name=typed.name,
        formats=typed.formats,
        val_fraction=typed.val_fraction,
        drop_duplicates=typed.duplicates == "drop",
        zip_encoding=typed.zip_encoding or "",
        records=typed.records,
        resizer=resizer_name(),
        image_workers=typed.image_workers,
    )


def _prefixes(typed: Namespace) -> Pairs:
    """The pairs of ``--rewrite``, and then the default ones that are not among them."""
    given = tuple(dict.fromkeys(typed.rewrite or ()))
    defaults = () if typed.no_default_rewrite else DEFAULT_REWRITE
    return (*given, *(pair for pair in defaults if pair not in given))


def missing(typed: Namespace, **cures: str) -> list[str]:
    """A fault for each option that is missing, with what to do about it."""
    return [f"--{name} is missing: {cure}" for name, cure in cures.items() if not vars(typed)[name]]


def add_output(line: CommandLine, name: str, what: str) -> CommandLine:
    """Adds the folder and ``--storage-options`` to a command line, and returns it."""
    line.add_argument("output", metavar=name, help=what)
    line.add_argument("--storage-options", metavar="JSON|FILE", help="as for beam-mat convert")
    return line


def output_of(uri: str, storage_options: str | None, *, writes: bool) -> str:
    """Applies storage options as typed, and returns the folder's URI in its usual form.

    Raises a ConfigError if one of them cannot be used, or if the command `writes` to the folder and
    that is not possible.
    """
    faults = []
    try:
        if storage_options:
            stores.use(stores.parse(storage_options))
    except ValueError as error:
        faults.append(f"--storage-options: {error}")
    if fault := stores.fault_of(uri):
        faults.append(f"{without_credentials(uri)}: {fault}")
    if faults:
        raise ConfigError(faults)
    output = files.normalize(uri)
    if writes and files.is_read_only(output):
        raise ConfigError(
            [f"{output}: beam-mat only reads from the hub; download the dataset and name the copy"]
        )
    return output
