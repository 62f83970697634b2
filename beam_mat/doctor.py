"""``beam-mat doctor``: what is installed, and what works on this machine.

It contacts no service. It names variables and files that hold credentials, but opens none of these
files. It prints no value of a variable, not even of one for a path: people put keys there by
mistake.
"""

from __future__ import annotations

import io
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rich.console import Console
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

import beam_mat
from beam_mat.core.errors import ConfigError
from beam_mat.core.job import IN_PROCESS
from beam_mat.runners import local
from beam_mat.runners.choose import installed_version, missing_for_dataflow
from beam_mat.storage.stores import DRIVERS
from beam_mat.work.workers import usable_cores

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet

NEEDED = ("apache-beam", "fsspec", "msgspec", "pillow", "pyarrow")
CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")

_AWS_VARIABLES = (
    "AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_PROFILE AWS_ROLE_ARN "
    "AWS_WEB_IDENTITY_TOKEN_FILE AWS_CONTAINER_CREDENTIALS_RELATIVE_URI "
    "AWS_CONTAINER_CREDENTIALS_FULL_URI"
).split()
_GOOGLE_FILE = "application_default_credentials.json"


class State(Enum):
    """The state of something: a `FAULT` keeps conversions from working, a `MISSING` does not."""

    GOOD = "[green]ok"
    MISSING = "[yellow]no"
    FAULT = "[bold red]FAULT"


class Finding(NamedTuple):
    """What was examined, its state, what was found, and what to do about it."""

    what: str
    state: State
    found: str
    cure: str = ""


def present(what: str, found: str, missing: str, cure: str) -> Finding:
    """A finding about something that conversions may do without. It is missing if `found` is ""."""
    if found:
        return Finding(what, State.GOOD, found)
    return Finding(what, State.MISSING, missing, cure)


def examine(console: Console) -> int:
    """Examines everything, prints it, and returns 1 if conversions cannot work, else 0."""
    faults = []
    for title, findings in (
        ("Versions", versions()),
        ("Stores", drivers()),
        ("Runners", runners()),
        ("Machine", machine()),
        ("Credentials", credentials(os.environ, Path.home())),
    ):
        listed = list(findings)
        faults += [finding.what for finding in listed if finding.state is State.FAULT]
        console.print(_table(title, listed))
    if faults:
        text = f"Conversions do not work here: {', '.join(faults)}"
        console.print(Text(text, style="bold red"))
        return 1
    console.print("Conversions work here")
    return 0


def _table(title: str, findings: Iterable[Finding]) -> Table:
    made = Table(title=title, title_justify="left", title_style="bold", show_header=False)
    made.add_column(min_width=21)
    made.add_column(min_width=5)
    made.add_column(overflow="fold")
    for what, state, found, cure in findings:
        text = f"{found}; {cure}" if cure else found
        made.add_row(Text(what), state.value, Text(text))
    return made


def versions() -> Iterator[Finding]:
    """Examines this package, Python, and the libraries that conversions need."""
    yield Finding("beam-mat", State.GOOD, beam_mat.__version__)
    python = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    yield Finding("python", State.GOOD, python)
    required = _required()
    for name in NEEDED:
        found, wanted = installed_version(name), required.get(name)
        cure = f"pip install '{name}{wanted or ''}'"
        if not found:
            yield Finding(name, State.FAULT, "not installed", cure)
        elif wanted and not wanted.contains(found, prereleases=True):
            yield Finding(name, State.FAULT, f"{found}, {wanted} is needed", cure)
        else:
            yield Finding(name, State.GOOD, found)
    yield _tried("resizer", _resizer_name, "pip install --force-reinstall beam-mat")


def _required() -> dict[str, SpecifierSet]:
    """The versions that this package requires, by name; empty if they cannot be found out."""
    try:
        from beam_mat.runners.worker_package import requirements

        return {requirement.name: requirement.specifier for requirement in requirements(())}
    except (ConfigError, ImportError):
        return {}


def drivers() -> Iterator[Finding]:
    """Examines the drivers for object stores."""
    for protocol in ("gs", "s3", "hf"):
        name, extra = DRIVERS[protocol]
        version = installed_version(name)
        found = f"{version}, for {protocol}://" if version else ""
        cure = f"{protocol}:// needs it: pip install 'beam-mat[{extra}]'"
        yield present(name, found, "not installed", cure)


def runners() -> Iterator[Finding]:
    """Tries the in-process runner and image conversion, and looks for Prism and Dataflow."""
    cure = "pip install --force-reinstall beam-mat, into an environment of its own"
    yield _tried("in this process", _run_pipeline, cure)
    yield _tried("images", _convert_image, "pip install --force-reinstall pillow cykooz-resizer")
    yield _prism()
    missing = ", ".join(missing_for_dataflow())
    found = "" if missing else "the packages for submitting jobs are installed"
    cure = "Google Cloud needs it: pip install 'beam-mat[gcp]'"
    yield present("Dataflow", found, f"{missing} not installed", cure)


def _tried(what: str, attempt: Callable[[], str], cure: str) -> Finding:
    try:
        return Finding(what, State.GOOD, attempt())
    except Exception as error:  # noqa: BLE001  # a broken package may raise anything
        text = " ".join(str(error).split())[-300:]
        return Finding(what, State.FAULT, f"{type(error).__name__}: {text}", cure)


