"""What commands print: one JSON document, or tables in which nothing is cut."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from rich.console import Console

from proxytune.cli.selection import print_selection
from proxytune.cli.settings import print_settings
from proxytune.cli.study import print_trials
from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.config.load import load_study
from proxytune.config.parameterization import Parameterization
from proxytune.packs.selection import Edge, Selection
from proxytune.packs.trial import TrialResult
from proxytune.scaling.report import multiplier_report, projection_report
from proxytune.search.report import StudyFlops, StudyReport
from proxytune.targets.load import load_shape
from proxytune.testing.records import trial as trial_of
from tests.commands import proxytune
from tests.studies import study_spec
from tests.transfer.examples import candidates

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
    trials = [line.partition(" ")[0] for line in lines if line.startswith("[")]
    assert trials == ["[1/4]", "[2/4]", "[3/4]", "[4/4]"]
    phases = [line for line in lines if not line.startswith("[")]
    assert phases == [
        "search",
        "fitting a surface to the trials",
        "fresh seeds",
        "recording trials",
    ]
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
    # K and V in one matrix have the settings of each: told once.
    assert set(report.roles) - {"kv"} <= set(printed.split())


def test_rules_stand_whole_under_their_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    shapes = load_shape(QUICKSTART), load_shape(SMALL)
    print_settings(
        projection_report(BaseHyperparameters(), *shapes, Parameterization()), title="title"
    )
    lines = capsys.readouterr().out.splitlines()
    rows = {line.split()[0]: i for i, line in enumerate(lines) if line.strip()}
    key, embedding, norm = rows["key"], rows["embedding"], rows["norm"]
    assert lines[key].split() == ["key", "0.05", "0.005625", "0.2667", "2.5e-09", "1"]
    assert lines[key + 1].split() == ["σ/√m_in", "η·s(r)/m_in", "λ·m_in/s(r)", "ε·√r", "α"]
    assert lines[key + 2].split() == ["/(m_d·m_L)"]
    # What is not decayed has no rule for it.
    assert lines[norm + 1].split() == ["gain", "η", "ε/(m_d·m_L)", "α"]
    assert embedding != norm


def complete(trials: tuple[TrialResult, ...], selection: Selection | None = None) -> StudyReport:
    """A complete study of these trials."""
    return StudyReport(
        study="small",
        state="complete",
        spec=study_spec(),
        pack_size=1,
        flops=StudyFlops(trials=1e9, confirmation=0.0),
        selection=selection,
        trials=trials,
    )


def test_names_of_hyperparameters_are_not_cut(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["learning_rate", "weight_decay", "embedding_lr_multiplier", "beta2"]
    trial = trial_of(study_spec(), 7).result
    trial = trial.model_copy(update={"params": dict.fromkeys(names, 0.0123456)})
    monkeypatch.setenv("COLUMNS", "80")
    print_trials(complete((trial,)))
    of_study, printed = capsys.readouterr().out.split("of confirmation\n")
    assert "searched: learning_rate, 0.001 to 0.1, log" in of_study
    assert "searched: beta2, one of 0.9, 0.95, 0.99" in of_study
    assert "data: Python's standard library" in of_study
    words = {word for name in names for word in name.replace("_", "_ ").split()}
    assert words <= set(printed.split())
    assert printed.split().count("0.01235") == len(names) - 1
    # A learning rate is written as a rate.
    assert "1.23e-02" in printed.split()
    assert "…" not in printed


@pytest.mark.parametrize("number", [7, None])
def test_the_table_marks_the_chosen_point(
    number: int | None, capsys: pytest.CaptureFixture[str]
) -> None:
    trials = tuple(trial_of(study_spec(), number).result for number in (6, 7))
    (best,) = candidates(3.0)
    best = best.model_copy(update={"number": number, "origin": "trial" if number else "surface"})
    print_trials(complete(trials, Selection.of([best], tokens=0)))
    (marked,) = [line for line in capsys.readouterr().out.splitlines() if "*" in line]
    assert marked.split()[:2] == (["*", "7"] if number else ["*", "the"])


def test_a_selection_says_who_was_chosen_why_and_how_sure(
    capsys: pytest.CaptureFixture[str],
) -> None:
    one, other = candidates(3.0, 3.1)
    best = one.model_copy(
        update={"number": None, "origin": "surface", "value": None, "confirmed": (3.0, 3.2)}
    )
    edge = Edge(
        field="learning_rate", bound=0.1, probability=0.4, proposed=(0.001, 0.8), remark="wider"
    )
    chosen = Selection.of(
        [best, other.model_copy(update={"equal": True})],
        tokens=0,
        interval={"learning_rate": (0.005, 0.02)},
        edge=(edge,),
    )
    print_selection(Console(highlight=False, width=200), chosen, ["learning_rate"])
    chose, why, sure, equal, warning = capsys.readouterr().out.splitlines()
    assert chose == "chosen: the surface's minimum, learning_rate 1.00e-02"
    assert "3.1000 ± 0.1000, on 2 fresh seeds" in why
    assert "learning_rate 5.00e-03 to 2.00e-02" in sure
    assert equal == "equal within noise: trial 1"
    assert warning == "warning: wider"
