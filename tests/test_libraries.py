"""A library that is missing is told in words, and nothing that can do without it is refused."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import proxytune
from proxytune.errors import InputError
from proxytune.libraries import EXTRAS, INSTALL, LIBRARIES, libraries_in_words
from tests.commands import write_yaml

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LIGHT = {"click", "rich", "pydantic", "yaml", "numpy"}
"""What the rules, the projection and the help are content with."""


def names(requirements: list[str]) -> set[str]:
    """Packages, without versions and extras."""
    return {re.split(r"[^\w-]", requirement)[0] for requirement in requirements}


def command(folder: Path, *arguments: str, lacks: set[str]) -> tuple[int, str, str]:
    """Exit code and outputs of the script `proxytune`, where these libraries cannot be found."""
    code = (
        f"import sys; sys.modules |= dict.fromkeys({lacks!r})\nfrom proxytune.cli import start\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{code}start()", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout, done.stderr


def test_the_libraries_are_those_that_pip_installs() -> None:
    assert set(LIBRARIES.values()) == names(PROJECT["dependencies"])
    for module, extra in EXTRAS.items():
        assert module in names(PROJECT["optional-dependencies"][extra])


@pytest.mark.parametrize("library", ["ray", "yaml"])
def test_a_missing_library_is_bad_input_that_says_what_to_install(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with (
        pytest.raises(InputError, match=f"^{LIBRARIES[library]} .*{INSTALL}$"),
        libraries_in_words(),
    ):
        __import__(library)


@pytest.mark.parametrize("module", ["proxytune.nonsense", "numpy.nonsense", "nonsense"])
def test_a_module_that_no_installation_would_bring_stays_the_fault_that_it_is(module: str) -> None:
    with pytest.raises(ModuleNotFoundError, match="nonsense"), libraries_in_words():
        __import__(module)


def test_a_name_of_the_package_says_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name.startswith("proxytune.models")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(InputError, match=f"^torch .*{INSTALL}$") as refused:
        _ = proxytune.param_groups
    # Whoever has a way without it looks for this.
    assert isinstance(refused.value, ImportError)


def test_five_libraries_are_enough_for_a_study_to_start_from_and_for_the_rules(
    tmp_path: Path,
) -> None:
    lacks = LIBRARIES.keys() - LIGHT
    assert command(tmp_path, "--help", lacks=lacks)[0] == 0
    assert command(tmp_path, "init", lacks=lacks)[0] == 0
    code, table, _ = command(
        tmp_path, "scaling", "--base=quickstart.yaml", "--target=target.yaml", lacks=lacks
    )
    assert code == 0
    assert "hidden" in table


def test_what_needs_more_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    write_yaml(tmp_path / "target.yaml", {"shape": {"d_model": 64, "n_layers": 2, "n_heads": 4}})
    for arguments in (("study", "list"), ("plan", "--target", "target.yaml")):
        code, printed, said = command(tmp_path, *arguments, lacks=LIBRARIES.keys() - LIGHT)
        assert (code, printed) == (2, "")
        assert re.fullmatch(rf"Error: \w+ is not installed.*{INSTALL}\n", said)
    assert [path.name for path in tmp_path.iterdir()] == ["target.yaml"]


def test_a_command_line_without_its_own_libraries_says_so(tmp_path: Path) -> None:
    code, _, said = command(tmp_path, "--help", lacks={"click"})
    assert (code, said.splitlines()) == (
        2,
        [f"Error: click is not installed; install it with: {INSTALL}"],
    )
