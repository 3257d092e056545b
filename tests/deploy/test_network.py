"""Ports agree wherever they are named, and only what has to talk can."""

import itertools

import pytest

from tests.deploy.kustomize import Manifest
from tests.deploy.manifests import only, pods
from tests.deploy.network import Peer, lets_through

POSTGRES, MLFLOW, GCS, DASHBOARD, AGENT, DNS = 5432, 5000, 6379, 8265, 52365, 53
NODE_MANAGER, OBJECTS, WORKER = 6380, 6381, 10500
PORTS = (22, 443, 6443, 8080, 10001, 11000, POSTGRES, MLFLOW, GCS, DASHBOARD, AGENT, DNS)
PORTS += (NODE_MANAGER, OBJECTS, WORKER)
RAY = (GCS, NODE_MANAGER, OBJECTS, AGENT, WORKER)
ALLOWED = {
    ("mlflow", "postgres", POSTGRES),
    ("head", "postgres", POSTGRES),
    ("head", "mlflow", MLFLOW),
    ("operator", "head", DASHBOARD),
    ("head", "outside", 443),
    ("head", "outside", 6443),
    *(
        (source, target, port)
        for source, target in itertools.product(("head", "worker"), repeat=2)
        for port in RAY
    ),
    *((source, "dns", DNS) for source in ("postgres", "mlflow", "head", "worker")),
}


@pytest.fixture
def peers(manifests: list[Manifest]) -> dict[str, Peer]:
    """The cluster's pods, and strangers."""
    own = {name: Peer(pod.labels) for name, pod in pods(manifests).items()}
    return own | {
        "operator": Peer({"app.kubernetes.io/name": "kuberay-operator"}, "kuberay-system"),
        "dns": Peer({"k8s-app": "kube-dns"}, "kube-system"),
        "stranger": Peer({"app.kubernetes.io/component": "head"}, "default"),
        "newcomer": Peer({"app.kubernetes.io/component": "something"}),
        "outside": Peer({}, None),
    }


def test_only_what_has_to_talk_can(manifests: list[Manifest], peers: dict[str, Peer]) -> None:
    policies = [manifest for manifest in manifests if manifest["kind"] == "NetworkPolicy"]
    ours = {name for name, peer in peers.items() if peer.namespace == "proxytune"}
    through = {
        (source, target, port)
        for (source, a), (target, b) in itertools.product(peers.items(), repeat=2)
        for port in PORTS
        if {source, target} & ours and lets_through(policies, a, b, port)
    }
    assert through - {("newcomer", "dns", DNS)} == ALLOWED | {
        ("head", target, port)
        for target in ("stranger", "operator", "dns")
        for port in (443, 6443)
    }


def test_names_are_asked_for_over_udp_too(
    manifests: list[Manifest], peers: dict[str, Peer]
) -> None:
    policies = [manifest for manifest in manifests if manifest["kind"] == "NetworkPolicy"]
    assert lets_through(policies, peers["worker"], peers["dns"], DNS, "UDP")
    assert not lets_through(policies, peers["worker"], peers["head"], GCS, "UDP")


def test_rays_ports_are_the_policys(manifests: list[Manifest]) -> None:
    spec = only(manifests, "RayCluster")["spec"]
    groups = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
    (rule,) = only(manifests, "NetworkPolicy", "ray")["spec"]["ingress"]
    opened = {(port["port"], port.get("endPort", port["port"])) for port in rule["ports"]}
    for group in groups:
        ports = {name: int(n) for name, n in group["rayStartParams"].items() if "port" in name}
        workers = (ports.pop("min-worker-port"), ports.pop("max-worker-port"))
        agent = ports.pop("dashboard-agent-listen-port")
        single = {GCS, *ports.values()}
        assert opened == {(min(single), max(single)), (agent, agent), workers}
        assert len(single) == max(single) - min(single) + 1
        assert len(ports) == 4


def test_probes_services_commands_and_urls_name_the_ports_that_are_open(
    manifests: list[Manifest],
) -> None:
    found = pods(manifests)
    for pod in found.values():
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            if get := pod.container[probe].get("httpGet"):
                assert pod.port(get["port"]) in {MLFLOW, DASHBOARD, AGENT}
    for name, port in (("postgres", POSTGRES), ("mlflow", MLFLOW)):
        service = only(manifests, "Service", name)["spec"]
        assert service["selector"].items() <= found[name].labels.items()
        (published,) = service["ports"]
        assert (published["port"], found[name].port(published["targetPort"])) == (port, port)
    arguments = found["mlflow"].container["args"]
    assert arguments[arguments.index("--port") + 1] == str(MLFLOW)
    assert str(POSTGRES) in found["postgres"].container["startupProbe"]["exec"]["command"]
    assert found["head"].environment["MLFLOW_TRACKING_URI"]["value"] == f"http://mlflow:{MLFLOW}"
    hosts = found["mlflow"].environment["MLFLOW_SERVER_ALLOWED_HOSTS"]["value"]
    assert f"mlflow:{MLFLOW}" in hosts.split(",")
    for pod, name in (("head", "PROXYTUNE_STORAGE"), ("mlflow", "MLFLOW_BACKEND_STORE_URI")):
        assert f"@postgres:{POSTGRES}/" in found[pod].environment[name]["value"]
