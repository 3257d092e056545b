"""What is published, built once, and an environment that has little beside it."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.commands import ENVIRONMENT

ROOT = Path(__file__).parents[2]
NOT_SOURCES = (".git", ".venv", ".proxytune", ".*_cache", "__pycache__", "build", "*.egg-info")
LIGHT = ("click", "rich", "pydantic", "PyYAML", "numpy")
NO_PATH = {name: value for name, value in ENVIRONMENT.items() if name != "PYTHONPATH"}


def run(*arguments: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """A program, in a folder outside the repository, which it does not see."""
    return subprocess.run(
        [str(argument) for argument in arguments],
        cwd=folder,
        env=NO_PATH,
        capture_output=True,
        text=True,
    )


def done(*arguments: str | Path, folder: Path) -> str:
    """What a program prints that has to end well."""
    ended = run(*arguments, folder=folder)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@dataclass(frozen=True)
class Published:
    """The two files of a release; the wheel is built from the sources."""

    sources: Path
    wheel: Path


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    """Built from a copy: a build writes beside what it builds."""
    folder = tmp_path_factory.mktemp("published")
    ignored = shutil.ignore_patterns(*NOT_SOURCES)
    source = shutil.copytree(ROOT, folder / "source", ignore=ignored)
    done(sys.executable, "-m", "build", "--outdir", folder / "dist", source, folder=folder)
    (sources,) = (folder / "dist").glob("*.tar.gz")
    (wheel,) = (folder / "dist").glob("*.whl")
    return Published(sources, wheel)


@pytest.fixture(scope="session")
def light(published: Published, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs of an environment with the wheel and five libraries."""
    folder = tmp_path_factory.mktemp("light")
    done(sys.executable, "-m", "venv", "--without-pip", folder / "venv", folder=folder)
    programs = folder / "venv" / "bin"
    pip = (sys.executable, "-m", "pip", "--python", programs / "python", "install")
    done(*pip, "--constraint", ROOT / "constraints.txt", *LIGHT, folder=folder)
    done(*pip, "--no-deps", published.wheel, folder=folder)
    return programs