def _run_pipeline() -> str:
    begin = time.monotonic()
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    from beam_mat.runners.run import run_graph

    def check(total: int) -> None:
        if total != 6:
            raise ValueError(f"the sum of 1, 2 and 3 is {total}")

    def add(pipeline: beam.Pipeline) -> None:
        numbers = pipeline | beam.Create([1, 2, 3]) | beam.Reshuffle()
        _ = numbers | beam.CombineGlobally(sum) | beam.Map(check)

    run_graph(IN_PROCESS, PipelineOptions([]), add, ())
    return f"ran a pipeline in {time.monotonic() - begin:.1f} s"


def _convert_image() -> str:
    from PIL import Image

    from beam_mat.core.image import ImageRules, Picture, prepare

    file = io.BytesIO()
    Image.new("RGB", (600, 600), "teal").save(file, "JPEG")
    made = prepare(file.getvalue(), ImageRules())
    if not isinstance(made, Picture):
        raise ValueError(made.detail)
    return "decoded, resized and encoded one"


def _resizer_name() -> str:
    from beam_mat.core.image import resizer_name

    return resizer_name()


def _prism() -> Finding:
    broken = ""
    for path, how in local.candidates():
        if local.is_prism(path):
            use = f"--runner PrismRunner --prism_location {path}"
            return Finding("Prism", State.GOOD, f"found ({how}): {use}")
        if how != "from PATH":  # another program may have the name
            broken = f"{path} ({how}) does not run; "
    go = "scripts/prism builds it" if shutil.which("go") else "install Go and run scripts/prism"
    cure = f"{go}; with internet access Beam downloads it; only beam-mat watch needs it"
    return Finding("Prism", State.MISSING, f"{broken}not found", cure)


def machine() -> Iterator[Finding]:
    """Cores that this process may use, memory, and free disk here and for temporary files."""
    yield Finding("cores", State.GOOD, str(usable_cores()))
    memory = _memory()
    yield Finding("memory", State.GOOD, decimal(memory) if memory else "unknown on this system")
    # The output can be in another folder, but workers need temporary files.
    yield _disk("disk, this folder", Path.cwd(), State.MISSING, "")
    cure = "set TMPDIR to a writable folder"
    yield _disk("disk, temporary files", Path(tempfile.gettempdir()), State.FAULT, cure)


def _memory() -> int | None:
    """Bytes that all processes here may use: the machine's memory, or a container's limit."""
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None
    for limit in CGROUP_LIMITS:
        try:
            total = min(total, int(Path(limit).read_text(encoding="ascii")))
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return total


def _disk(what: str, folder: Path, without: State, cure: str) -> Finding:
    try:
        free = decimal(shutil.disk_usage(folder).free)
        with tempfile.TemporaryFile(dir=folder):
            return Finding(what, State.GOOD, f"{free} free in {folder}")
    except OSError as error:
        return Finding(what, without, f"cannot write to {folder}: {error.strerror}", cure)


def credentials(environment: Mapping[str, str], home: Path) -> Iterator[Finding]:
    """Finds credentials for Google, Amazon and Hugging Face. `home` is the user's folder."""

    def variables(*names: str) -> list[str]:
        return [f"{name} is set" for name in names if environment.get(name)]

    def named(variable: str) -> list[str]:
        if not (path := environment.get(variable)):
            return []
        return [f"{variable} names a file{'' if _is_file(path) else ' that does not exist'}"]

    def existing(path: Path) -> list[str]:
        if not _is_file(path):
            return []
        if path.is_relative_to(home):
            return [f"~/{path.relative_to(home).as_posix()} exists"]
        # A folder elsewhere comes from a variable, whose value is not printed.
        return [f"a file named {path.name} exists"]

    google = named("GOOGLE_APPLICATION_CREDENTIALS")
    if config := environment.get("CLOUDSDK_CONFIG"):
        if _is_file(Path(config, _GOOGLE_FILE)):
            google.append(f"$CLOUDSDK_CONFIG/{_GOOGLE_FILE} exists")
    else:
        google += existing(home / ".config" / "gcloud" / _GOOGLE_FILE)
    aws = variables(*_AWS_VARIABLES)
    aws += named("AWS_SHARED_CREDENTIALS_FILE") or existing(home / ".aws" / "credentials")
    aws += named("AWS_CONFIG_FILE") or existing(home / ".aws" / "config")
    cache = environment.get("XDG_CACHE_HOME") or home / ".cache"
    hub = Path(environment.get("HF_HOME") or Path(cache, "huggingface"))
    hugging_face = variables("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
    hugging_face += named("HF_TOKEN_PATH") or existing(hub / "token")
    none = "no credentials found"
    cure = "gcloud auth application-default login, or on Google's machines a service account"
    yield present("Google", "; ".join(google), none, cure)
    cure = "aws configure, AWS_* variables, or on Amazon's machines a role"
    yield present("AWS", "; ".join(aws), none, cure)
    cure = "hf auth login, or HF_TOKEN; public data sets need none"
    yield present("Hugging Face", "; ".join(hugging_face), none, cure)
    if settings := sorted(name for name in environment if name.startswith("FSSPEC_")):
        yield Finding("fsspec", State.GOOD, ", ".join(f"{name} is set" for name in settings))


def _is_file(path: str | Path) -> bool:
    try:
        return Path(path).is_file()
    except (OSError, ValueError):  # a key instead of a path may be too long
        return False
