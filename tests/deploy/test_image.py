"""The image: pinned, without root, made of the repository's files only."""

import json
import re
import tomllib

from tests.deploy.kustomize import Manifest
from tests.deploy.manifests import DEPLOY, pods
from tests.deploy.test_program import console_scripts

ROOT = DEPLOY.parent
LINES = re.sub(r"\\\n\s*", "", (DEPLOY / "Dockerfile").read_text()).splitlines()
STEPS = [line.split(None, 1) for line in LINES if line and not line.startswith("#")]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def steps(word: str) -> list[str]:
    """What follows an instruction, each time."""
    return [rest for instruction, rest in STEPS if instruction == word]


def test_its_base_is_pinned_and_is_a_python_that_the_package_runs_on() -> None:
    for base in steps("FROM"):
        assert re.match(r"python:3\.11\.\d+-slim-\w+( AS \w+)?$", base)


def test_it_ends_without_root_as_the_user_of_the_pods(manifests: list[Manifest]) -> None:
    assert STEPS[-3][0] == "USER"
    (user,) = steps("USER")
    for name in ("mlflow", "head", "worker"):
        context = pods(manifests)[name].spec["securityContext"]
        assert user == f"{context['runAsUser']}:{context['runAsGroup']}"


def test_nothing_is_fetched_but_pinned_packages() -> None:
    assert not steps("ADD")
    assert not re.search(r"curl|wget|apt-get|git clone", "\n".join(steps("RUN")))
    installs = [step for step in steps("RUN") if "pip install" in step]
    assert installs
    assert all("--constraint constraints.txt" in step for step in installs)


def test_it_has_the_extras_that_the_package_names() -> None:
    (extras,) = re.findall(r"'\.\[([\w,]+)\]'", "\n".join(steps("RUN")))
    assert set(extras.split(",")) == {"cluster", "postgres", "tokenizers"}
    assert set(extras.split(",")) <= PROJECT["optional-dependencies"].keys()


def test_its_entry_point_is_the_packages() -> None:
    (entry,) = json.loads(steps("ENTRYPOINT")[0])
    assert entry in PROJECT["scripts"]
    assert entry in console_scripts()


def test_its_home_is_the_pods_and_the_services(manifests: list[Manifest]) -> None:
    (home,) = re.findall(r"PROXYTUNE_HOME=(\S+)", "\n".join(steps("ENV")))
    assert pods(manifests)["worker"].environment["PROXYTUNE_HOME"]["value"] == home


def test_what_is_copied_is_there_and_is_let_into_the_build() -> None:
    sources = [
        source
        for step in steps("COPY")
        if not step.startswith("--from")
        for source in step.split()[:-1]
    ]
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    assert "*" in ignored
    assert {line[1:] for line in ignored if line.startswith("!")} == set(sources)
    assert all((ROOT / source).exists() for source in sources)
