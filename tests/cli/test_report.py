"""proxytune report: a study's page, a transfer's, an evidence run's, and what is refused."""

import json
import shutil
from pathlib import Path

import pytest

from proxytune.workflows.workspace import Workspace
from tests.commands import proxytune

OLD_EVIDENCE = Path(__file__).parents[1] / "evidence" / "old" / "evidence.json"


def test_a_study_becomes_one_page_with_its_transfers(
    own_home: Path, target_file: Path, tmp_path: Path
) -> None:
    proxytune("transfer", "--target", target_file, "--home", own_home)
    before = {path: path.stat().st_mtime_ns for path in own_home.rglob("*")}
    page = tmp_path / "page.html"
    told = proxytune("report", "tiny", "--to", page, "--home", own_home, "--json")
    assert told.exit_code == 0, told.output
    assert "drawing the figures" in told.stderr
    assert "writing the page" in told.stderr
    document = json.loads(told.stdout)
    assert document["file"] == str(page)
    assert document["size"] == page.stat().st_size
    assert document["answer"].startswith("Train with learning_rate ")
    assert "Transfer to wide" in document["sections"]
    assert "Learning curves" in document["sections"]
    # A study is only read, so it may be running, in a home that cannot be written.
    assert {path: path.stat().st_mtime_ns for path in own_home.rglob("*")} == before


def test_a_transfer_has_a_page_of_its_own(
    own_home: Path, target_file: Path, tmp_path: Path
) -> None:
    proxytune("transfer", "--target", target_file, "--home", own_home)
    file = own_home / "transfers" / "tiny" / "wide" / "projection.json"
    told = proxytune("report", file, "--to", tmp_path / "page.html")
    assert told.exit_code == 0, told.output
    assert "wide (width 64, depth 3, repeat 4;" in told.stdout


def test_a_transfer_from_before_points_is_read(
    own_home: Path, target_file: Path, tmp_path: Path
) -> None:
    proxytune("transfer", "--target", target_file, "--no-check", "--home", own_home)
    file = own_home / "transfers" / "tiny" / "wide" / "projection.json"
    document = json.loads(file.read_bytes())
    del document["selection"]["point"]
    file.write_text(json.dumps(document))
    told = proxytune("report", file, "--to", tmp_path / "page.html")
    assert told.exit_code == 0, told.output


def test_a_transfer_that_cannot_be_read_is_left_out_with_a_warning(
    own_home: Path, target_file: Path, tmp_path: Path
) -> None:
    proxytune("transfer", "--target", target_file, "--no-check", "--home", own_home)
    (own_home / "transfers" / "tiny" / "wide" / "projection.json").write_text("{torn")
    page = tmp_path / "page.html"
    assert proxytune("report", "tiny", "--to", page, "--home", own_home).exit_code == 0
    assert "projection.json: is no JSON" in page.read_text()


def test_evidence_has_a_page_also_of_an_older_version(tmp_path: Path) -> None:
    told = proxytune("report", OLD_EVIDENCE, "--to", tmp_path / "page.html")
    assert told.exit_code == 0, told.output
    assert "octaves" in told.stdout


def test_a_comparison_has_a_page(home: Path, tmp_path: Path) -> None:
    proxytune("study", "compare", "tiny", "tiny", "--to", tmp_path, "--home", home)
    page = tmp_path / "page.html"
    told = proxytune("report", tmp_path / "comparison.json", "--to", page)
    assert told.exit_code == 0, told.output
    assert "The loss of tiny's chosen point less that of tiny's is +0.000" in told.stdout
    assert 'id="figure-history"' in page.read_text()


def test_a_page_is_called_after_its_result(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told = proxytune("report", "tiny", "--home", home)
    assert told.stdout.splitlines()[-1] == "wrote tiny.html"
    assert (tmp_path / "tiny.html").exists()


@pytest.mark.parametrize("content", ["[1]", '{"study": 1}', '{"evidence": 1}', "{"])
def test_a_file_that_is_no_report_is_refused(content: str, tmp_path: Path) -> None:
    file = tmp_path / "other.json"
    file.write_text(content)
    told = proxytune("report", file, "--to", tmp_path / "page.html")
    assert told.exit_code == 2
    assert str(file) in told.stderr
    assert not (tmp_path / "page.html").exists()


def test_a_study_that_is_not_there_is_refused(home: Path, tmp_path: Path) -> None:
    told = proxytune("report", "gone", "--home", home, "--to", tmp_path / "page.html")
    assert told.exit_code == 2
    assert "no such study; there are: tiny" in told.stderr


def test_the_figures_are_there_from_python_too(home: Path) -> None:
    figures = Workspace(home).study("tiny").figures()
    assert {"losses", "history", "slices", "curves"} <= figures.keys()


def test_a_study_without_its_copies_still_has_a_page(own_home: Path, tmp_path: Path) -> None:
    shutil.rmtree(own_home / "parquet")
    (own_home / "mlflow.db").unlink()
    told = proxytune("report", "tiny", "--home", own_home, "--to", tmp_path / "page.html")
    assert told.exit_code == 0, told.output
