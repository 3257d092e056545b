"""What is published is whole: sources with their tests, and a wheel that starts by itself."""

import re
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from proxytune.libraries import INSTALL
from tests.commands import write_yaml
from tests.packaging.conftest import ROOT, Published, done, run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

WELL_USED = """
import proxytune

shape: proxytune.Shape = proxytune.Shape(d_model=32, n_layers=2, n_heads=4)


def best(file: str) -> float:
    report: proxytune.StudyReport = proxytune.run_study(file)
    values = [trial.value for trial in report.trials if trial.value is not None]
    return min(values)


def chosen(target: str) -> int | None:
    plan = proxytune.make_plan(target, hours=3)
    selection = proxytune.run_study(plan.study).selection
    return None if selection is None else selection.trial


def holds(target: str, workspace: proxytune.Workspace) -> bool:
    return proxytune.run_transfer(target, workspace=workspace).passed
"""
MISUSES = (
    "proxytune.Shape(d_model='wide', n_layers=2, n_heads=4)",
    "proxytune.Shape(d_modle=32)",
    "proxytune.run_study(32)",
    "proxytune.run_study('study.yaml').trails",
    "proxytune.run_study('study.yaml').selection.trial",  # it may be missing
    "proxytune.make_plan('target.yaml', days=3)",
    "proxytune.run_transfer('target.yaml').verdict",
    "proxytune.no_such_name",
)


def test_the_sources_hold_the_tests_and_what_they_read(published: Published) -> None:
    with tarfile.open(published.sources) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for folder in ("tests", "studies", "examples", "docs", "deploy", "benchmarks"):
        files = (path for path in (ROOT / folder).rglob("*") if path.is_file())
        kept = {path.relative_to(ROOT) for path in files if path.suffix not in (".pyc", ".env")}
        assert {str(path) for path in kept if path.name != ".env"} <= names
    for pattern in ("*.toml", "*.md", "*.txt", "Makefile", "LICENSE", ".ci/*", ".pre-commit*"):
        assert {str(path.relative_to(ROOT)) for path in ROOT.glob(pattern)} <= names
    assert not [name for name in names if name.endswith(".env")]


def test_the_wheel_holds_every_file_of_the_package(published: Published) -> None:
    with zipfile.ZipFile(published.wheel) as archive:
        names = set(archive.namelist())
    files = (path for path in (ROOT / "proxytune").rglob("*") if path.is_file())
    assert {str(path.relative_to(ROOT)) for path in files if path.suffix != ".pyc"} <= names


def test_five_libraries_are_enough_to_start_and_for_the_rules(light: Path, tmp_path: Path) -> None:
    assert "target.yaml" in done(light / "proxytune", "init", folder=tmp_path)
    files = ("--base", "quickstart.yaml", "--target", "target.yaml")
    assert "hidden" in done(light / "proxytune", "scaling", *files, folder=tmp_path)
    assert '"proxy"' in done(light / "proxytune", "schema", "study", folder=tmp_path)
    assert "transfer" in done(light / "proxytune", "--help", folder=tmp_path)
    code = "import proxytune; print(proxytune.Shape(d_model=32, n_layers=2, n_heads=4).repeat)"
    assert done(light / "python", "-c", code, folder=tmp_path) == "1\n"


@pytest.mark.parametrize(
    "words",
    [
        "study create quickstart.yaml",
        "study list",
        "transfer --target target.yaml",
        "plan --target target.yaml",
        "coord-check --axis width",
        "ui",
    ],
)
def test_what_needs_more_says_how_to_install_it(words: str, light: Path, tmp_path: Path) -> None:
    done(light / "proxytune", "init", folder=tmp_path)
    ended = run(light / "proxytune", *words.split(), folder=tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert re.fullmatch(rf"Error: .* is not installed.*{INSTALL}\n", ended.stderr)
    assert {path.name for path in tmp_path.iterdir()} == {"quickstart.yaml", "target.yaml"}


@pytest.mark.parametrize("verb", ["study create", "transfer --target", "evidence run"])
def test_a_mistake_in_a_file_is_told_before_what_is_missing(
    verb: str, light: Path, tmp_path: Path
) -> None:
    write_yaml(tmp_path / "bad.yaml", {"no_such_key": 1})
    ended = run(light / "proxytune", *verb.split(), "bad.yaml", folder=tmp_path)
    assert ended.returncode == 2
    assert "no_such_key" in ended.stderr
    assert "install" not in ended.stderr


def test_the_doctor_lists_what_is_missing(light: Path, tmp_path: Path) -> None:
    ended = run(light / "proxytune", "doctor", folder=tmp_path)
    assert ended.returncode == 1
    assert INSTALL in " ".join(ended.stdout.split())


def test_the_api_says_what_to_install(light: Path, tmp_path: Path) -> None:
    for name, library in (("param_groups", "torch"), ("run_study", "optuna")):
        ended = run(light / "python", "-c", f"from proxytune import {name}", folder=tmp_path)
        last = ended.stderr.splitlines()[-1]
        assert last.endswith(f"{library} is not installed; install it with: {INSTALL}")


def test_a_type_checker_takes_what_is_right_and_refuses_what_is_not(
    light: Path, tmp_path: Path
) -> None:
    (tmp_path / "right.py").write_text(WELL_USED)
    wrong = "\n".join(("import proxytune", *MISUSES))
    (tmp_path / "wrong.py").write_text(wrong + "\n")
    mypy = (sys.executable, "-m", "mypy", "--strict", "--python-executable", light / "python")
    ended = run(*mypy, "right.py", "wrong.py", folder=tmp_path)
    lines = re.findall(r"^(\w+)\.py:(\d+): error", ended.stdout, re.MULTILINE)
    assert set(lines) == {("wrong", str(2 + line)) for line in range(len(MISUSES))}, ended.stdout
