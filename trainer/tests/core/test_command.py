from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mat_trainer.core.command import Topology, launch
from mat_trainer.core.errors import ConfigError


def environment(topology: Topology, *, deepspeed: bool = False) -> dict[str, str]:
    return launch("/out/t.yaml", topology, "/out/logs", "python", deepspeed=deepspeed).environment


def faults_of(topology: Topology, yaml_path: str = "/out/t.yaml") -> tuple[str, ...]:
    with pytest.raises(ConfigError) as raised:
        launch(yaml_path, topology, "/out/logs", "python")
    return raised.value.faults


def test_several_nodes_have_every_variable() -> None:
    start = launch("/out/t.yaml", Topology(8, 2, 1, "node0", 29400), "/out/logs", "/bin/python")
    assert start.command == ("/bin/python", "-m", "mat_trainer.worker.train", "/out/t.yaml")
    assert start.environment == {
        "FORCE_TORCHRUN": "1",
        "NNODES": "2",
        "NODE_RANK": "1",
        "NPROC_PER_NODE": "8",
        "MASTER_ADDR": "node0",
        "MASTER_PORT": "29400",
        "MAT_TRAINER_LOG_DIR": "/out/logs",
    }


@pytest.mark.parametrize(
    ("topology", "deepspeed", "forced"),
    [
        (Topology(1), False, False),
        (Topology(2), False, True),
        (Topology(1, 2, 0, "node0"), False, True),
        (Topology(None, 2, 0, "node0"), False, True),
        (Topology(1), True, True),
        (Topology(), False, False),
    ],
)
def test_torchrun_is_forced_where_there_are_several_processes_or_deepspeed(
    topology: Topology, deepspeed: bool, forced: bool
) -> None:
    assert ("FORCE_TORCHRUN" in environment(topology, deepspeed=deepspeed)) is forced


def test_the_port_is_the_same_on_every_node() -> None:
    ports = {environment(Topology(1, 3, r, "node0"))["MASTER_PORT"] for r in range(3)}
    assert len(ports) == 1


def test_without_a_number_llama_factory_counts_the_gpus() -> None:
    assert "NPROC_PER_NODE" not in environment(Topology())


@pytest.mark.parametrize(
    "addr",
    "localhost LOCALHOST localhost.localdomain 127.0.0.1 127.8.8.8 ::1 [::1] 0.0.0.0 "
    "::ffff:127.0.0.1".split(),
)
def test_a_node_itself_is_no_master_of_several(addr: str) -> None:
    (fault,) = faults_of(Topology(1, 2, 0, addr))
    assert fault.startswith(f"--master-addr {addr}")
    assert environment(Topology(2, 1, 0, addr))["MASTER_ADDR"] == addr


@pytest.mark.parametrize("addr", ["", " ", "node 0"])
def test_a_master_is_one_word(addr: str) -> None:
    assert "--master-addr" in faults_of(Topology(1, 2, 0, addr))[0]


@pytest.mark.parametrize(
    ("topology", "option"),
    [
        (Topology(0), "--nproc-per-node"),
        (Topology(nnodes=0), "--nnodes"),
        (Topology(1, 2, 2, "node0"), "--node-rank"),
        (Topology(1, 2, -1, "node0"), "--node-rank"),
        (Topology(node_rank=1), "--node-rank"),
        (Topology(master_port=0), "--master-port"),
        (Topology(master_port=65536), "--master-port"),
    ],
)
def test_a_number_out_of_range_is_told(topology: Topology, option: str) -> None:
    assert [fault.split()[0] for fault in faults_of(topology)] == [option]


@pytest.mark.parametrize("path", ["/my runs/t.yaml", "/a\tb.yaml", "/a\nb.yaml", ""])
def test_a_path_that_would_be_split_is_refused(path: str) -> None:
    assert "spaces" in faults_of(Topology(1), path)[0]


def test_every_fault_is_told_at_once() -> None:
    assert len(faults_of(Topology(0, 2, 2, "localhost", 0), "a b.yaml")) == 5


def test_a_shell_runs_the_command_with_its_environment(tmp_path: Path) -> None:
    program = tmp_path / "it's python"
    program.write_text(
        f"#!{sys.executable}\n"
        "import json, os, sys\n"
        "print(json.dumps([sys.argv, dict(os.environ)]))\n"
    )
    program.chmod(0o755)
    logs = str(tmp_path / "logs of $HOME")
    start = launch("/out/t.yaml", Topology(2, 2, 1, "node0"), logs, str(program))
    out = subprocess.run(["sh", "-c", start.shell()], capture_output=True, text=True, check=True)
    words, variables = json.loads(out.stdout)
    assert tuple(words) == start.command
    assert {name: variables[name] for name in start.environment} == start.environment
