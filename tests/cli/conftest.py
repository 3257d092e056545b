"""A study that was run to its end, once for all tests of the commands."""

import shutil
from pathlib import Path

import pytest
from click.testing import Result

from tests.commands import TARGET, TINY, proxytune, write_yaml


@pytest.fixture
def study_file(tmp_path: Path, text_file: Path) -> Path:
    """A study of one second that nobody has run."""
    return write_yaml(tmp_path / "tiny.yaml", TINY | {"data": {"text": str(text_file)}})


@pytest.fixture
def target_file(tmp_path: Path) -> Path:
    """A target that fits it."""
    return write_yaml(tmp_path / "wide.yaml", TARGET)


@pytest.fixture(scope="session")
def created(text_file: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """A home with a complete study, and what `study create --json` printed. Not to be changed."""
    folder = tmp_path_factory.mktemp("created")
    file = write_yaml(folder / "tiny.yaml", TINY | {"data": {"text": str(text_file)}})
    home = folder / "home"
    return home, proxytune("study", "create", file, "--json", "--home", home)


@pytest.fixture
def home(created: tuple[Path, Result]) -> Path:
    """The home with a complete study. Not to be changed."""
    return created[0]


@pytest.fixture
def own_home(home: Path, tmp_path: Path) -> Path:
    """A copy that may be changed."""
    return Path(shutil.copytree(home, tmp_path / "home"))
