"""Measures the lengths of a dataset's rows, once, in a process with LLaMA-Factory."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from importlib import metadata
from pathlib import Path
from typing import Any, TextIO

import msgspec

from mat_trainer.core.errors import ConfigError, PreflightError
from mat_trainer.core.lengths import SETTINGS, Lengths, Spec
from mat_trainer.dataset.cache import only_one
from mat_trainer.dataset.ledger import write_whole
from mat_trainer.dataset.model_files import fingerprint
from mat_trainer.dataset.progress import ROWS, Advance, Show, shown
from mat_trainer.dataset.stage import StagedDataset

_VERSIONED = ("llamafactory", "transformers", "tokenizers")
_PROGRESS = re.compile(r"rows (\d+)/\d+\n?")


def measure(
    dataset: StagedDataset, settings: Mapping[str, Any], cache: Path, *, show: Show = shown
) -> Lengths:
    """Measures the rows of a dataset in tokens, with the model's own tokenizer and processor.

    The lengths are kept in the cache, keyed by everything that they depend on, which excludes
    `cutoff_len`.

    Args:
        dataset: The staged dataset.
        settings: The recipe's; `preprocessing_num_workers` limits the processes.
        cache: Folder for the lengths and the log.
        show: Shows the progress.

    Raises:
        ConfigError: LLaMA-Factory is not installed here, or the recipe names no model.
        PreflightError: No row could be measured, as for a model that cannot be loaded.
    """
    if not settings.get("model_name_or_path"):
        raise ConfigError("model_name_or_path is missing: set it to a model, or use a preset")
    relevant = {key: settings[key] for key in SETTINGS if settings.get(key) is not None}
    folder = cache / "lengths"
    with ExitStack() as held:
        held.enter_context(only_one(folder / f"{dataset.digest[:16]}.lock", "measures these rows"))
        if known := _known(folder, _key(dataset, relevant)):
            return known
        scratch = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="mat-trainer-")))
        spec = Spec(
            relevant,
            str(dataset.path),
            str(dataset.media_dir),
            {entry.name: {p.path: p.rows for p in entry.parts} for entry in dataset.entries},
            int(settings.get("preprocessing_num_workers") or os.cpu_count() or 1),
        )
        log = folder / f"{dataset.digest[:16]}.log"
        with log.open("w") as out:
            data = _run(spec, scratch, out, show)
        # A model from the hub may have been downloaded just now, so that its version is known.
        if key := _key(dataset, relevant):
            write_whole(folder / f"{key}.json", data)
    return msgspec.json.decode(data, type=Lengths)


def _key(dataset: StagedDataset, settings: Mapping[str, Any]) -> str | None:
    """A hash of everything that lengths depend on; None if the model's version is not known."""
    model = fingerprint(settings, os.environ)
    if model is None:
        return None
    entries = [entry.name for entry in dataset.entries]
    try:
        versions = {package: metadata.version(package) for package in _VERSIONED}
    except metadata.PackageNotFoundError as error:
        raise ConfigError(
            f"{error.name} is not installed here: pip install 'mat-trainer[worker]'"
        ) from None
    whole = [dataset.digest, entries, dict(settings), model, versions]
    return hashlib.sha256(msgspec.json.encode(whole, order="sorted")).hexdigest()[:32]


def _known(folder: Path, key: str | None) -> Lengths | None:
    if key is None:
        return None
    try:
        return msgspec.json.decode((folder / f"{key}.json").read_bytes(), type=Lengths)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def _run(spec: Spec, scratch: Path, log: TextIO, show: Show) -> bytes:
    asked, result = scratch / "spec.json", scratch / "lengths.json"
    asked.write_bytes(msgspec.json.encode(spec))
    rows = sum(sum(parts.values()) for parts in spec.entries.values())
    words = [sys.executable, "-m", "mat_trainer.worker.lengths", str(asked), str(result)]
    # Without GPUs: none is needed, and none is occupied when training starts.
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "TOKENIZERS_PARALLELISM": "false"}
    with (
        show("Measuring", rows, ROWS) as advance,
        # No question can be answered, such as whether to run a model's own code.
        subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=environment,
        ) as worker,
    ):
        try:
            _follow(worker, log, advance)
        except BaseException:
            worker.terminate()
            raise
    if worker.returncode:
        raise PreflightError(
            f"the rows cannot be measured (exit code {worker.returncode}): {_last(log)}; see "
            f"{log.name}",
        )
    return result.read_bytes()


def _follow(worker: subprocess.Popen[str], log: TextIO, advance: Advance) -> None:
    done = 0
    assert worker.stdout is not None
    for line in worker.stdout:
        if found := _PROGRESS.fullmatch(line):
            advance(int(found[1]) - done)
            done = int(found[1])
        else:
            log.write(line)
            log.flush()


def _last(log: TextIO) -> str:
    lines = Path(log.name).read_text(errors="replace").split("\n")
    return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "no output")
