"""What pyproject.toml allows, what the constraints pin and what CI runs agree."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
OPTIONAL = [needed for extra, needs in EXTRAS.items() if extra != "dev" for needed in needs]
USED = [*PROJECT["dependencies"], *OPTIONAL]
"""What runs with the package; the tools of its developers are as new as they can be."""


def pins(file: str) -> dict[str, Version]:
    """Library -> the one version that a file of constraints allows."""
    lines = [line for line in (ROOT / file).read_text().splitlines() if not line.startswith("#")]
    pairs = [line.split("==") for line in lines if line]
    return {canonicalize_name(name): Version(version) for name, version in pairs}


def lowest(requirement: Requirement) -> Version:
    """The lower bound, which is all that a requirement of ours says."""
    (bound,) = requirement.specifier
    assert bound.operator == ">="
    return Version(bound.version)


def test_the_lowest_versions_are_those_that_the_project_allows() -> None:
    allowed = {canonicalize_name(r.name): lowest(r) for r in map(Requirement, USED)}
    assert pins("constraints-lowest.txt") == allowed


@pytest.mark.parametrize("needed", [*USED, *EXTRAS["dev"]])
def test_what_is_needed_is_pinned_to_a_version_that_is_allowed(needed: str) -> None:
    requirement = Requirement(needed)
    if requirement.name != PROJECT["name"]:
        assert pins("constraints.txt")[canonicalize_name(requirement.name)] in (
            requirement.specifier
        )


def test_ci_runs_every_python_that_the_project_names_the_lowest_versions_and_long_tests() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    job = workflow["jobs"]["test"]
    named = [re.search(r"Python :: (3\.\d+)$", line) for line in PROJECT["classifiers"]]
    assert job["strategy"]["matrix"]["python"] == [found[1] for found in named if found]
    assert job["strategy"]["matrix"]["target"] == ["test"]
    once = [more["target"] for more in job["strategy"]["matrix"]["include"]]
    assert once == ["lowest", "long"]
    assert job["steps"][-1] == {"run": ".ci/run ${{ matrix.target }}"}


def test_hooks_before_a_commit_run_what_make_check_runs() -> None:
    (local,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    commands = {
        tuple(word for word in hook["entry"].split() if not word.startswith("-"))
        for hook in local["hooks"]
    }
    recipe = re.search(r"^check:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe is not None
    checked = {
        tuple(word for word in line.split() if not word.startswith("-") and word != ".")
        for line in recipe[1].replace("$(BIN)", ".venv/bin").splitlines()
    }
    assert commands == checked
    assert {hook["language"] for hook in local["hooks"]} == {"system"}
