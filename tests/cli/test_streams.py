"""Whatever standard streams are, what is printed reaches them, and nothing else does."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.commands import COMMAND, ENVIRONMENT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
STUDIES = Path(__file__).parents[2] / "studies"
SCALING = (
    "scaling",
    f"--base={STUDIES}/quickstart.yaml",
    f"--target={STUDIES}/targets/small.yaml",
)


def in_ascii(*words: str) -> subprocess.CompletedProcess[bytes]:
    environment = ENVIRONMENT | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    return subprocess.run([*COMMAND, *words], env=environment, capture_output=True)


@pytest.mark.parametrize("words", [SCALING, ("--help",)])
def test_a_stream_of_few_characters_gets_what_it_can_hold(words: tuple[str, ...]) -> None:
    done = in_ascii(*words)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"?" in done.stdout or words[-1] == "--help"


@pytest.mark.parametrize("words", [(*SCALING, "--json"), ("schema", "study")])
def test_json_on_a_stream_of_few_characters_is_whole(words: tuple[str, ...]) -> None:
    done = in_ascii(*words)
    plain = subprocess.run([*COMMAND, *words], env=ENVIRONMENT, capture_output=True)
    assert json.loads(done.stdout) == json.loads(plain.stdout)


def test_without_standard_error_only_the_document_is_on_standard_output(
    study_file: Path, tmp_path: Path
) -> None:
    words = [*COMMAND, "study", "create", study_file, "--json", "--home", tmp_path / "home"]
    done = subprocess.run(
        ["sh", "-c", '"$@" 2>&-', "sh", *words], env=ENVIRONMENT, capture_output=True
    )
    assert done.returncode == 0
    assert json.loads(done.stdout)["state"] == "complete"
