"""Failures that are the user's to repair are named; bugs are not mistaken for them."""

from __future__ import annotations

import pytest

from beam_mat.core.errors import BeamMatError
from beam_mat.runners.causes import CAUSES, cause_of
from tests.command import run

TRACEBACK = """\
Traceback (most recent call last):
  File "apache_beam/runners/common.py", line 1512, in apache_beam.runners.common.DoFnRunner.process
  File "site-packages/apache_beam/transforms/core.py", line 2128, in <lambda>
    wrapper = lambda x: [fn(x)]
                         ^^^^^
{error}

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "site-packages/apache_beam/runners/worker/sdk_worker.py", line 311, in _execute
    response = task()
               ^^^^^^
  File "apache_beam/runners/common.py", line 1623, in apache_beam.runners.common.DoFnRunner._reraise
    if kind == "disk": raise OSError(28, "No space left on device", "/out/x.tmp")
                       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
RuntimeError: {error} [while running 'Write records-ptransform-42']
"""
RUNNERS = {
    "in process": "{error} [while running 'Write records']",
    "worker processes": TRACEBACK,
    "Prism": "Pipeline job-001 failed in state FAILED: bundle inst003 stage-003 failed:"
    + TRACEBACK,
    "Dataflow": "Dataflow pipeline failed. State: FAILED, Error:\n"
    + TRACEBACK
    + "\nhttps://console.cloud.google.com/dataflow/jobs/r/1?project=p",
}
FAILURES = [
    ("OSError: [Errno 28] No space left on device: '/out/x.tmp'", "the disk is full"),
    ("OSError: [Errno 122] Disk quota exceeded: '/out/x.tmp'", "the disk is full"),
    ("MemoryError", "memory ran out"),
    ("numpy._core._exceptions._ArrayMemoryError: Unable to allocate 3. GiB", "memory ran out"),
    ("pyarrow.lib.ArrowMemoryError: malloc of size 1073741824 failed", "memory ran out"),
    ("OSError: [Errno 24] Too many open files: 'a.zip'", "too many files are open"),
    ("PermissionError: [Errno 13] Permission denied: '/out/parquet'", "permission is denied"),
    ("OSError: [Errno 30] Read-only file system: '/out'", "permission is denied"),
    (
        "gcsfs.retry.HttpError: x@y.iam does not have storage.objects.create access, 403",
        "permission is denied",
    ),
    ("botocore.exceptions.NoCredentialsError: Unable to locate credentials", "credentials are"),
    (
        "google.auth.exceptions.DefaultCredentialsError: Your default credentials were not found",
        "credentials are",
    ),
    ("socket.gaierror: [Errno -2] Name or service not known", "the network cannot be reached"),
    ("ConnectionRefusedError: [Errno 111] Connection refused", "the network cannot be reached"),
    (
        "aiohttp.client_exceptions.ClientConnectorError: Cannot connect to host s:443 ssl:default",
        "the network cannot be reached",
    ),
    ("ModuleNotFoundError: No module named 'beam_mat'", "a package is missing"),
    ("FileNotFoundError: [Errno 2] No such file or directory: '/in/a.zip'", "a file or folder is"),
    ("NotADirectoryError: [Errno 20] Not a directory: '/in/a.zip/b'", "a file is where a folder"),
    (
        "grpc._channel._InactiveRpcError: <_InactiveRpcError: status = StatusCode.UNAVAILABLE>",
        "a worker was lost",
    ),
    ("BrokenPipeError: [Errno 32] Broken pipe", "a worker was lost"),
]


@pytest.mark.parametrize("runner", RUNNERS)
@pytest.mark.parametrize(("error", "what"), FAILURES, ids=[what for _, what in FAILURES])
def test_a_workers_failure_is_named(runner: str, error: str, what: str) -> None:
    found = cause_of(RuntimeError(RUNNERS[runner].format(error=error)))
    assert found is not None
    assert str(found).startswith(what)
    assert error.rpartition(": ")[2][:20] in str(found)
    assert "Traceback" not in str(found)
    assert "while running" not in str(found)
    assert found.exit_code == 1


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (OSError(28, "No space left on device"), "the disk is full"),
        (PermissionError(13, "Permission denied", "/out"), "permission is denied"),
        (FileNotFoundError(2, "No such file", "/in"), "a file or folder is missing"),
        (MemoryError(), "memory ran out"),
        (
            RuntimeError("Unable to fetch remote prism binary at https://g/a.zip: <urlopen error>"),
            "Prism could not be downloaded",
        ),
        (ValueError('Unable to parse binary URL "/nowhere". If using'), "Prism could not be st"),
        (
            RuntimeError(
                "Prism did not start to serve at localhost:1; it printed: Usage: no\nA: b"
            ),
            "Prism could not be started",
        ),
        (RuntimeError("the job ended in state CANCELLED"), "the job was cancelled"),
    ],
)
def test_a_failure_of_this_process_is_named(error: Exception, what: str) -> None:
    found = cause_of(error)
    assert isinstance(found, BeamMatError)
    assert str(found).startswith(what)


@pytest.mark.parametrize("runner", RUNNERS)
@pytest.mark.parametrize(
    "error", ["KeyError: 'x'", "AssertionError: counts", "ValueError: not enough values to unpack"]
)
def test_a_bug_stays_a_bug(runner: str, error: str) -> None:
    # The traceback quotes a line of code that speaks of a full disk.
    assert cause_of(RuntimeError(RUNNERS[runner].format(error=error))) is None


def test_every_cause_has_a_case() -> None:
    named = {what for _, what in FAILURES} | {"Prism could not be downloaded", "Prism could not"}
    named |= {"the job was cancelled"}
    for cause in CAUSES:
        assert any(cause.what.startswith(what) for what in named), cause.what


def test_a_signed_address_is_not_printed() -> None:
    text = "requests.ConnectionError: Max retries exceeded with url: https://h/a?Signature=hush"
    assert "hush" not in str(cause_of(RuntimeError(text)))


def test_only_a_bug_asks_for_a_report(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(error: Exception) -> None:
        def raises(*_: object) -> int:
            raise error

        monkeypatch.setattr("beam_mat.cli.doctor.run", raises)

    fail(OSError(28, "No space left on device", "/out"))
    ran = run("doctor")
    assert ran.code == 1
    assert ran.err.startswith("beam-mat: the disk is full (OSError: [Errno 28] No space left")
    assert ran.err.count("\n") == 1
    fail(KeyError("x"))
    ran = run("doctor")
    assert ran.code == 1
    assert "Traceback" in ran.err
    assert "please report" in ran.err
