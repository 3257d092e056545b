"""`proxytune init` writes a study and a target that fit each other, both or neither."""

import re
from pathlib import Path

import pytest

from proxytune.cli.main import main
from proxytune.config.load import load_study, require_scalable
from proxytune.errors import RunError
from proxytune.targets.load import load_target
from proxytune.workflows import quickstart
from proxytune.workflows.quickstart import write_quickstart
from tests.commands import proxytune

STUDIES = Path(__file__).parents[2] / "studies"


def test_the_repositorys_quickstart_is_that_of_the_package(tmp_path: Path) -> None:
    study, target = write_quickstart(tmp_path)
    assert study.read_bytes() == (STUDIES / "quickstart.yaml").read_bytes()
    assert target.read_bytes() == (STUDIES / "targets" / "small.yaml").read_bytes()


def test_it_says_the_two_commands_to_go_on_with(tmp_path: Path) -> None:
    result = proxytune("init", tmp_path / "a new" / "folder")
    assert result.exit_code == 0
    create, transfer = re.findall(r"^  proxytune (.*)$", result.stdout, re.MULTILINE)
    (_, study), (_, target) = create.split(" create "), transfer.split(" --target ")
    spec = load_study(Path(study.strip("'")))
    require_scalable(spec.base, load_target(Path(target.strip("'"))).shape, target)
    for line in (create, transfer):
        assert line.split()[0] in main.commands


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "target.yaml").write_text("mine")
    result = proxytune("init", tmp_path)
    assert result.exit_code == 2
    assert "target.yaml" in result.stderr
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"target.yaml": "mine"}


def test_both_files_are_written_or_neither(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quickstart, "TARGET", "not-shipped.yaml")
    with pytest.raises(RunError, match=r"not-shipped\.yaml"):
        write_quickstart(tmp_path)
    assert list(tmp_path.iterdir()) == []
