"""The contracts can be subclassed outside the repository, and see what breaks a promise."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCUMENT = Path(__file__).parents[2] / "docs" / "developing.md"
BREAKS = """
    def drop(self, numbers):
        pass
"""


@pytest.fixture
def example() -> str:
    """The one in the document, a test file of a user's own."""
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    return str(code)


def run(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    file = folder / "test_mine.py"
    file.write_text(code)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", file.name]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_the_documented_example_passes(example: str, tmp_path: Path) -> None:
    ran = run(tmp_path, example)
    assert ran.returncode == 0, ran.stdout
    assert "6 passed" in ran.stdout


def test_a_trainer_that_drops_nobody_is_caught(example: str, tmp_path: Path) -> None:
    docstring = '"""Here instead of yours: its loss is a formula."""\n'
    ran = run(tmp_path, example.replace(docstring, docstring + BREAKS))
    assert ran.returncode == 1
    assert "test_who_is_dropped_is_out" in ran.stdout
    assert "2 failed, 4 passed" in ran.stdout
