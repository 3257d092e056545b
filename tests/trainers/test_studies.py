"""Studies through a trainer of the user's own: the commands, stores and files of any study."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from proxytune.config.load import load_study
from proxytune.errors import InputError, RunError
from proxytune.workflows.studies import run_study
from proxytune.workflows.transfer import run_transfer
from proxytune.workflows.workspace import Workspace
from tests.commands import TARGET, TINY, proxytune, values_in_stores, write_yaml

EXAMPLES = Path(__file__).parents[2] / "examples"
BOWL = (EXAMPLES / "shell" / "bowl.sh").read_text()


def study(folder: Path, script: str, **changes: Any) -> Path:
    """A study of four trials by a shell script beside it."""
    (folder / "train.sh").write_text(script)
    search = {key: value for key, value in TINY["search"].items() if key != "pack_size"}
    document = TINY | {"search": search, "trainer": {"command": ["sh", "train.sh"]}} | changes
    return write_yaml(folder / "tiny.yaml", document)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(180)
def test_a_bowl_in_sh_and_awk_is_tuned_to_a_quarter_octave(tmp_path: Path) -> None:
    home = tmp_path / "home"
    created = proxytune("study", "create", EXAMPLES / "shell" / "study.yaml", "--home", home)
    assert created.exit_code == 0, created.output
    report = Workspace(home).study("shell").report()
    assert report.state == "complete"
    assert report.selection is not None
    best = report.selection.best.hyperparameters.learning_rate
    assert abs(math.log2(best / 0.02)) < 0.25
    stores = values_in_stores(home, "shell")
    assert all(len(store) == 32 for store in stores.values())
    assert stores["optuna"] == stores["mlflow"] == stores["parquet"]


def test_the_next_transfer_trains_anew(tmp_path: Path) -> None:
    """The script may be another by then."""
    workspace = Workspace(tmp_path / "home")
    run_study(study(tmp_path, BOWL), workspace)
    target = write_yaml(tmp_path / "wide.yaml", TARGET)
    told = workspace.paths.runs("tiny") / "check-wide-target-0" / "metrics.jsonl"
    times = []
    for _ in range(2):
        run_transfer(target, "tiny", workspace)
        times.append(told.stat().st_mtime_ns)
    assert times[0] < times[1]


@pytest.mark.timeout(120)
def test_a_study_ends_with_records_in_all_stores_and_logs(tmp_path: Path) -> None:
    home = tmp_path / "home"
    done = proxytune(
        "study", "create", study(tmp_path, BOWL + "echo warm >&2\n"), "--home", home, "--json"
    )
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert (report["state"], report["pack_size"]) == ("complete", 1)
    stores = values_in_stores(home, "tiny")
    assert stores["optuna"] == stores["mlflow"] == stores["parquet"]
    assert [len(store) for store in stores.values()] == [4, 4, 4]
    for trial in report["trials"]:
        assert Path(trial["log"]).read_text() == "warm\n"
    shown = proxytune("study", "show", "tiny", "--home", home).output
    assert str(Path(report["trials"][0]["log"]).parents[1]) in shown.replace("\n", "")
    # Two seeds at least: each candidate on the fresh one is a run of its own.
    assert len([*Path(report["trials"][0]["log"]).parents[1].glob("confirmation-*")]) == 2
    proxytune("study", "delete", "tiny", "--yes", "--home", home)
    assert not Path(report["trials"][0]["log"]).exists()


def test_weak_trials_are_pruned_and_stopped(tmp_path: Path) -> None:
    script = BOWL + "sleep 0.2\n"
    search = {
        "trials": 6,
        "space": {"learning_rate": {"low": 0.002, "high": 0.1, "log": True}},
        "pruner": "successive-halving",
    }
    file = study(tmp_path, script, search=search, training=TINY["training"] | {"evaluations": 5})
    report = run_study(file, Workspace(tmp_path / "home"))
    states = [trial.state for trial in report.trials]
    assert "pruned" in states
    assert "complete" in states


def test_a_failed_trial_tells_its_last_words(tmp_path: Path) -> None:
    script = f"""
    if grep -q '"trial": 1,' "$PROXYTUNE_SETTINGS"; then
        i=0; while [ $i -lt 30 ]; do i=$((i+1)); echo "line $i" >&2; done
        exit 3
    fi
    {BOWL}"""
    home = tmp_path / "home"
    done = proxytune("study", "create", study(tmp_path, script), "--home", home)
    assert done.exit_code == 0, done.output
    report = Workspace(home).study("tiny").report()
    (failed,) = (trial for trial in report.trials if trial.state == "failed")
    assert failed.reason is not None
    assert "exit code 3" in failed.reason
    lines = [line for line in failed.reason.splitlines() if line.startswith("line ")]
    assert lines == [f"line {i}" for i in range(11, 31)]
    assert "trial 1 failed" in done.output
    assert "exit code 3" in done.output


def test_a_trainer_that_never_works_says_why(tmp_path: Path) -> None:
    file = study(tmp_path, "echo no such module >&2; exit 1")
    with pytest.raises(RunError, match="no such module"):
        run_study(file, Workspace(tmp_path / "home"))


def test_the_folder_starts_at_the_file(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    file = study(tmp_path, "", trainer={"command": ["true"], "folder": "code"})
    spec = load_study(file)
    assert spec.trainer is not None
    assert spec.trainer.folder == str(tmp_path / "code")


@pytest.mark.parametrize(
    ("changes", "facts"),
    [
        ({"trainer": {"command": []}}, ["trainer.command"]),
        ({"trainer": {"command": "sh train.sh"}}, ["trainer.command"]),
        ({"trainer": {"command": ["{setings}"]}}, ["trainer.command", "{setings}", "{settings}"]),
        ({"trainer": {"command": ["{"]}}, ["trainer.command"]),
        ({"trainer": {"command": ["sh"], "stall_seconds": 0}}, ["trainer.stall_seconds"]),
        ({"search": TINY["search"]}, ["search.pack_size", "2", "one trial at a time"]),
    ],
)
def test_a_bad_trainer_is_refused(
    tmp_path: Path, changes: dict[str, Any], facts: list[str]
) -> None:
    with pytest.raises(InputError) as refused:
        load_study(study(tmp_path, "", **changes))
    assert all(fact in str(refused.value) for fact in facts)
