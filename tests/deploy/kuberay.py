"""KubeRay's RayCluster and RayJob, in the fields that deploy/ uses.

After the CRD reference of KubeRay 1.6 (https://docs.ray.io/en/master/cluster/kubernetes/references).
Anything else is refused. What is Kubernetes' own in them, kubernetes-validate checks as well.
"""

from typing import Annotated, Any, Literal

from kubernetes_validate import validate
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

KUBERNETES = "1.34"
"""The version whose schemas hold."""


def valid(manifest: dict[str, Any]) -> dict[str, Any]:
    """The manifest. Raises if Kubernetes' schema for its kind does not allow it."""
    validate(manifest, KUBERNETES, strict=True)
    return manifest


def _pod_template(template: dict[str, Any]) -> dict[str, Any]:
    valid(
        {
            "apiVersion": "v1",
            "kind": "PodTemplate",
            "metadata": {"name": "x"},
            "template": template,
        }
    )
    return template


def _parts_of_a_container(parts: dict[str, Any]) -> dict[str, Any]:
    _pod_template({"spec": {"containers": [{"name": "x", **parts}]}})
    return parts


class KubeRay(BaseModel):
    """Refuses fields that are not named."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, strict=True)


PodTemplate = Annotated[dict[str, Any], AfterValidator(_pod_template)]
RayStartParams = dict[str, str]
Count = Annotated[int, Field(ge=0)]


class Metadata(KubeRay):
    """Names it."""

    name: str
    namespace: Literal["proxytune"]


class AuthOptions(KubeRay):
    """Who may talk to the cluster."""

    mode: Literal["disabled", "token"]
    secret_name: str | None = None


class AutoscalerOptions(KubeRay):
    """The container beside the head that asks for workers."""

    version: Literal["v1", "v2"]
    idle_timeout_seconds: Count
    resources: dict[str, Any]
    security_context: dict[str, Any]
    volume_mounts: list[dict[str, Any]]

    def model_post_init(self, _: object) -> None:
        """Holds its parts to the schema of a container."""
        _parts_of_a_container(
            {
                "resources": self.resources,
                "securityContext": self.security_context,
                "volumeMounts": self.volume_mounts,
            }
        )


class HeadGroup(KubeRay):
    """The head."""

    ray_start_params: RayStartParams
    template: PodTemplate


class WorkerGroup(KubeRay):
    """Workers of one kind."""

    group_name: str
    replicas: Count
    min_replicas: Count
    max_replicas: Count
    ray_start_params: RayStartParams
    template: PodTemplate

    def model_post_init(self, _: object) -> None:
        """Holds the numbers to their order."""
        assert self.min_replicas <= self.replicas <= self.max_replicas


class RayClusterSpec(KubeRay):
    """What the cluster is."""

    ray_version: str
    auth_options: AuthOptions
    enable_in_tree_autoscaling: bool
    autoscaler_options: AutoscalerOptions
    head_group_spec: HeadGroup
    worker_group_specs: Annotated[list[WorkerGroup], Field(min_length=1)]


class RayCluster(KubeRay):
    """A Ray cluster."""

    api_version: Literal["ray.io/v1"]
    kind: Literal["RayCluster"]
    metadata: Metadata
    spec: RayClusterSpec


class RayJobSpec(KubeRay):
    """A job for a cluster that is there."""

    cluster_selector: dict[Literal["ray.io/cluster"], str]
    submission_mode: Literal["K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"]
    entrypoint: str


class RayJob(KubeRay):
    """A job."""

    api_version: Literal["ray.io/v1"]
    kind: Literal["RayJob"]
    metadata: Metadata
    spec: RayJobSpec
