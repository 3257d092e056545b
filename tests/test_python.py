"""The Python API: the examples of its page run, and types hold for those who call it."""

import json
import re
from pathlib import Path

import pytest

import proxytune
from tests.commands import TARGET, TINY, write_yaml
from tests.commands import proxytune as command
from tests.tables import read_trials

PAGE = Path(__file__).parents[1] / "docs" / "python.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def folder(text_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a study and a target, as the page has them."""
    made = tmp_path_factory.mktemp("python")
    data = {"text": str(text_file)}
    write_yaml(made / "quickstart.yaml", TINY | {"name": "quickstart", "data": data})
    write_yaml(made / "target.yaml", TARGET)
    return made


@pytest.fixture
def workspace(folder: Path) -> proxytune.Workspace:
    """One in which the study is complete."""
    workspace = proxytune.Workspace(folder / "home")
    proxytune.run_study(folder / "quickstart.yaml", workspace)
    return workspace


@pytest.mark.timeout(180)
@pytest.mark.slow
def test_every_example_of_the_page_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    for name in ("PROXYTUNE_HOME", "PROXYTUNE_STORAGE", "MLFLOW_TRACKING_URI", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    names: dict[str, object] = {}
    assert len(EXAMPLES) >= 5
    for example in EXAMPLES:
        exec(compile(example, str(PAGE), "exec"), names)
    assert "no such study" in str(names.get("error", "no such study"))


def test_a_function_returns_what_the_command_prints(workspace: proxytune.Workspace) -> None:
    shown = command("study", "show", "quickstart", "--json", "--home", workspace.home)
    report = proxytune.run_study("quickstart", workspace)
    assert json.loads(shown.stdout) == report.document()
    assert workspace.study("quickstart").report() == report


def test_a_study_is_the_same_by_file_spec_and_name(
    folder: Path, workspace: proxytune.Workspace
) -> None:
    by_name = proxytune.run_study("quickstart", workspace)
    assert proxytune.run_study(str(folder / "quickstart.yaml"), workspace) == by_name
    assert proxytune.run_study(by_name.spec, workspace) == by_name


def test_a_name_is_never_taken_for_a_file(
    workspace: proxytune.Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gone").write_text("proxy: {}")
    with pytest.raises(proxytune.InputError, match="study = 'gone': no such study"):
        proxytune.run_study("gone", workspace)
    with pytest.raises(proxytune.InputError, match=r"gone\.yaml: cannot be read"):
        proxytune.run_study("gone.yaml", workspace)


def test_the_table_of_trials_is_what_was_recorded(
    workspace: proxytune.Workspace, tmp_path: Path
) -> None:
    assert (
        workspace.study("quickstart")
        .trials()
        .equals(read_trials(workspace.paths.parquet, "quickstart"), check_metadata=True)
    )


def test_what_is_not_given_comes_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PROXYTUNE_HOME", str(tmp_path))
    monkeypatch.setenv("RAY_ADDRESS", "ray://there:1")
    workspace = proxytune.Workspace(storage="sqlite:///here.db")
    assert (workspace.home, workspace.storage) == (tmp_path, "sqlite:///here.db")
    assert workspace.address == "ray://there:1"
    assert proxytune.Workspace("own").home == Path("own")
