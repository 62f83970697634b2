from __future__ import annotations

import re
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mat_trainer.submit import slurm
from mat_trainer.submit.slurm import Slurm
from tests.submit import jobs

PLAIN = Slurm()


def directives(text: str) -> list[str]:
    return [line.removeprefix("#SBATCH ") for line in text.splitlines() if line[:8] == "#SBATCH "]


def test_a_job_has_one_task_a_node_and_comes_back_after_a_signal() -> None:
    lines = directives(slurm.render(jobs.changed(time_to_save=120), PLAIN))
    assert lines == [
        "--job-name=menus",
        "--nodes=2",
        "--ntasks-per-node=1",
        "--gpus-per-node=8",
        "--output=/shared/menus/submit/slurm-%j.log",
        "--open-mode=append",
        "--requeue",
        "--signal=B:USR1@120",
    ]


def test_what_the_user_asks_of_slurm_is_in_the_file() -> None:
    asked = Slurm("gpu", "physics", "2-12", ("--constraint=h100", "--qos=high"), ("module load x",))
    text = slurm.render(jobs.changed(cpus=32, memory=200), asked)
    lines = directives(text)
    wanted = ["--partition=gpu", "--account=physics", "--time=2-12", "--cpus-per-task=32"]
    assert {*wanted, "--mem=200G", "--constraint=h100", "--qos=high"} <= set(lines)
    # srun takes no --cpus-per-task over from sbatch since Slurm 22.05.
    assert re.search(r"^srun .* --cpus-per-task=32 ", text, re.MULTILINE)
    assert text.index("\nmodule load x\n") < text.index("\nsrun ")


def test_without_gpus_none_are_asked_for_and_one_process_trains() -> None:
    text = slurm.render(jobs.changed(gpus=0), PLAIN)
    assert "gpus-per-node" not in text
    assert "--nproc-per-node 1\n" in text


printable = st.text(st.characters(exclude_categories=("C", "Zl", "Zp")), min_size=1)


@settings(max_examples=40, deadline=None)
@given(printable, printable, st.lists(printable, max_size=3))
def test_bash_reads_every_value_as_it_was_given(
    dataset: str, output: str, overrides: list[str]
) -> None:
    job = jobs.changed(dataset=dataset, output_dir=output, overrides=tuple(overrides))
    text = slurm.render(job, PLAIN)
    array = text[text.index("train=(") : text.index("\n)\n") + 3]
    script = f"{array}\nprintf '%s\\0' \"${{train[@]}}\""
    said = subprocess.run(["bash", "-c", script], capture_output=True, check=True).stdout
    words = said.decode().split("\0")
    assert words[2:7] == ["qwen2_vl_7b_lora", "--dataset", dataset, "--output-dir", output]
    sets = words[7 : 7 + 2 * len(overrides)]
    assert (sets[::2], sets[1::2]) == (["--set"] * len(overrides), overrides)


def test_the_file_is_bash() -> None:
    text = slurm.render(jobs.JOB, Slurm(setup=("source env/bin/activate",)))
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)


@settings(deadline=None)
@given(st.integers(0, 30), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
def test_every_notation_of_a_time_limit_is_read(d: int, h: int, m: int, s: int) -> None:
    whole = ((d * 24 + h) * 60 + m) * 60 + s
    assert slurm.seconds(f"{d}-{h:02}:{m:02}:{s:02}") == whole
    assert slurm.seconds(f"{d}-{h:02}:{m:02}") == whole - s
    assert slurm.seconds(f"{d}-{h}") == whole - s - m * 60
    assert slurm.seconds(f"{d * 24 + h}:{m:02}:{s:02}") == whole
    assert slurm.seconds(f"{m}:{s:02}") == m * 60 + s
    assert slurm.seconds(f"{m}") == m * 60


@pytest.mark.parametrize("time", ["", "soon", "12h", "1:2:3:4", "-5", "1-", "2:3:4-1"])
def test_what_is_no_time_limit_is_told(time: str) -> None:
    assert slurm.seconds(time) is None
    if time:
        (fault,) = slurm.faults(jobs.JOB, Slurm(time=time))
        assert fault.startswith(f"--time {time}: ")


def test_a_limit_shorter_than_the_saving_is_told() -> None:
    assert slurm.faults(jobs.JOB, Slurm(time="6")) == []
    (fault,) = slurm.faults(jobs.JOB, Slurm(time="5"))
    assert "--time 5: " in fault
    assert "300 seconds" in fault


def test_what_slurm_would_misread_is_told_all_at_once() -> None:
    found = slurm.faults(jobs.changed(output_dir="/a%j"), Slurm(directives=("x", "-p a\n#SBATCH")))
    assert [fault.split(":")[0] for fault in found] == [
        "--sbatch x",
        "--sbatch -p a\n#SBATCH",
        "--output-dir /a%j",
    ]


@pytest.mark.parametrize("directive", ["--array=0-3", "--array 0-3", "-a0-3", "-a 0-3%2"])
def test_an_array_of_one_folder_is_refused(directive: str) -> None:
    (fault,) = slurm.faults(jobs.JOB, Slurm(directives=(directive,)))
    assert "every task of an array would train the same in one folder" in fault
    assert slurm.faults(jobs.JOB, Slurm(directives=("--account=a", "--arch=b"))) == []


@pytest.mark.parametrize("text", ["gpu\n#SBATCH --nodes=99", "gpu\r", "a b", "gpu\x85x", "\u2028"])
def test_a_line_break_in_a_name_is_told(text: str) -> None:
    found = slurm.faults(jobs.JOB, Slurm(partition=text, account=text))
    assert [fault.split(" ")[0] for fault in found] == ["--partition", "--account"]


@settings(max_examples=20, deadline=None)
@given(printable)
def test_bash_exports_every_variable_as_it_was_given(value: str) -> None:
    text = slurm.render(jobs.changed(environment=(("NCCL_SOCKET_IFNAME", value),)), PLAIN)
    lines = "\n".join(line for line in text.split("\n") if line.startswith("export "))
    script = f'{lines}\nprintf %s "$(printenv NCCL_SOCKET_IFNAME)x"'
    said = subprocess.run(["bash", "-c", script], capture_output=True, check=True).stdout
    assert said.decode() == f"{value}\nx" or said.decode().rstrip("x").rstrip("\n") == value
