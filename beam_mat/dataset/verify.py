"""Compares all files of a dataset with the sizes and hashes in its manifest."""

import contextlib
import hashlib
import re
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from beam_mat.core import layout
from beam_mat.core.display import one_line
from beam_mat.core.errors import BeamMatError, ConfigError, DamagedError
from beam_mat.core.image import Action
from beam_mat.dataset import image_table, views
from beam_mat.dataset.commit import WATCH
from beam_mat.dataset.flat import folders
from beam_mat.dataset.views import Manifest
from beam_mat.storage import files

THREADS = 8
SAVE_SECONDS = 5.0
NAMED_FAULTS = 10

Expected = tuple[str, int, str]
"""A file: its path below the output folder, its size and its SHA-256."""


class State(msgspec.Struct):
    """The progress of a verification of a manifest, whose SHA-256 is `manifest`.

    The first `done` files of `_expected` are verified, and `faulty` of them have a fault; `faults`
    has a sentence for each of the first of these.
    """

    manifest: str
    done: int = 0
    faulty: int = 0
    faults: list[str] = []  # msgspec copies the default

    def add(self, faults: Sequence[str]) -> None:
        """Counts faults; keeps the first."""
        self.faulty += len(faults)
        self.faults += faults[: NAMED_FAULTS - len(self.faults)]


_WATCHED = "A killed watch can leave such files; start the watch again to repair them. "


def verify(output: str, console: Console) -> None:
    """Verifies a dataset, and prints the number of files.

    Raises ConfigError if there is none, DamagedError if a file is missing, changed or not listed.
    """
    listed = views.read_manifest(output)
    if listed is None:
        fault = f"{output}: has no {layout.MANIFEST}, so it is not a finished dataset"
        cure = "run the same beam-mat convert again to finish it"
        if re.search(r"@[0-9]+$", output):
            fault = f"{output}: verify reads the newest generation of a dataset only"
            cure = "remove the number"
        raise ConfigError([f"{fault}; {cure}"])
    files.protect(output)
    state = _begin(output)
    if state.done:
        console.print(f"Resuming: {state.done:,} files are verified already")
    _verify(output, listed, state)
    state.add(_unlisted(output, listed))
    _save(output, None)
    if state.faulty:
        more = state.faulty - len(state.faults)
        rest = [f"… and {more:,} more"] if more else []
        noun = "file" if state.faulty == 1 else "files"
        head = f"{state.faulty:,} damaged or missing {noun} in {output}:"
        watched = _WATCHED if listed.command == WATCH else ""
        # The manifest and a saved state may be those of somebody else.
        raise DamagedError(
            "\n  ".join([head, *map(one_line, state.faults), *rest])
            + f"\n{watched}To repair the dataset, delete these files and {layout.MANIFEST}, and "
            "run the same beam-mat convert again, which writes the missing files"
        )
    console.print(f"All {state.done:,} files match {layout.MANIFEST}")


def _begin(output: str) -> State:
    """Returns the saved state of an earlier verification of this manifest, or a new state."""
    digest = hashlib.sha256(files.read_bytes(files.join(output, layout.MANIFEST))).hexdigest()
    with contextlib.suppress(OSError, msgspec.DecodeError):
        data = files.read_bytes(files.join(output, layout.VERIFIED))
        state = msgspec.json.decode(data, type=State)
        if state.manifest == digest:
            return state
    return State(digest)


def _save(output: str, state: State | None) -> None:
    """Saves a state, or removes the saved state."""
    # On a read-only store, a verification cannot be resumed. On the hub, a write would be a commit.
    if files.is_read_only(output):
        return
    uri, scratch = files.join(output, layout.VERIFIED), files.join(output, layout.SCRATCH)
    with contextlib.suppress(OSError, BeamMatError):
        if state:
            files.write_bytes(uri, msgspec.json.encode(state), scratch)
        else:
            files.remove(uri)


def _verify(output: str, listed: Manifest, state: State) -> None:
    table = listed.image_table
    if fault := fault_of(output, table.path, table.bytes, table.sha256):
        state.add([f"{fault}; the images cannot be verified without it"])
        return
    good = sum(listed.counts["images"].get(action.value, 0) for action in Action)
    total = len(listed.files()) + good
    saved = time.monotonic()
    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("Verify", total=total, completed=state.done)
        try:
            for fault in _faults(output, islice(_expected(output, listed), state.done, None)):
                state.done += 1
                state.add([fault] if fault else [])
                if time.monotonic() - saved > SAVE_SECONDS:
                    _save(output, state)
                    saved = time.monotonic()
                    if progress.disable:
                        sys.stderr.write(
                            f"{state.done:,} of {total:,} files verified, {state.faulty:,} faulty\n"
                        )
                progress.update(task, completed=state.done)
        except BaseException:
            _save(output, state)
            raise


def _faults(output: str, listed: Iterator[Expected]) -> Iterator[str | None]:
    """Yields the fault of each file or None, in order. Reads several files at once."""
    with ThreadPoolExecutor(THREADS, thread_name_prefix="verify") as pool:
        while some := list(islice(listed, 32 * THREADS)):
            yield from pool.map(lambda file: fault_of(output, *file), some)


def _expected(output: str, listed: Manifest) -> Iterator[Expected]:
    """Yields every file that a dataset should have, the image table before the images."""
    yield from ((one.path, one.bytes, one.sha256) for one in listed.files())
    yield from image_table.usable(output, layout.IMAGE_TABLE, "bytes", "sha256")


def fault_of(output: str, path: str, length: int, sha256: str) -> str | None:
    """Returns the fault of a file, whose length is in bytes, or None."""
    uri = files.join(output, path)
    digest = hashlib.sha256()
    try:
        size = files.info(uri).size
        if size != length:
            return f"{path}: has {size} bytes, but {length} were written"
        for block in files.read_blocks(uri, 0, size):
            digest.update(block)
    except FileNotFoundError:
        return f"{path}: is missing"
    except (OSError, BeamMatError) as error:
        return f"{path}: cannot be read ({error})"
    if digest.hexdigest() != sha256:
        return f"{path}: has SHA-256 {digest.hexdigest()}, but {sha256} was written"
    return None


def _unlisted(output: str, listed: Manifest) -> list[str]:
    """Returns faults for unlisted files in the folders of which LLaMA-Factory reads all files."""
    paths = {part.path for part in listed.parts}
    return [
        f"{folder}/{name}: is not in the manifest, but LLaMA-Factory would read it"
        for folder in folders(output)
        if folder != layout.REJECTS
        for name, _ in files.find(files.join(output, folder))
        if f"{folder}/{name}" not in paths
    ]
