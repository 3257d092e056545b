"""The doctor finds what is missing, and names what mends it."""

import importlib.metadata
from pathlib import Path

import pytest

from proxytune.doctor import examine
from proxytune.home import Home
from proxytune.libraries import INSTALL, LIBRARIES
from tests.commands import proxytune


def test_a_machine_that_runs_these_tests_is_well(tmp_path: Path) -> None:
    findings = {finding.name: finding for finding in examine(tmp_path / "new" / "home").findings}
    assert {"python", "torch", "ray", "mlflow", "disk", "home"} <= set(findings)
    assert all(finding.ok for finding in findings.values())
    assert findings["torch"].found == importlib.metadata.version("torch")
    assert not (tmp_path / "new").exists()


def test_a_home_that_cannot_be_written_is_found(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    home = Home(tmp_path / "file" / "home")
    assert home.nearest == tmp_path / "file"
    assert home.obstacle == f"{tmp_path / 'file'} is not a folder"
    finding = {f.name: f for f in examine(home.folder).findings}["home"]
    assert not finding.ok
    assert finding.mend is not None


@pytest.mark.parametrize("flag", [[], ["--json"]], ids=["table", "json"])
def test_what_is_missing_comes_with_what_mends_it_and_exit_code_1(
    flag: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LIBRARIES, "no_such_package", "no-such-package")
    result = proxytune("doctor", "--home", tmp_path, *flag)
    assert result.exit_code == 1
    assert "no-such-package" in result.stdout
    assert INSTALL in result.stdout
