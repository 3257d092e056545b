"""What NetworkPolicies let through, by Kubernetes' rules: both ends have to agree."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tests.deploy.kustomize import Manifest

HERE = "proxytune"


@dataclass(frozen=True)
class Peer:
    """A pod, or what is outside of the cluster (no namespace)."""

    labels: dict[str, str]
    namespace: str | None = HERE


def lets_through(
    policies: list[Manifest], source: Peer, target: Peer, port: int, protocol: str = "TCP"
) -> bool:
    """Whether a connection comes about."""
    return _agrees(policies, "Egress", source, target, port, protocol) and _agrees(
        policies, "Ingress", target, source, port, protocol
    )


def _agrees(
    policies: list[Manifest], way: str, end: Peer, other: Peer, port: int, protocol: str
) -> bool:
    about = [
        policy["spec"]
        for policy in policies
        if end.namespace == policy["metadata"]["namespace"]
        and way in policy["spec"]["policyTypes"]
        and _selects(policy["spec"]["podSelector"], end.labels)
    ]
    rules = [rule for spec in about for rule in spec.get(way.lower(), ())]
    return not about or any(
        _peers(rule.get("to" if way == "Egress" else "from"), other)
        and any(_port(allowed, port, protocol) for allowed in rule["ports"])
        for rule in rules
    )


def _peers(selectors: Iterable[dict[str, Any]] | None, peer: Peer) -> bool:
    if selectors is None:
        return True  # anybody, also outside
    return any(
        _namespace(selector.get("namespaceSelector"), peer)
        and _selects(selector["podSelector"], peer.labels)
        for selector in selectors
    )


def _namespace(selector: dict[str, Any] | None, peer: Peer) -> bool:
    if selector is None:
        return peer.namespace == HERE
    return _selects(selector, {"kubernetes.io/metadata.name": peer.namespace or ""})


def _selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    exact = selector.get("matchLabels", {}).items()
    listed = selector.get("matchExpressions", [])
    assert all(expression["operator"] == "In" for expression in listed)
    return exact <= labels.items() and all(
        labels.get(expression["key"]) in expression["values"] for expression in listed
    )


def _port(allowed: dict[str, Any], port: int, protocol: str) -> bool:
    inside = allowed["port"] <= port <= allowed.get("endPort", allowed["port"])
    return allowed["protocol"] == protocol and inside
