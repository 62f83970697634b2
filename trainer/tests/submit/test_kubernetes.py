from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from mat_trainer.core.command import DEFAULT_PORT
from mat_trainer.submit import kubernetes
from mat_trainer.submit.job import Job
from mat_trainer.submit.kubernetes import JOBSET, PYTORCHJOB, TRAINJOB, Kubernetes
from mat_trainer.submit.mounts import Mount
from tests.submit import crds, jobs

KINDS = pytest.mark.parametrize("kind", [PYTORCHJOB, JOBSET])
RECIPE = "model_name_or_path: a/b\n# naïve\n"


def target(kind: str, **more: Any) -> Kubernetes:
    return Kubernetes("registry/image:1", kind, mounts=(Mount("work", "/shared"),), **more)


def pods(job: Job, cluster: Kubernetes) -> list[dict[str, Any]]:
    """The specifications of the pods in the text, in the order of their ranks."""
    *_, document = yaml.safe_load_all(kubernetes.render(job, cluster))
    spec = document["spec"]
    if cluster.kind == PYTORCHJOB:
        replicas = spec["pytorchReplicaSpecs"]
        return [
            replicas[role]["template"]["spec"]
            for role in ("Master", "Worker")
            for _ in range(replicas.get(role, {"replicas": 0})["replicas"])
        ]
    (group,) = spec["replicatedJobs"]
    nodes = group["template"]["spec"]
    assert group["replicas"] == 1
    assert nodes["completions"] == nodes["parallelism"]
    return [nodes["template"]["spec"]] * int(nodes["completions"])


def started(pod: Mapping[str, Any], environment: Mapping[str, str]) -> list[str]:
    """The words that a container is started with: $(NAME) filled in, $$ read as $."""
    (container,) = pod["containers"]
    return [
        re.sub(
            r"\$\$|\$\((\w+)\)",
            lambda found: "$" if found[0] == "$$" else environment[found[1]],
            word,
        )
        for word in [*container["command"], *container["args"]]
    ]


@KINDS
@pytest.mark.parametrize("nodes", [1, 2, 5])
@pytest.mark.parametrize("recipe_text", [None, RECIPE])
def test_what_is_written_is_what_the_operators_define(
    kind: str, nodes: int, recipe_text: str | None
) -> None:
    job = jobs.changed(nodes=nodes, recipe_text=recipe_text, recipe="mine.yaml", cpus=4, memory=32)
    cluster = target(kind, namespace="team", secrets=("hub",))
    assert crds.faults(kubernetes.manifest(job, cluster), kind) == []


@KINDS
def test_the_definitions_catch_a_wrong_field(kind: str) -> None:
    manifest = kubernetes.manifest(jobs.JOB, target(kind))
    manifest["spec"]["nodes"] = 2
    (fault,) = crds.faults(manifest, kind)
    assert "'nodes' was unexpected" in fault


@pytest.mark.parametrize("nodes", [1, 3])
def test_the_operators_variables_become_the_launchers_ranks(nodes: int) -> None:
    job = jobs.changed(nodes=nodes)
    made = pods(job, target(PYTORCHJOB))
    assert len(made) == nodes
    for rank, pod in enumerate(made):
        # As training-operator 1.8 sets them in pkg/controller.v1/pytorch/envvar.go.
        (port,) = (
            port["containerPort"]
            for port in pod["containers"][0]["ports"]
            if port["name"] == "pytorchjob-port"
        )
        environment = {
            "WORLD_SIZE": str(nodes),
            "RANK": str(rank),
            "MASTER_ADDR": "menus-master-0",
            "MASTER_PORT": str(port),
        }
        words = started(pod, environment)
        assert _value(words, "--nnodes") == str(nodes)
        assert _value(words, "--node-rank") == str(rank)
        assert _value(words, "--master-addr") == "menus-master-0"
        assert _value(words, "--master-port") == str(DEFAULT_PORT)
        assert _value(words, "--nproc-per-node") == "8"
        assert pod["containers"][0]["name"] == "pytorch"


def test_world_size_counts_nodes_only_without_nproc_per_node() -> None:
    assert "nprocPerNode" not in kubernetes.manifest(jobs.JOB, target(PYTORCHJOB))["spec"]


def test_a_jobsets_pods_find_the_first_by_its_name() -> None:
    made = pods(jobs.changed(nodes=3), target(JOBSET))
    manifest = kubernetes.manifest(jobs.changed(nodes=3), target(JOBSET))
    assert manifest["spec"]["network"]["enableDNSHostnames"] is True
    assert len(made) == 3
    words = started(made[2], {"JOB_COMPLETION_INDEX": "2"})
    assert _value(words, "--nnodes") == "3"
    assert _value(words, "--node-rank") == "2"
    # JobSet's documentation: JOBSET-REPLICATEDJOB-JOBINDEX-PODINDEX.SUBDOMAIN
    assert _value(words, "--master-addr") == "menus-node-0-0.menus"


