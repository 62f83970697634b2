"""The launcher and programs that are hard to end."""

from __future__ import annotations

import os
import signal
import sys
import textwrap
from pathlib import Path

import pytest

from mat_trainer.core.control import EXIT_SAVED
from tests.processes import launched, wait_for

# Each writes a file once it is up, so that no test has to guess when.
STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGINT, signal.SIG_IGN)
open(sys.argv[1], "w").close()
time.sleep(600)
"""
# As torchrun does: each rank leads a session of its own.
PARENT = """
import subprocess, sys, time
folder, child, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
for number in range(count):
    words = [sys.executable, "-c", child, f"{folder}/up-{number}"]
    subprocess.Popen(words, start_new_session=True)
open(f"{folder}/up-parent", "w").close()
time.sleep(float(sys.argv[4]))
"""
# A daemon: twice forked, its first parent gone.
DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open(sys.argv[1], "w").close()
        time.sleep(600)
    os._exit(0)
os.wait()
while not os.path.exists(sys.argv[1]):
    time.sleep(0.01)
sys.exit(3)
"""


def python(program: str, *words: object) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(program), *map(str, words)]


def up(folder: Path, count: int) -> bool:
    return len(list(folder.glob("up-*"))) == count


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("pass", 0),
        ("raise SystemExit(7)", 7),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", 128 + signal.SIGKILL),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", 128 + signal.SIGTERM),
    ],
)
def test_the_exit_code_is_the_commands_own(program: str, code: int) -> None:
    with launched(python(program)) as launcher:
        assert launcher.ended()[0] == code


def test_a_command_that_is_not_there_is_an_error() -> None:
    with launched(["/no/such/program"]) as launcher:
        code, _, err = launcher.ended()
    assert code == 1
    assert "/no/such/program" in err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_reaches_children_in_sessions_of_their_own(
    tmp_path: Path, number: signal.Signals
) -> None:
    child = "import signal, sys, time; open(sys.argv[1], 'w').close(); time.sleep(600)"
    with launched(python(PARENT, tmp_path, child, 3, 600), grace=600) as launcher:
        wait_for(lambda: up(tmp_path, 4))
        assert len(launcher.below()) == 4
        launcher.process.send_signal(number)
        # A rank that heard of a hang-up would not know that its end is meant.
        told = signal.SIGTERM if number == signal.SIGHUP else number
        assert launcher.ended()[0] == 128 + told
        assert launcher.below() == []


def test_a_terminal_that_is_gone_is_no_reason_to_leave_training_alone(tmp_path: Path) -> None:
    child = "import sys, time; open(sys.argv[1], 'w').close(); time.sleep(600)"
    with launched(python(PARENT, tmp_path, child, 1, 600), grace=600) as launcher:
        wait_for(lambda: up(tmp_path, 2))
        for stream in (launcher.process.stdout, launcher.process.stderr):
            assert stream is not None
            stream.close()
        launcher.process.send_signal(signal.SIGHUP)
        launcher.process.wait()
        assert launcher.below() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_does_not_listen_is_killed_after_the_grace(
    tmp_path: Path, number: signal.Signals
) -> None:
    with launched(python(PARENT, tmp_path, STUBBORN, 2, 600), grace=0.5) as launcher:
        wait_for(lambda: up(tmp_path, 3))
        launcher.process.send_signal(number)
        assert launcher.ended()[0] == 128 + number
        assert launcher.below() == []


def test_a_second_signal_kills_at_once(tmp_path: Path) -> None:
    with launched(python(PARENT, tmp_path, STUBBORN, 1, 600), grace=600) as launcher:
        wait_for(lambda: up(tmp_path, 2))
        launcher.process.send_signal(signal.SIGTERM)
        wait_for(lambda: len(launcher.below()) == 1)
        launcher.process.send_signal(signal.SIGTERM)
        launcher.ended()
        assert launcher.below() == []


