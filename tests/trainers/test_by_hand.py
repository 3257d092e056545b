"""A check that is trained elsewhere is judged as one trained here; bad files are refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proxytune.packs.fixed import FixedPacks
from proxytune.trainers.settings import TrainerSettings
from proxytune.transfer.check import without_bracket
from proxytune.workflows.studies import run_study
from proxytune.workflows.transfer import Transfer, run_transfer
from proxytune.workflows.workspace import Workspace
from tests.commands import TARGET, TINY, proxytune, write_yaml

Lines = list[dict[str, Any]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a complete study, and a target."""
    made = tmp_path_factory.mktemp("by-hand")
    run_study(write_yaml(made / "tiny.yaml", TINY), Workspace(made / "home"))
    write_yaml(made / "wide.yaml", TARGET)
    return made


@pytest.fixture(scope="module")
def lines(folder: Path) -> Lines:
    """What a trainer elsewhere reports that does as the built-in one does."""
    workspace = Workspace(folder / "home")
    transfer = Transfer.of(folder / "wide.yaml", "tiny", workspace)
    packs = FixedPacks([without_bracket(transfer.check_packs()[1])])
    with workspace.executor(transfer.study.spec) as executor:
        executor.run(packs)
    (run,) = packs.runs.values()
    told: Lines = [
        {"step": step, "train_loss": loss}
        for step, loss in enumerate(run.details[0].step_losses or (), 1)
    ]
    for evaluation in run.evaluations(0):
        told.append({"step": evaluation.step, "validation_loss": evaluation.validation_loss})
    told.append({"step": run.evaluations(0)[-1].step, "updates": run.details[0].updates})
    for checkpoint in workspace.paths.packs("tiny").glob("check-*"):
        checkpoint.unlink()
    return told


def record(folder: Path, lines: Lines, *options: str) -> Any:
    metrics = folder / "metrics.jsonl"
    metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))
    words = ("tiny", folder / "wide.yaml", metrics, "--home", folder / "home", *options)
    return proxytune("check", "record", *words)


@pytest.mark.timeout(120)
def test_a_run_recorded_by_hand_is_judged_as_one_trained_here(folder: Path, lines: Lines) -> None:
    alone = write_yaml(folder / "alone.yaml", TARGET | {"check": {"steps": 10, "bracket": False}})
    here = run_transfer(alone, "tiny", Workspace(folder / "home"))
    by_hand = record(folder, lines, "--json")
    assert here.check is not None
    report = json.loads(by_hand.stdout)
    assert report["check"]["verdict"] == here.check.verdict
    assert report["check"]["reasons"] == list(here.check.reasons)
    assert report["check"]["bracket"] is None, "it is one run"
    assert report["check"]["losses"] == here.document()["check"]["losses"]  # type: ignore[index, call-overload]
    assert by_hand.exit_code == (0 if here.passed else 1)


def test_a_run_that_diverged_fails_the_check(folder: Path, lines: Lines) -> None:
    done = record(folder, [*lines[:3], {"step": 4, "train_loss": None}])
    assert done.exit_code == 1
    assert "target diverged" in done.output


def test_the_settings_are_those_of_the_target_s_check_run(folder: Path) -> None:
    file = folder / "settings.json"
    done = proxytune(
        "check", "settings", "tiny", folder / "wide.yaml", "--to", file, "--home", folder / "home"
    )
    assert done.exit_code == 0, done.output
    settings = TrainerSettings.model_validate_json(file.read_text())
    assert settings.purpose == "check"
    assert settings.shape.d_model == TARGET["shape"]["d_model"]
    assert settings.training["evaluation_steps"] == [5, 10]
    study = Workspace(folder / "home").study("tiny")
    assert study.selection is not None
    assert settings.hyperparameters == study.selection.best.hyperparameters


@pytest.mark.parametrize(
    ("spoil", "facts"),
    [
        (lambda text: text + "oops\n", ["line 14", "not JSON"]),
        (lambda text: "{}\n" + text, ["line 1", "step"]),
        (lambda text: text.replace('train_loss": ', 'train_loss": "x", "y": ', 1), ["line 1"]),
        (lambda text: text.rstrip()[:-3], ["line 13", "cut off"]),
        (lambda text: text.splitlines()[0] + "\n", ["no validation_loss of step 5", "5, 10"]),
        (lambda text: "", ["no validation_loss of step 5"]),
        (None, ["no such file"]),
    ],
)
def test_a_bad_file_is_refused(
    folder: Path, lines: Lines, spoil: Callable[[str], str] | None, facts: list[str]
) -> None:
    metrics = folder / "bad.jsonl"
    metrics.unlink(missing_ok=True)
    if spoil is not None:
        metrics.write_text(spoil("".join(json.dumps(line) + "\n" for line in lines)))
    done = proxytune(
        "check", "record", "tiny", folder / "wide.yaml", metrics, "--home", folder / "home"
    )
    assert done.exit_code == 2
    assert "bad.jsonl" in done.output
    assert all(fact in done.output for fact in facts), done.output