@KINDS
def test_a_pod_has_gpus_shared_memory_volumes_and_time_to_save(kind: str) -> None:
    job = jobs.changed(cpus=96, memory=1500, time_to_save=600)
    for pod in pods(job, target(kind)):
        (container,) = pod["containers"]
        limits = {"nvidia.com/gpu": 8, "cpu": 96, "memory": "1500Gi"}
        assert container["resources"]["limits"] == limits
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        places = {place["mountPath"]: volumes[place["name"]] for place in container["volumeMounts"]}
        assert places["/dev/shm"]["emptyDir"] == {"medium": "Memory"}
        assert places["/shared"]["persistentVolumeClaim"] == {"claimName": "work"}
        *_, asked = container["lifecycle"]["preStop"]["exec"]["command"]
        assert asked == "kill -USR1 1 && sleep 600"
        assert pod["terminationGracePeriodSeconds"] > 600


@KINDS
def test_a_run_that_ends_early_is_started_again_and_resumes(kind: str) -> None:
    manifest = kubernetes.manifest(jobs.JOB, target(kind))
    assert _value(started(pods(jobs.JOB, target(kind))[0], _ANY), "--resume") == "auto"
    spec = manifest["spec"]
    if kind == PYTORCHJOB:
        policies = {replica["restartPolicy"] for replica in spec["pytorchReplicaSpecs"].values()}
        assert policies == {"OnFailure"}
        assert spec["runPolicy"]["backoffLimit"] > 0
    else:
        assert spec["failurePolicy"]["maxRestarts"] > 0


def test_a_jobset_is_not_restarted_for_a_faulty_configuration() -> None:
    manifest = kubernetes.manifest(jobs.JOB, target(JOBSET))
    nodes = manifest["spec"]["replicatedJobs"][0]["template"]["spec"]
    (rule,) = nodes["podFailurePolicy"]["rules"]
    assert (rule["action"], rule["onExitCodes"]["values"]) == ("FailJob", [2, 4])
    (reaction,) = manifest["spec"]["failurePolicy"]["rules"]
    assert reaction["action"] == "FailJobSet"
    assert reaction["onJobFailureReasons"] == ["PodFailurePolicy"]


@KINDS
def test_secrets_are_named_and_no_more(kind: str) -> None:
    (pod, *_) = pods(jobs.JOB, target(kind, secrets=("hub", "bucket")))
    assert pod["containers"][0]["envFrom"] == [
        {"secretRef": {"name": "hub"}},
        {"secretRef": {"name": "bucket"}},
    ]


@KINDS
def test_a_users_recipe_comes_in_a_config_map_that_the_pods_mount(kind: str) -> None:
    job = jobs.changed(recipe="mine.yaml", recipe_text=RECIPE)
    config, _ = yaml.safe_load_all(kubernetes.render(job, target(kind, namespace="team")))
    assert config["metadata"]["namespace"] == "team"
    (pod, *_) = pods(job, target(kind))
    path = started(pod, _ANY)[2]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    (place,) = (
        place
        for place in pod["containers"][0]["volumeMounts"]
        if path.startswith(place["mountPath"] + "/")
    )
    assert volumes[place["name"]]["configMap"]["name"] == config["metadata"]["name"]
    assert config["data"][path.removeprefix(place["mountPath"] + "/")] == RECIPE


def test_another_recipe_has_another_config_map() -> None:
    names = {
        config["metadata"]["name"]
        for text in (RECIPE, RECIPE + "stage: sft\n")
        if (config := kubernetes.config_map(jobs.changed(recipe_text=text), target(JOBSET)))
    }
    assert len(names) == 2
    assert kubernetes.config_map(jobs.JOB, target(JOBSET)) is None


@KINDS
def test_a_users_dollar_is_not_kubernetes(kind: str) -> None:
    job = jobs.changed(overrides=("run_name=$(RANK) $$ $HOME",))
    (pod, *_) = pods(job, target(kind))
    assert _value(started(pod, _ANY), "--set") == "run_name=$(RANK) $$ $HOME"


def test_faults_are_told_all_at_once() -> None:
    found = kubernetes.faults(jobs.changed(dataset="/data/mat"), Kubernetes(""))
    assert [fault.split(": ")[0].split(" is ")[0] for fault in found] == [
        "--output-dir /shared/menus",
        "--dataset /data/mat",
        "--image",
    ]


