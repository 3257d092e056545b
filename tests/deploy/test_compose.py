"""compose.yaml: open to this machine only, started in order, locked, without secrets."""

import re
from typing import Any

from tests.deploy.kustomize import Manifest, load
from tests.deploy.manifests import DEPLOY, only, pods

(FILE,) = load(DEPLOY / "compose.yaml")
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
(GPU,) = load(DEPLOY / "compose.gpu.yaml")
EXAMPLE = (DEPLOY / ".env.example").read_text()


def test_ports_are_published_on_this_machine_only() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert published
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in published)


def test_who_is_waited_for_says_when_it_is_healthy() -> None:
    for service in SERVICES.values():
        for name, how in service.get("depends_on", {}).items():
            assert how == {"condition": "service_healthy"}
            assert "test" in SERVICES[name]["healthcheck"]
    # Servers have a health; a command that ends has an exit code.
    serving = {name for name, service in SERVICES.items() if "restart" in service}
    assert serving == {name for name, s in SERVICES.items() if "test" in s["healthcheck"]}


def test_services_are_locked() -> None:
    for service in SERVICES.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert not service.keys() & {"privileged", "network_mode", "pid"}


def test_the_database_is_reached_by_services_only() -> None:
    assert FILE["networks"]["stores"] == {"internal": True}
    assert SERVICES["postgres"]["networks"] == ["stores"]
    assert "ports" not in SERVICES["postgres"]


def test_named_volumes_and_networks_are_declared_and_files_are_there() -> None:
    for service in SERVICES.values():
        assert set(service["networks"]) <= FILE["networks"].keys()
        for source, *_ in (volume.split(":") for volume in service["volumes"]):
            there = (DEPLOY / source).exists() if "/" in source else source in FILE["volumes"]
            assert there, source
    build = SERVICES["proxytune"]["build"]
    assert (DEPLOY / build["context"] / build["dockerfile"]).is_file()


def test_secrets_come_from_the_environment_file_and_are_missed_aloud() -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    secrets = set(re.findall(r"\$\{(\w+):\?see deploy/\.env\.example\}", text))
    assert secrets == {line.removesuffix("=") for line in EXAMPLE.split()}
    assert not re.findall(r"://\w+:[^$\s]*@", text)


def test_images_are_those_of_the_cluster(manifests: list[Manifest]) -> None:
    found = pods(manifests)
    assert SERVICES["postgres"]["image"] == found["postgres"].container["image"]
    for name in ("mlflow", "proxytune"):
        assert SERVICES[name]["image"] == found["head"].container["image"]
    databases = only(manifests, "ConfigMap")["data"]
    assert databases.keys() == {"databases.sh"}
    assert any("base/databases.sh" in volume for volume in SERVICES["postgres"]["volumes"])


def test_the_gpu_file_changes_services_that_are_there() -> None:
    assert GPU["services"].keys() <= SERVICES.keys()