def test_orphans_and_daemons_do_not_outlive_a_command_that_ends_by_itself(tmp_path: Path) -> None:
    with launched(python(DAEMON, tmp_path / "up"), grace=0.5) as launcher:
        code, _, err = launcher.ended()
        assert (code, launcher.below()) == (3, [])
    assert "processes that training left behind" in err


def test_what_a_killed_parent_leaves_is_ended_too(tmp_path: Path) -> None:
    command = python(PARENT, tmp_path, STUBBORN, 2, 600)
    with launched(command, grace=0.5) as launcher:
        wait_for(lambda: up(tmp_path, 3))
        (parent,) = (other for other in launcher.below() if "Popen" in " ".join(other.cmdline()))
        parent.kill()
        assert launcher.ended()[0] == 128 + signal.SIGKILL
        assert launcher.below() == []


def test_signals_that_the_shell_wants_ignored_are_ignored(tmp_path: Path) -> None:
    program = "import sys, time; open(sys.argv[1], 'w').close(); time.sleep(600)"
    ignored = (signal.SIGINT, signal.SIGHUP)
    with launched(python(program, tmp_path / "up-0"), ignored=ignored) as launcher:
        wait_for(lambda: up(tmp_path, 1))
        launcher.process.send_signal(signal.SIGHUP)
        launcher.process.send_signal(signal.SIGINT)
        launcher.process.send_signal(signal.SIGTERM)
        code, _, err = launcher.ended()
    assert code == 128 + signal.SIGTERM
    assert "SIGHUP" not in err
    assert "SIGINT" not in err


def test_sigusr1_does_not_end_a_program_that_does_not_know_it() -> None:
    program = "import os, signal; os.kill(os.getpid(), signal.SIGUSR1)"
    with launched(python(program)) as launcher:
        assert launcher.ended()[0] == 0


def test_sigusr1_asks_to_save_and_tells_by_75_that_it_was_done(tmp_path: Path) -> None:
    program = """
        import os, pathlib, sys, time
        folder = pathlib.Path(os.environ["MAT_TRAINER_CONTROL_DIR"])
        pathlib.Path(sys.argv[1], "up-0").write_text(str(folder))
        while not (folder / "save-and-stop").exists():
            time.sleep(0.01)
        if sys.argv[2] == "saves":
            (folder / "stopped-at-step").write_text("5")
    """
    for word, code in (("saves", EXIT_SAVED), ("had ended anyway", 0)):
        with launched(python(program, tmp_path, word)) as launcher:
            wait_for(lambda: up(tmp_path, 1))
            launcher.process.send_signal(signal.SIGUSR1)
            assert launcher.ended()[0] == code
        folder = Path(tmp_path.joinpath("up-0").read_text())
        assert not folder.exists()
        tmp_path.joinpath("up-0").unlink()


def test_a_failure_is_told_even_if_it_was_asked_to_save() -> None:
    program = """
        import os, pathlib
        pathlib.Path(os.environ["MAT_TRAINER_CONTROL_DIR"], "stopped-at-step").touch()
        raise SystemExit(9)
    """
    with launched(python(program)) as launcher:
        assert launcher.ended()[0] == 9


def test_the_growth_of_a_log_is_shown_to_its_last_line(tmp_path: Path) -> None:
    log = tmp_path / "rank.log"
    log.write_text("of the attempt before\n")
    program = """
        import sys, time
        with open(sys.argv[1], "a") as log:
            print("step 1", file=log, flush=True)
            time.sleep(0.5)
            print("step 2 \u2713", file=log, flush=True)
    """
    with launched(python(program, log), show=log) as launcher:
        assert launcher.ended()[1] == "step 1\nstep 2 \u2713\n"


def test_the_environment_is_added_to_the_launchers_own(tmp_path: Path) -> None:
    program = "import os; print(os.environ['MINE'], 'PATH' in os.environ)"
    with launched(python(program), {"MINE": "there"}) as launcher:
        assert launcher.ended()[1] == "there True\n"
    assert "MINE" not in os.environ
