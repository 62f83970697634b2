"""A temporary folder for the results of a graph that makes no dataset."""

from __future__ import annotations

import contextlib
import tempfile
import uuid
from collections.abc import Iterator

from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions

from beam_mat.core.errors import ConfigError
from beam_mat.runners import choose
from beam_mat.storage import files


@contextlib.contextmanager
def scratch_folder(runner: str, options: PipelineOptions, command: str) -> Iterator[str]:
    """A folder that the workers and this process can reach, until the block ends.

    Raises a ConfigError if workers on other machines need a folder, and none was named.
    """
    if choose.is_local(runner):
        with tempfile.TemporaryDirectory(prefix=f"beam-mat-{command}-") as folder:
            yield folder
        return
    place = options.view_as(GoogleCloudOptions).temp_location
    if not place:
        fault = f"--temp_location is missing: workers of {runner} write findings there"
        cure = "name a folder that they and this machine can reach, such as gs://BUCKET/tmp"
        raise ConfigError([f"{fault}; {cure}"])
    folder = files.join(place, f"beam-mat-{command}-{uuid.uuid4().hex}")
    try:
        yield folder
    finally:
        files.remove(folder)
