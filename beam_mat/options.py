"""The options of ``beam-mat convert``, where Beam users look for them."""

from __future__ import annotations

import argparse

from apache_beam.options.pipeline_options import PipelineOptions

DEFAULT_REWRITE = "data/open_llava_next/=tongagent/"


class ConvertOptions(PipelineOptions):
    """What a user types, unchecked; `beam_mat.config.resolve` checks it."""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        group = parser.add_argument_group("input and output")
        group.add_argument(
            "--json",
            nargs="+",
            metavar="URI",
            help="JSON shards: arrays of records or JSON Lines; globs and any fsspec URI",
        )
        group.add_argument(
            "--images",
            nargs="+",
            metavar="URI",
            help="zips of images, or folders of unzipped ones; the first that has an image wins",
        )
        group.add_argument("--output", metavar="URI", help="folder to write the dataset to")
        group.add_argument(
            "--overwrite",
            action="store_true",
            help="replace the dataset that is in the output folder",
        )
        group.add_argument(
            "--storage-options",
            dest="storage_options",
            metavar="JSON|FILE",
            help="what file systems need to be told, an object by protocol, such as "
            '{"gs": {"token": "anon"}}, or a file that holds one; a file for secrets',
        )
        group.add_argument(
            "--formats",
            default="jsonl,parquet",
            metavar="LIST",
            help="jsonl, parquet or both (default: %(default)s)",
        )
        group.add_argument(
            "--detach",
            action="store_true",
            help="with --runner DataflowRunner: submit the job, tell where it is, and end",
        )
        rules = parser.add_argument_group("rules")
        rules.add_argument(
            "--max-pixels",
            dest="max_pixels",
            default="262144",
            metavar="N",
            help="larger images are scaled down to N pixels, width times height "
            "(default: %(default)s)",
        )
        rules.add_argument(
            "--min-pixels",
            dest="min_pixels",
            default="1024",
            metavar="N",
            help="smaller images are scaled up to N pixels (default: %(default)s)",
        )
        rules.add_argument(
            "--rewrite",
            nargs="+",
            default=[DEFAULT_REWRITE],
            metavar="OLD=NEW",
            help="path prefixes to replace, the first that fits (default: %(default)s)",
        )
        rules.add_argument(
            "--val-fraction",
            dest="val_fraction",
            default="0.0",
            metavar="FRACTION",
            help="share of ids, chosen by hash, for the validation set (default: %(default)s)",
        )
        rules.add_argument(
            "--limit", metavar="N", help="convert the first N records only, to try things out"
        )
        rules.add_argument(
            "--duplicates",
            default="keep",
            metavar="keep|drop",
            help="records whose id stands in an earlier one (default: %(default)s)",
        )
        rules.add_argument(
            "--exif",
            default="ignore",
            metavar="ignore|apply",
            help="EXIF orientation of images; LLaMA-Factory ignores it (default: %(default)s)",
        )
        rules.add_argument(
            "--max-rejected",
            dest="max_rejected",
            metavar="FRACTION",
            help="publish nothing and exit with 3 when a greater share of records is rejected",
        )
