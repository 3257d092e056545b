"""What commands print: one JSON document, or tables in which nothing is cut."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from proxytune.cli.settings import print_settings
from proxytune.cli.study import print_trials
from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.config.load import load_shape, load_study
from proxytune.config.parameterization import Parameterization
from proxytune.scaling.report import multiplier_report, projection_report
from proxytune.search.report import StudyFlops, StudyReport
from proxytune.testing.records import trial as trial_of
from tests.commands import proxytune
from tests.studies import study_spec

STUDIES = Path(__file__).parents[2] / "studies"
QUICKSTART, SMALL = STUDIES / "quickstart.yaml", STUDIES / "targets" / "small.yaml"
SETTINGS = {"init_std", "lr", "weight_decay", "eps", "multiplier"}
FORWARD = {"embedding", "attention", "residual", "logits"}
OPTIONS: list[dict[str, Any]] = [
    {"name": "sp"},
    {"name": "mup"},
    {"name": "completep"},
    {"name": "gqa-mup"},
    {"kv_rule": "spectral", "depth_alpha": 0.5, "wd_width_exponent": 0.5},
]


def test_scaling_gives_multipliers_by_role_and_forward() -> None:
    result = proxytune("scaling", "--base", QUICKSTART, "--target", SMALL, "--json")
    document = json.loads(result.stdout)
    assert (result.exit_code, result.stderr) == (0, "")
    assert all(set(settings) == SETTINGS for settings in document["roles"].values())
    assert set(document["forward"]) == FORWARD
    # Four times the width, twice the depth, at repeat factor 4.
    assert document["roles"]["hidden"]["lr"] == 1 / 4
    assert document["roles"]["kv"]["lr"] == 1.5 / 4
    assert document["forward"]["residual"] == 1 / 2


def test_a_study_defined_shows_every_default(study_file: Path, tmp_path: Path) -> None:
    where = ("--home", tmp_path / "home")
    result = proxytune("study", "create", study_file, "--no-run", "--json", *where)
    document = json.loads(result.stdout)
    assert (result.exit_code, result.stderr) == (0, "")
    assert (document["state"], document["trials"]) == ("created", [])
    study = load_study(study_file)
    assert set(document["spec"]) == set(type(study).model_fields)
    for part in ("proxy", "base", "parameterization", "data", "training", "hyperparameters"):
        assert set(document["spec"][part]) == set(type(getattr(study, part)).model_fields)
    for part in ("search", "selection", "execution"):
        assert set(document["spec"][part]) == set(type(getattr(study, part)).model_fields)


@pytest.mark.slow
def test_creating_prints_the_study_and_tells_progress_aside(
    created: tuple[Path, Result],
) -> None:
    _, result = created
    document = json.loads(result.stdout)
    assert result.exit_code == 0
    assert document["state"] == "complete"
    assert [trial["number"] for trial in document["trials"]] == [0, 1, 2, 3]
    for trial in document["trials"]:
        assert {"number", "state", "params", "value", "seconds"} <= set(trial)
    first, *lines = result.stderr.splitlines()
    assert first == "study tiny: 4 trials"
    assert [line.partition(" ")[0] for line in lines] == ["[1/4]", "[2/4]", "[3/4]", "[4/4]"]
    assert "\x1b" not in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "command", ["study show tiny", "study run tiny", "study list", "doctor"], ids=str
)
def test_json_is_all_there_is_on_stdout(command: str, home: Path) -> None:
    result = proxytune(*command.split(), "--json", "--home", home)
    assert result.exit_code == 0
    assert json.loads(result.stdout)


@pytest.mark.parametrize("width", [80, 40])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_no_role_number_or_rule_is_cut(
    options: dict[str, Any],
    width: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shapes = load_shape(QUICKSTART), load_shape(SMALL).at(qk_norm=True)
    report = multiplier_report(*shapes, Parameterization.model_validate(options))
    monkeypatch.setenv("COLUMNS", str(width))
    print_settings(report, title="title")
    printed = capsys.readouterr().out
    assert "…" not in printed
    assert all(len(line) <= width for line in printed.splitlines())
    assert set(report.roles) <= set(printed.split())


def test_rules_stand_whole_under_their_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    shapes = load_shape(QUICKSTART), load_shape(SMALL)
    print_settings(
        projection_report(BaseHyperparameters(), *shapes, Parameterization()), title="title"
    )
    lines = capsys.readouterr().out.splitlines()
    rows = {line.split()[0]: i for i, line in enumerate(lines) if line.strip()}
    kv, embedding, norm = rows["kv"], rows["embedding"], rows["norm"]
    assert lines[kv].split() == ["kv", "0.05", "0.005625", "0.2667", "1.25e-09", "1"]
    rules = ["σ/√m_in", "η·s(r)/m_in", "λ·m_in/s(r)", "ε/(m_d·m_L)", "α"]
    assert lines[kv + 1].split() == rules
    # What is not decayed has no rule for it.
    assert lines[norm + 1].split() == ["gain", "η", "0", "ε/(m_d·m_L)", "α"]
    assert embedding != norm


def test_names_of_hyperparameters_are_not_cut(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["learning_rate", "weight_decay", "embedding_lr_multiplier", "beta2"]
    trial = trial_of(study_spec(), 7).result
    trial = trial.model_copy(update={"params": dict.fromkeys(names, 0.0123456)})
    monkeypatch.setenv("COLUMNS", "80")
    print_trials(
        StudyReport(
            study="small",
            state="complete",
            spec=study_spec(),
            pack_size=1,
            flops=StudyFlops(trials=1e9, confirmation=0.0),
            selection=None,
            trials=(trial,),
        )
    )
    printed = capsys.readouterr().out
    words = {word for name in names for word in name.replace("_", "_ ").split()}
    assert words <= set(printed.split())
    assert printed.split().count("0.01235") == len(names)
    assert "…" not in printed
