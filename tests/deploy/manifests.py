"""The deployed manifests, built with made-up secrets; what they run, and what they refer to."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.deploy.kustomize import Manifest, build, load

DEPLOY = Path(__file__).parents[2] / "deploy"
OUTSIDE = {("ConfigMap", "studies")}
"""What the README tells the user to make, whatever the overlay."""
SECRETS = {("Secret", "postgres"), ("Secret", "ray-token")}
"""What it tells to make where no overlay does."""


@dataclass(frozen=True)
class Pod:
    """A pod, as some manifest has it made."""

    component: str
    labels: dict[str, str]
    spec: dict[str, Any]

    @property
    def container(self) -> dict[str, Any]:
        """The only one."""
        (container,) = self.spec["containers"]
        return container

    @property
    def environment(self) -> dict[str, dict[str, Any]]:
        """Variables by name."""
        return {variable["name"]: variable for variable in self.container["env"]}

    def port(self, name: str | int) -> int:
        """A port's number, by its name."""
        ports = {port["name"]: port["containerPort"] for port in self.container["ports"]}
        return ports[name] if isinstance(name, str) else name


def built(overlay: str, folder: Path) -> list[Manifest]:
    """base or local with the study's job, in a copy that has the secrets it needs."""
    copy = folder / "kubernetes"
    shutil.copytree(DEPLOY / "kubernetes", copy, ignore=shutil.ignore_patterns("*.env"))
    for example in copy.glob("local/*.env.example"):
        lines = (f"{line}0f" for line in example.read_text().splitlines())
        example.with_suffix("").write_text("\n".join(lines))
    return build(copy / overlay) + load(copy / "study.yaml")


def only(manifests: list[Manifest], kind: str, name: str | None = None) -> Manifest:
    """The one of a kind (and name)."""
    (found,) = (
        manifest
        for manifest in manifests
        if manifest["kind"] == kind and name in (None, manifest["metadata"]["name"])
    )
    return found


def pods(manifests: list[Manifest]) -> dict[str, Pod]:
    """The pods by component."""
    return {pod.component: pod for manifest in manifests for pod in _pods(manifest)}


def _pods(manifest: Manifest) -> Iterator[Pod]:
    spec = manifest.get("spec", {})
    groups = [spec] if manifest["kind"] in ("Deployment", "StatefulSet") else []
    if manifest["kind"] == "RayCluster":
        groups = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
    for template in (group["template"] for group in groups):
        labels = template["metadata"]["labels"]
        yield Pod(labels["app.kubernetes.io/component"], labels, template["spec"])


def references(pod: Pod) -> Iterator[tuple[str, str, str | None]]:
    """Kind, name and key of what a pod needs to be there."""
    for variable in pod.container["env"]:
        if "valueFrom" in variable:
            key = variable["valueFrom"]["secretKeyRef"]
            yield "Secret", key["name"], key["key"]
    for volume in pod.spec.get("volumes", []):
        if "configMap" in volume:
            yield "ConfigMap", volume["configMap"]["name"], None
        if "persistentVolumeClaim" in volume:
            yield "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"], None
