"""Failures that are not bugs of this package: what happened, and what the user can do.

A worker's error reaches the driver as text, with a traceback in it. The last line of the traceback
names the exception, and is compared with the table. What is not in the table is treated as a bug.
"""

import re
import traceback
from typing import NamedTuple

from beam_mat.core import errors
from beam_mat.core.credentials import text_without_credentials

DETAIL_CHARACTERS = 300


class Cause(NamedTuple):
    """A row of the table. `pattern` is a regular expression for the exception's line."""

    what: str
    pattern: str
    cure: str
    kind: type[errors.BeamMatError]


_RERUN = "run the same command again, which resumes"

CAUSES = (
    Cause(
        "the disk is full",
        r"\[Errno 28\]|\[Errno 122\]|No space left on device|Disk quota exceeded",
        f"free space for the output and for temporary files (TMPDIR), and {_RERUN}",
        errors.OutputError,
    ),
    Cause(
        "memory ran out",
        r"MemoryError|\[Errno 12\]|Cannot allocate memory|std::bad_alloc|\boom-?kill|"
        r"(?:malloc|realloc) of size \d+ failed",
        f"use fewer --direct_num_workers or a larger machine, and {_RERUN}",
        errors.WorkerLostError,
    ),
    Cause(
        "too many files are open",
        r"\[Errno 24\]|\[Errno 23\]|Too many open files",
        f"raise the limit (ulimit -n 4096), and {_RERUN}",
        errors.WorkerLostError,
    ),
    Cause(
        "Prism could not be downloaded",
        r"Unable to fetch remote prism binary",
        "check the network, or build Prism with scripts/prism and name it with --prism_location",
        errors.StoreError,
    ),
    Cause(
        "Prism could not be started",
        r'Unable to parse binary URL "|Prism did not start|Provided --prism_location|'
        r"\[Errno 8\] Exec format error",
        "check --prism_location, or remove it to have Prism searched for",
        errors.WorkerLostError,
    ),
    Cause(
        "credentials are missing or invalid",
        r"DefaultCredentialsError|NoCredentials|Unable to locate credentials|RefreshError|"
        r"InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|(?:code|status|error)\W{1,3}401\b|"
        r"\b401 (?:Client Error|Unauthorized)|Invalid Credentials",
        f"log in (beam-mat doctor shows which credentials are present), and {_RERUN}",
        errors.StoreError,
    ),
    Cause(
        "permission is denied",
        r"PermissionError|\[Errno 13\]|\[Errno 1\]|\[Errno 30\]|Read-only file system|AccessDenied|"
        r"(?:code|status|error)\W{1,3}403\b|\b403 (?:Client Error|Forbidden)|"
        r"does not have storage\.",
        f"give this user the permission, or name another place, and {_RERUN}",
        errors.OutputError,
    ),
    Cause(
        "the network cannot be reached",
        r"\[Errno -[2-5]\]|getaddrinfo|gaierror|Name or service not known|"
        r"(?:Temporary failure|Name resolution) in name resolution|NameResolutionError|"
        r"\[Errno 1(?:00|01|10|11|12|13)\]|\[Errno 104\]|Network is unreachable|No route to host|"
        r"Connection (?:refused|reset|timed out)|Cannot connect to host|ConnectionError|"
        r"ConnectTimeout|ServerDisconnected|Max retries exceeded|Could not connect to the endpoint|"
        r"URLError|CERTIFICATE_VERIFY_FAILED",
        f"check the network, the address and any proxy, and {_RERUN}",
        errors.StoreError,
    ),
    Cause(
        "a package is missing",
        r"ModuleNotFoundError|ImportError: cannot import name",
        "install it here and where workers run (docs/cloud.md), or reinstall beam-mat",
        errors.WorkerLostError,
    ),
    Cause(
        "a file is where a folder should be",
        r"NotADirectoryError|\[Errno 20\]",
        "name a folder",
        errors.OutputError,
    ),
    Cause(
        "a file or folder is missing",
        r"FileNotFoundError|IsADirectoryError|\[Errno (?:2|21)\]|"
        r"NoSuchBucket|NoSuchKey|The specified bucket does not exist",
        f"check that nobody moved it and that workers can reach it, and {_RERUN}",
        errors.SourceError,
    ),
    Cause(
        "a worker was lost",
        r"BrokenProcessPool|TerminatedWorkerError|StatusCode\.UNAVAILABLE|Socket closed|"
        r"SDK [Hh]arness.*disconnected|[Ww]orker.*(?:died|exited|was lost|disconnected|stopped)|"
        r"exited with (?:code )?-?\d+|BrokenPipeError|\[Errno 32\]|FutureTimeoutError|"
        r"Lost contact with the worker",
        f"see whether memory ran out, and {_RERUN}",
        errors.WorkerLostError,
    ),
    Cause(
        "the job was cancelled",
        r"ended in state (?:CANCELLED|CANCELLING|DRAINED|UPDATED)",
        "run the same command again to finish it",
        errors.WorkerLostError,
    ),
)
"""The first row that matches is used."""

_EXCEPTION = re.compile(
    r"^(?:E\s+)?(?!File:)(?:(?:\w+\.)*[A-Z]\w*: .+|(?:\w+\.)*\w*(?:Error|Exception))$",
    re.MULTILINE,
)
"""The line of a traceback that names the exception."""

_WHERE = re.compile(r" \[while running '[^\n]*$", re.MULTILINE)


def without_step(text: str) -> str:
    """The text of an error without the name of the step, which Beam adds."""
    return _WHERE.sub("", text)


def worker_error(text: str) -> errors.BeamMatError | None:
    """This package's own error at the end of a worker's traceback, if there is one."""
    found = re.findall(r"^beam_mat\.core\.errors\.(\w+): (.*)$", without_step(text), re.MULTILINE)
    if not found:
        return None
    name, message = found[-1]
    kind = errors.SourceError if name == "ConfigError" else getattr(errors, name, None)
    return kind(message) if kind else None


def cause_of(error: BaseException) -> errors.BeamMatError | None:
    """What the user can do about an error, as an error of this package; None for a bug.

    >>> print(cause_of(OSError(28, "No space left on device")))
    the disk is full (OSError: [Errno 28] No space left on device); free space for the output and \
for temporary files (TMPDIR), and run the same command again, which resumes
    """
    text = "".join(traceback.format_exception_only(error)).strip()
    lines = [text]
    if isinstance(error, RuntimeError):  # it may contain the traceback of a worker
        lines = [*_EXCEPTION.findall(without_step(text))[-1:], text.partition("\n")[0]]
    for line in lines:
        for cause in CAUSES:
            if re.search(cause.pattern, line):
                return cause.kind(f"{cause.what} ({_shortened(line)}); {cause.cure}")
    return None


def _shortened(line: str) -> str:
    text = " ".join(text_without_credentials(line).split()).removeprefix("RuntimeError: ")
    return text if len(text) <= DETAIL_CHARACTERS else f"{text[:DETAIL_CHARACTERS]}…"