class _Any(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return f"<{key}>"


_ANY = _Any()


def _value(words: list[str], option: str) -> str:
    return words[words.index(option) + 1]


PLACED: dict[str, Any] = {
    "labels": (("kueue.x-k8s.io/queue-name", "team"),),
    "selectors": (("gpu", "h100"),),
    "tolerations": ("nvidia.com/gpu:NoSchedule", "team=vision", "any"),
}


@KINDS
def test_pods_go_where_they_are_meant_to_with_their_variables(kind: str) -> None:
    job = jobs.changed(environment=(("NCCL_SOCKET_IFNAME", "eth0"), ("PROMPT", "$(HOME) $x")))
    cluster = target(kind, **PLACED)
    assert kubernetes.faults(job, cluster) == []
    manifest = kubernetes.manifest(job, cluster)
    assert crds.faults(manifest, kind) == []
    assert manifest["metadata"]["labels"] == {"kueue.x-k8s.io/queue-name": "team"}
    for pod in pods(job, cluster):
        assert pod["nodeSelector"] == {"gpu": "h100"}
        assert [one["operator"] for one in pod["tolerations"]] == ["Exists", "Equal", "Exists"]
        variables = {one["name"]: one["value"] for one in pod["containers"][0]["env"]}
        assert variables["NCCL_SOCKET_IFNAME"] == "eth0"
        assert variables["PROMPT"] == "$$(HOME) $$x"  # as Kubernetes writes what it must not fill


@pytest.mark.parametrize("path", ["/cache", "/dev/shm", "/etc/mat-trainer"])
def test_a_mount_where_the_job_has_one_of_its_own_is_told(path: str) -> None:
    cluster = Kubernetes("i", mounts=(Mount("work", "/shared"), Mount("other", path)))
    (fault,) = kubernetes.faults(jobs.JOB, cluster)
    assert f"--mount other={path}: the job has a volume of its own there" in fault


@pytest.mark.parametrize(
    ("option", "more"),
    [
        ("--label", {"labels": (("a b", "c"),)}),
        ("--label", {"labels": (("a", "c d"),)}),
        ("--node-selector", {"selectors": (("/a", "c"),)}),
        ("--toleration", {"tolerations": ("a:Never",)}),
        ("--toleration", {"tolerations": ("",)}),
    ],
)
def test_what_kubernetes_would_refuse_is_told(option: str, more: dict[str, Any]) -> None:
    (fault,) = kubernetes.faults(jobs.JOB, target(JOBSET, **more))
    assert fault.startswith(option)


@pytest.mark.parametrize("nodes", [1, 3])
def test_a_trainjob_is_what_kubeflow_trainer_defines(nodes: int) -> None:
    job = jobs.changed(nodes=nodes, recipe="mine.yaml", recipe_text=RECIPE, cpus=4, memory=32)
    cluster = target(TRAINJOB, secrets=("hub/HF_TOKEN",), runtime="torch-team", **PLACED)
    assert kubernetes.faults(job, cluster) == []
    manifest = kubernetes.manifest(job, cluster)
    assert crds.faults(manifest, TRAINJOB) == []
    spec = manifest["spec"]
    assert spec["runtimeRef"] == {"name": "torch-team"}
    assert (spec["trainer"]["numNodes"], spec["trainer"]["numProcPerNode"]) == (nodes, 8)
    # As Kubeflow's torch policy sets them (pkg/runtime/framework/plugins/torch).
    environment = {
        "PET_NNODES": str(nodes),
        "PET_NODE_RANK": "2",
        "PET_MASTER_ADDR": "menus-node-0-0.menus",
        "PET_MASTER_PORT": "29500",
    }
    words = started({"containers": [spec["trainer"]]}, environment)
    assert words[:3] == ["mat-trainer", "run", "/etc/mat-trainer/mine.yaml"]
    assert _value(words, "--nnodes") == str(nodes)
    assert _value(words, "--node-rank") == "2"
    assert _value(words, "--master-addr") == "menus-node-0-0.menus"
    (overrides,) = spec["podTemplateOverrides"]
    names = {volume["name"] for volume in overrides["spec"]["volumes"]}
    (container,) = overrides["spec"]["containers"]
    assert {place["name"] for place in container["volumeMounts"]} == names
    assert overrides["spec"]["nodeSelector"] == {"gpu": "h100"}
    secrets = [one for one in spec["trainer"]["env"] if "valueFrom" in one]
    assert secrets == [
        {"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hub", "key": "HF_TOKEN"}}}
    ]


def test_a_trainjob_takes_single_keys_of_secrets() -> None:
    (fault,) = kubernetes.faults(jobs.JOB, target(TRAINJOB, secrets=("hub",)))
    assert "--secret hub: a TrainJob takes single keys" in fault


@KINDS
def test_one_key_of_a_secret_is_one_variable(kind: str) -> None:
    manifest = kubernetes.manifest(jobs.JOB, target(kind, secrets=("hub/HF_TOKEN",)))
    assert crds.faults(manifest, kind) == []
    (pod, *_) = pods(jobs.JOB, target(kind, secrets=("hub/HF_TOKEN",)))
    assert "envFrom" not in pod["containers"][0]
    assert pod["containers"][0]["env"][-1]["valueFrom"]["secretKeyRef"]["name"] == "hub"
