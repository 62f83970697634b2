"""``beam-mat verify``: holds every file of a dataset against the size and hash in its manifest."""

from __future__ import annotations

import contextlib
import hashlib
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from beam_mat import manifest
from beam_mat.command_line import CommandLine
from beam_mat.core import layout
from beam_mat.core.errors import BeamMatError, ConfigError, DamagedError
from beam_mat.core.image import Action
from beam_mat.manifest import Manifest
from beam_mat.output_argument import add_output, output_of
from beam_mat.storage import files, images

THREADS = 8
SAVE_SECONDS = 5.0
NAMED_FAULTS = 10


class Expected(msgspec.Struct, frozen=True):
    """A file as the manifest or images.parquet says: path below the output folder, size, hash."""

    path: str
    bytes: int
    sha256: str


class State(msgspec.Struct):
    """How far a verification has come.

    Attributes:
        manifest: SHA-256 of the manifest that is verified.
        done: How many files, in the order of `expected`, need no second look.
        faulty: How many of them are not as they should be.
        faults: A sentence for each of the first of those.
    """

    manifest: str
    done: int = 0
    faulty: int = 0
    faults: list[str] = []  # msgspec copies it

    def add(self, faults: Sequence[str]) -> None:
        """Counts faults; keeps the first."""
        self.faulty += len(faults)
        self.faults += faults[: NAMED_FAULTS - len(self.faults)]


_WATCHED = "A watch that was killed may leave such, and sets them right when it is started again. "


def command_line() -> CommandLine:
    """The command's words."""
    line = CommandLine(
        "verify",
        "Holds every part and every image of a dataset against the size and the SHA-256 that were "
        "written down when it was made. Broken off, it goes on where it was.",
        ("beam-mat verify dataset", "beam-mat verify gs://bucket/datasets/mat"),
        more="Exit codes: 0 all is as it was, 1 failed, 2 configuration, 3 files are wrong.",
    )
    return add_output(line, "OUTPUT", "the dataset")


def verify(argv: Sequence[str]) -> None:
    """Runs the command.

    Args:
        argv: What follows ``verify``.

    Raises:
        ConfigError: There is no dataset.
        DamagedError: A file is missing, changed, or not listed.
    """
    output = output_of(command_line(), argv, writes=False)
    listed = manifest.read(output)
    if listed is None:
        fault = f"{output}: there is no {layout.MANIFEST}, and so no finished dataset"
        raise ConfigError([f"{fault}; run beam-mat convert to its end"])
    console = Console()
    state = _begin(output)
    if state.done:
        console.print(f"Going on after {state.done:,} files that were verified before")
    _verify(output, listed, state)
    state.add(strangers(output, listed))
    _forget(output)
    if state.faulty:
        more = state.faulty - len(state.faults)
        rest = [f"… and {more:,} more"] if more else []
        watched = "" if listed.generation is None else _WATCHED
        raise DamagedError(
            "\n  ".join([f"{state.faulty:,} file(s) are wrong in {output}:", *state.faults, *rest])
            + f"\n{watched}To mend them, remove them and {layout.MANIFEST}, and run the same "
            "beam-mat convert again: it makes what is missing"
        )
    console.print(f"{state.done:,} files are as {layout.MANIFEST} says")


def _begin(output: str) -> State:
    """The state that a verification of this very manifest has left, or a new one."""
    digest = hashlib.sha256(files.read_bytes(files.join(output, layout.MANIFEST))).hexdigest()
    with contextlib.suppress(OSError, msgspec.DecodeError):
        data = files.read_bytes(files.join(output, layout.VERIFIED))
        state = msgspec.json.decode(data, type=State)
        if state.manifest == digest:
            return state
    return State(digest)


def _save(output: str, state: State) -> None:
    # Who may only read a dataset verifies it in one go. On the hub a write would be a commit.
    if files.is_read_only(output):
        return
    with contextlib.suppress(OSError, BeamMatError):
        files.write_bytes(
            files.join(output, layout.VERIFIED),
            msgspec.json.encode(state),
            files.join(output, layout.SCRATCH),
        )


def _forget(output: str) -> None:
    if files.is_read_only(output):
        return
    with contextlib.suppress(OSError, BeamMatError):
        files.remove(files.join(output, layout.VERIFIED))


def _verify(output: str, listed: Manifest, state: State) -> None:
    table = listed.image_table
    if fault := fault_of(output, Expected(table.path, table.bytes, table.sha256)):
        state.add([f"{fault}; which images there should be is not known"])
        return
    good = sum(listed.counts["images"].get(action.value, 0) for action in Action)
    total = len(listed.files()) + good
    saved = time.monotonic()
    with _progress(total, state.done) as progress:
        (task,) = progress.task_ids
        try:
            for fault in _faults(output, islice(expected(output, listed), state.done, None)):
                state.done += 1
                state.add([fault] if fault else [])
                if time.monotonic() - saved > SAVE_SECONDS:
                    _save(output, state)
                    saved = time.monotonic()
                    if progress.disable:
                        line = f"{state.done:,} of {total:,} files, {state.faulty:,} wrong\n"
                        sys.stderr.write(line)
                progress.update(task, completed=state.done)
        except BaseException:
            _save(output, state)
            raise


def _faults(output: str, listed: Iterator[Expected]) -> Iterator[str | None]:
    """What is wrong with each file, in order; several are looked at at once."""
    with ThreadPoolExecutor(THREADS, thread_name_prefix="verify") as pool:
        coming = deque[Future[str | None]]()
        try:
            while True:
                for file in islice(listed, 8 * THREADS - len(coming)):
                    coming.append(pool.submit(fault_of, output, file))
                if not coming:
                    return
                yield coming.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _progress(total: int, done: int) -> Progress:
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    progress = Progress(*columns, console=console, disable=not console.is_terminal)
    progress.add_task("Verify", total=total, completed=done)
    return progress


def expected(output: str, listed: Manifest) -> Iterator[Expected]:
    """Every file that a dataset should have, the table of images before the images."""
    for part in (listed.image_table, *listed.parts, *listed.rejects):
        yield Expected(part.path, part.bytes, part.sha256)
    for path, size, sha256 in images.written(output):
        yield Expected(path, size, sha256)


def fault_of(output: str, file: Expected) -> str | None:
    """What is wrong with a file, or None."""
    uri = files.join(output, file.path)
    digest = hashlib.sha256()
    try:
        size = files.info(uri).size
        if size != file.bytes:
            return f"{file.path}: {size} bytes, {file.bytes} were written"
        for block in files.read_blocks(uri, 0, size):
            digest.update(block)
    except FileNotFoundError:
        return f"{file.path}: is missing"
    except (OSError, BeamMatError) as error:
        return f"{file.path}: cannot be read ({error})"
    if digest.hexdigest() != file.sha256:
        return f"{file.path}: has SHA-256 {digest.hexdigest()}, {file.sha256} was written"
    return None


def strangers(output: str, listed: Manifest) -> list[str]:
    """Files in the folders that LLaMA-Factory reads whole which the manifest does not list."""
    paths = {part.path for part in listed.parts}
    return [
        f"{folder}/{name}: is not listed, and a trainer would read it"
        for folder in layout.PART_FOLDERS
        for name, _ in files.find(files.join(output, folder))
        if f"{folder}/{name}" not in paths
    ]
