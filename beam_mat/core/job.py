"""A validated conversion job, and the names of the runners that need special treatment."""

import msgspec

from beam_mat.core.chunk import Shard
from beam_mat.core.results import Source
from beam_mat.core.settings import Settings

IN_PROCESS = "FnApiRunner"
PRISM = "PrismRunner"
DATAFLOW = "DataflowRunner"


class Job(msgspec.Struct, frozen=True):
    """A validated conversion job.

    `sources` are the image sources in order of precedence. `limit` is the number of records to
    convert, None for all, and `max_rejected` the highest allowed share of rejected records (0 to
    1), or None. `runner` is one of the names above or another runner's. With `detach`, the command
    exits after it has submitted the job; `overwrite` replaces the contents of the output folder.
    `keep` is how many generations are kept: 0 for all, None for as many as the dataset keeps now
    (a new one keeps 1).
    """

    shards: tuple[Shard, ...]
    sources: tuple[Source, ...]
    settings: Settings
    limit: int | None
    max_rejected: float | None
    runner: str
    detach: bool = False
    overwrite: bool = False
    keep: int | None = None
