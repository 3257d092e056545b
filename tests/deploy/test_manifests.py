"""The Kubernetes manifests: valid by their schemas, in agreement with each other, and locked."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from pydantic import ValidationError

from proxytune import __version__
from tests.deploy.kuberay import RayCluster, RayJob, valid
from tests.deploy.kustomize import Manifest
from tests.deploy.manifests import DEPLOY, OUTSIDE, SECRETS, only, pods, references

KUBERAY = {"RayCluster": RayCluster, "RayJob": RayJob}
PINS = dict(
    line.split("==")
    for line in (DEPLOY.parent / "constraints.txt").read_text().splitlines()
    if "==" in line
)
COMPONENTS = {"postgres", "mlflow", "head", "worker"}


def check(manifest: Manifest) -> None:
    kind = KUBERAY.get(manifest["kind"])
    kind.model_validate(manifest) if kind else valid(manifest)


def test_every_manifest_is_valid(manifests: list[Manifest]) -> None:
    for manifest in manifests:
        check(manifest)
    assert set(pods(manifests)) == COMPONENTS


@pytest.mark.parametrize("kind", ["RayCluster", "RayJob", "StatefulSet", "NetworkPolicy"])
def test_a_misspelt_field_is_refused(manifests: list[Manifest], kind: str) -> None:
    broken = next(manifest for manifest in manifests if manifest["kind"] == kind)
    broken["spec"]["replica"] = 1
    with pytest.raises((ValidationError, kubernetes_validate.ValidationError)):
        check(broken)


def test_a_misspelt_field_of_a_ray_pod_is_refused(manifests: list[Manifest]) -> None:
    pods(manifests)["worker"].container["volumeMount"] = []
    with pytest.raises(kubernetes_validate.ValidationError):
        check(only(manifests, "RayCluster"))


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="there is no kubectl")
def test_kustomize_builds_the_same(
    overlay: str, manifests: list[Manifest], tmp_path: Path
) -> None:
    built = subprocess.run(
        ["kubectl", "kustomize", tmp_path / "kubernetes" / overlay],
        check=True,
        capture_output=True,
        text=True,
    )
    theirs, ours = list(yaml.safe_load_all(built.stdout)), manifests[:-1]  # the job is no part
    assert sorted(map(json.dumps, map(ordered, theirs))) == sorted(
        map(json.dumps, map(ordered, ours))
    )


def ordered(value: Any) -> Any:
    """The same with sorted keys, for comparison as text."""
    return json.loads(json.dumps(value, sort_keys=True))


def test_everything_referred_to_is_there(overlay: str, manifests: list[Manifest]) -> None:
    there = {(manifest["kind"], manifest["metadata"]["name"]) for manifest in manifests}
    there |= OUTSIDE | (SECRETS if overlay == "base" else set())
    needed = {ref[:2] for pod in pods(manifests).values() for ref in references(pod)}
    needed.add(("Secret", only(manifests, "RayCluster")["spec"]["authOptions"]["secretName"]))
    selector = only(manifests, "RayJob")["spec"]["clusterSelector"]
    needed.add(("RayCluster", selector["ray.io/cluster"]))
    assert needed <= there
    readme = (DEPLOY / "README.md").read_text()
    for kind, name in OUTSIDE | SECRETS:
        assert re.search(rf"create {kind.lower()}( generic)? {name}\b", readme), name


def test_every_key_of_a_secret_is_in_its_example_and_the_readme(
    manifests: list[Manifest],
) -> None:
    keys = {(name, key) for pod in pods(manifests).values() for _, name, key in references(pod)}
    used = {(name, key) for name, key in keys if key} | {("ray-token", "auth_token")}
    examples = {
        (file.name.removesuffix(".env.example"), line.removesuffix("="))
        for file in (DEPLOY / "kubernetes" / "local").glob("*.env.example")
        for line in file.read_text().splitlines()
    }
    assert used == examples
    readme = (DEPLOY / "README.md").read_text()
    assert all(f"--from-literal={key}=" in readme for _, key in used)


def test_every_variable_that_a_value_names_comes_before_it(manifests: list[Manifest]) -> None:
    for pod in pods(manifests).values():
        before: set[str] = set()
        for name, variable in pod.environment.items():
            assert set(re.findall(r"\$\((\w+)\)", variable.get("value", ""))) <= before
            before.add(name)


def test_no_volume_is_mounted_that_is_not_there(manifests: list[Manifest]) -> None:
    claims = only(manifests, "StatefulSet")["spec"]["volumeClaimTemplates"]
    for pod in pods(manifests).values():
        there = {volume["name"] for volume in pod.spec["volumes"]}
        if pod.component == "postgres":
            there |= {claim["metadata"]["name"] for claim in claims}
        assert {mount["name"] for mount in pod.container["volumeMounts"]} == there
    mounts = only(manifests, "RayCluster")["spec"]["autoscalerOptions"]["volumeMounts"]
    assert [mount["name"] for mount in mounts] == ["scratch"]


def test_checkpoints_and_tokens_are_on_a_volume_that_all_nodes_share(
    overlay: str, manifests: list[Manifest]
) -> None:
    for node in (pods(manifests)[name] for name in ("head", "worker")):
        home = node.environment["PROXYTUNE_HOME"]["value"]
        (mount,) = (m for m in node.container["volumeMounts"] if m["mountPath"] == home)
        (volume,) = (v for v in node.spec["volumes"] if v["name"] == mount["name"])
        assert volume["persistentVolumeClaim"] == {"claimName": "home"}
    modes = only(manifests, "PersistentVolumeClaim", "home")["spec"]["accessModes"]
    assert modes == (["ReadWriteMany"] if overlay == "base" else ["ReadWriteOnce"])


def test_every_pod_is_locked(manifests: list[Manifest]) -> None:
    namespace = only(manifests, "Namespace")["metadata"]["labels"]
    assert namespace["pod-security.kubernetes.io/enforce"] == "restricted"
    options = only(manifests, "RayCluster")["spec"]["autoscalerOptions"]
    found = pods(manifests).values()
    for container in (*(pod.container for pod in found), options):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
    for pod in found:
        context = pod.spec["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] == context["runAsGroup"] == context["fsGroup"] > 0
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        # The head's autoscaler asks the Kubernetes API, and nobody else does.
        mounted = pod.spec.get("automountServiceAccountToken", True)
        assert mounted is (pod.component == "head")
        assert not pod.spec.keys() & {"hostNetwork", "hostPID", "hostIPC"}
        assert all("hostPath" not in volume for volume in pod.spec["volumes"])


def test_every_container_says_what_it_takes_and_how_it_is(manifests: list[Manifest]) -> None:
    for pod in pods(manifests).values():
        resources = pod.container["resources"]
        for part in ("requests", "limits"):
            assert {"cpu", "memory"} <= resources[part].keys()
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert pod.container[probe].keys() & {"httpGet", "exec"}


def test_only_gpu_workers_take_gpus(overlay: str, manifests: list[Manifest]) -> None:
    for pod in pods(manifests).values():
        gpus = pod.container["resources"]["limits"].get("nvidia.com/gpu")
        assert gpus == ("1" if (overlay, pod.component) == ("base", "worker") else None)


def test_the_cluster_scales_asks_for_a_token_and_keeps_packs_off_the_head(
    manifests: list[Manifest],
) -> None:
    spec = only(manifests, "RayCluster")["spec"]
    assert spec["enableInTreeAutoscaling"] is True
    assert spec["authOptions"]["mode"] == "token"
    assert spec["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    (group,) = spec["workerGroupSpecs"]
    # A study takes what is there when it starts: none would be nothing.
    assert 1 <= group["minReplicas"] < group["maxReplicas"]


def test_versions_are_those_of_the_package_and_of_constraints(manifests: list[Manifest]) -> None:
    assert only(manifests, "RayCluster")["spec"]["rayVersion"] == PINS["ray"]
    images = {pod.container["image"] for pod in pods(manifests).values()}
    assert f"proxytune:{__version__}" in images
    assert all(re.search(r":\d+\.\d+[\w.-]*$", image) for image in images)


@pytest.mark.skipif(not (DEPLOY.parent / ".git").exists(), reason="sources without git")
def test_no_secret_is_committed() -> None:
    """Examples have names only; the files with values are ignored by git."""
    for file in (DEPLOY / ".env.example", *(DEPLOY / "kubernetes").rglob("*.env.example")):
        assert all(re.fullmatch(r"\w[\w-]*=", line) for line in file.read_text().splitlines())
    for file in ("deploy/.env", "deploy/kubernetes/local/postgres.env"):
        ignored = subprocess.run(["git", "check-ignore", "--quiet", file], cwd=DEPLOY.parent)
        assert ignored.returncode == 0, file


def test_no_manifest_holds_a_password(overlay: str, manifests: list[Manifest]) -> None:
    secrets = [manifest for manifest in manifests if manifest["kind"] == "Secret"]
    assert bool(secrets) == (overlay == "local")
    for manifest in manifests:
        if manifest not in secrets:
            for password in re.findall(r'://\w+:([^"@]*)@', json.dumps(manifest)):
                assert re.fullmatch(r"\$\(\w+\)", password)
    for pod in pods(manifests).values():
        for name, variable in pod.environment.items():
            assert ("PASSWORD" in name) == ("valueFrom" in variable)
