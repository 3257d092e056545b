"""What manifests and compose.yaml set and call is what the programs read and have."""

import importlib.metadata
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import mlflow.environment_variables
import pytest
from mlflow.cli import server
from ray._common.usage import usage_constants

from proxytune.cli.main import main
from tests.commands import proxytune
from tests.deploy.kustomize import Manifest, load
from tests.deploy.manifests import DEPLOY, only, pods

COMPOSE = load(DEPLOY / "compose.yaml")[0]["services"]
DATABASES = (DEPLOY / "kubernetes" / "base" / "databases.sh").read_text()
POSTGRES_IMAGE = {"POSTGRES_USER", "POSTGRES_PASSWORD", "PGDATA"}
ANY_PROGRAM = {"HOME"}


def options(command: click.Command) -> Iterator[click.Parameter]:
    """All parameters of a command and of those below it."""
    yield from command.params
    for below in getattr(command, "commands", {}).values():
        yield from options(below)


def names(command: click.Command) -> set[str]:
    return {str(option.envvar) for option in options(command) if option.envvar}


PROXYTUNE = names(main) | {usage_constants.USAGE_STATS_ENABLED_ENV_VAR}
MLFLOW = names(server) | set(vars(mlflow.environment_variables))
READ = {
    "postgres": POSTGRES_IMAGE | {n for n in DATABASES.split() if n.endswith("_PASSWORD")},
    "mlflow": MLFLOW,
    "head": PROXYTUNE,
    "worker": PROXYTUNE,
    "proxytune": PROXYTUNE,
}


def assert_read(component: str, environment: dict[str, Any]) -> None:
    composed = " ".join(str(value) for value in environment.values())
    unread = {
        name
        for name in environment.keys() - READ[component] - ANY_PROGRAM
        if f"$({name})" not in composed
    }
    assert not unread, component


def test_every_variable_of_a_pod_is_read(manifests: list[Manifest]) -> None:
    for pod in pods(manifests).values():
        values = {name: variable.get("value") for name, variable in pod.environment.items()}
        assert_read(pod.component, values)


@pytest.mark.parametrize("service", COMPOSE)
def test_every_variable_of_a_service_is_read(service: str) -> None:
    assert_read(service, COMPOSE[service]["environment"])


@pytest.mark.parametrize("component", ["head", "proxytune"])
def test_a_driver_is_told_all_its_stores(component: str, manifests: list[Manifest]) -> None:
    driver = COMPOSE.get(component, {}).get("environment") or pods(manifests)["head"].environment
    assert {"PROXYTUNE_HOME", "PROXYTUNE_STORAGE", "MLFLOW_TRACKING_URI"} <= driver.keys()


def test_mlflows_server_has_the_options_it_is_called_with(manifests: list[Manifest]) -> None:
    pod = pods(manifests)["mlflow"].container
    calls = [
        [*pod["command"], *pod["args"]],
        [*COMPOSE["mlflow"]["entrypoint"], *COMPOSE["mlflow"]["command"]],
    ]
    known = {name for option in server.params for name in option.opts}
    for command, verb, *arguments in calls:
        assert (command, verb) == ("mlflow", "server")
        assert {argument for argument in arguments if argument.startswith("--")} <= known


def test_the_job_calls_a_command_that_is_there(manifests: list[Manifest]) -> None:
    script, *arguments = shlex.split(only(manifests, "RayJob")["spec"]["entrypoint"])
    assert script in console_scripts()
    assert proxytune(*arguments, "--help").exit_code == 0
    study = Path(arguments[2])
    (mount,) = (
        mount
        for mount in pods(manifests)["head"].container["volumeMounts"]
        if mount["name"] == "studies"
    )
    assert str(study.parent) == mount["mountPath"]
    assert (DEPLOY.parent / "studies" / study.name).is_file()
    assert arguments[arguments.index("--address") + 1] == "auto"


def console_scripts() -> set[str]:
    """What is on the image's PATH."""
    return {script.name for script in importlib.metadata.entry_points(group="console_scripts")}


def test_the_commands_of_the_readme_are_there() -> None:
    readme = (DEPLOY / "README.md").read_text().replace("\\\n", " ")
    called = [
        line.split(" proxytune ", 1)[1]
        for line in readme.splitlines()
        if line.startswith("    ") and "compose" in line and " run " in line
    ]
    assert called
    for arguments in called:
        assert proxytune(*shlex.split(arguments), "--help").exit_code == 0
