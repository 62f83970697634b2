"""Converts and checks pictures under limits: a program, because limits hold for a process.

Usage: ``python -m tests.fuzz.read_pictures FOLDER CPU_SECONDS MIB``. For each file of the folder, a
process of its own calls what the steps of `convert`, `check`, `report` and `show` call. Prints one
line of JSON for each file: its name, verdict, a hash of all results, CPU seconds, and MiB of memory
beyond those of a process that does nothing.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import resource
import signal
import sys
import warnings
from pathlib import Path

from beam_mat.core import jpeg, png  # noqa: F401  as the template of image workers does
from beam_mat.core.contract.examine import look
from beam_mat.core.image import ImageFault, ImageRules, prepare
from beam_mat.core.thumbnail import thumbnail
from beam_mat.show.printer import measured
from tests.fuzz.limits import address_space

RULES = (ImageRules(), ImageRules(apply_exif=True, white_background=True, scale_values=True))


def read(data: bytes) -> tuple[str, str]:
    """Returns the verdict on a file, and a hash of all results."""
    found = [prepare(data, rules) for rules in RULES]
    results: list[object] = [*found, look(1 << 18, data), measured(data[: 1 << 20])]
    for one in found:
        if not isinstance(one, ImageFault):
            results.append(thumbnail(176, one.data))
            if results[-1] is None:
                raise AssertionError("an accepted picture has no thumbnail")
    digest = hashlib.sha256(repr(results).encode()).hexdigest()[:16]
    first = found[0]
    verdict = first.reason.value if isinstance(first, ImageFault) else first.action.value
    return verdict, digest


def _limited(path: Path, seconds: int, memory: int) -> dict[str, object]:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
            os.write(writing, json.dumps(read(path.read_bytes())).encode())
            code = 0
        except MemoryError:
            code = 117
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as file:
        text = file.read()
    _, status, used = os.wait4(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if code == 0:
        verdict, digest = json.loads(text)
    else:
        names = {117: "too much memory", -signal.SIGXCPU: "too slow", 1: "an exception"}
        verdict, digest = f"FAILED: {names.get(code, code)}", ""
    cpu = round(used.ru_utime + used.ru_stime, 2)
    return {"verdict": verdict, "digest": digest, "cpu": cpu, "mib": used.ru_maxrss >> 10}


def main(folder: str, seconds: str, mib: str) -> None:
    """Prints a line for each file."""
    warnings.simplefilter("ignore")
    gc.freeze()
    memory = address_space() + (int(mib) << 20)
    empty = Path(folder, "empty")
    empty.write_bytes(b"")
    base = int(str(_limited(empty, int(seconds), memory)["mib"]))
    empty.unlink()
    for path in sorted(Path(folder).iterdir()):
        row = _limited(path, int(seconds), memory)
        row["mib"] = int(str(row["mib"])) - base
        print(json.dumps({"file": path.name, **row}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
