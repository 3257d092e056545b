"""The main job end to end, through Ray: a study, stopped and gone on with, and its transfer."""

import json
import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.commands import COMMAND, ENVIRONMENT, TARGET, TINY, values_in_stores, write_yaml

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

TRIALS = 8
TO_STOP_SECONDS = 60
"""Far more than it takes, for a machine that is busy."""
STORES = ("optuna", "mlflow", "parquet")


@dataclass(frozen=True)
class Job:
    """What the commands printed, and the home they worked in."""

    home: Path
    stopped: subprocess.CompletedProcess[str]
    """`study create`, with Ctrl-C after the first trials."""
    after_stop: dict[str, dict[int, float | None]]
    """The stores then."""
    study: dict[str, Any]
    """`study run --json`."""
    transfer: dict[str, Any]
    """`transfer --json`."""
    transfer_code: int
    """Its exit code."""


@pytest.fixture(scope="module")
def job(text_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Job:
    """The main job, done once for all tests."""
    folder = tmp_path_factory.mktemp("pipeline")
    spec = TINY | {
        "data": {"text": str(text_file)},
        # Long enough to be stopped between two of its four packs.
        "training": TINY["training"] | {"steps": 400},
        "search": TINY["search"] | {"trials": TRIALS},
        "execution": {"executor": "ray", "max_packs": 1},
    }
    write_yaml(folder / "tiny.yaml", spec)
    write_yaml(folder / "wide.yaml", TARGET)
    stopped = stop_with_ctrl_c(folder, "study", "create", "tiny.yaml")
    after_stop = values_in_stores(folder / "home", "tiny")
    ran = subprocess.run(**process(folder, "study", "run", "tiny", "--json"))
    assert ran.returncode == 0, ran.stderr
    transfer = subprocess.run(**process(folder, "transfer", "--target", "wide.yaml", "--json"))
    return Job(
        home=folder / "home",
        stopped=stopped,
        after_stop=after_stop,
        study=json.loads(ran.stdout),
        transfer=json.loads(transfer.stdout),
        transfer_code=transfer.returncode,
    )


def process(folder: Path, *arguments: str) -> dict[str, Any]:
    """A command in a process of its own, as arguments of `subprocess`."""
    return {
        "args": [*COMMAND, *arguments, "--home", "home"],
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "env": ENVIRONMENT,
        "cwd": folder,
        "text": True,
    }


def stop_with_ctrl_c(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Starts a study, and stops it as a terminal does once a trial has finished."""
    running = subprocess.Popen(**process(folder, *arguments), start_new_session=True)
    assert running.stderr is not None
    next(line for line in running.stderr if line.startswith("["))
    # To the command, and to all that it has started.
    os.killpg(running.pid, signal.SIGINT)
    out, told = running.communicate(timeout=TO_STOP_SECONDS)
    return subprocess.CompletedProcess(running.args, running.returncode, out, told)


def test_ctrl_c_stops_and_says_how_to_go_on(job: Job) -> None:
    done = len(job.after_stop["parquet"])
    assert 0 < done < TRIALS
    assert job.stopped.returncode == 1
    assert job.stopped.stderr.endswith(
        f"Error: stopped with {done} of {TRIALS} trials finished; "
        "go on with: proxytune study run tiny\n"
    )


def test_what_was_stopped_goes_on_where_it_was(job: Job) -> None:
    assert (job.study["study"], job.study["state"]) == ("tiny", "complete")
    assert job.study["spec"]["execution"]["executor"] == "ray"
    assert [trial["number"] for trial in job.study["trials"]] == list(range(TRIALS))
    for trial in job.study["trials"]:
        assert trial["state"] == "complete"
        assert set(trial["params"]) == {"learning_rate"}
        assert trial["seconds"] > 0
    final = values_in_stores(job.home, "tiny")["parquet"]
    assert job.after_stop["parquet"].items() <= final.items()


def test_optuna_mlflow_and_parquet_hold_the_same_trials(job: Job) -> None:
    values = {trial["number"]: trial["value"] for trial in job.study["trials"]}
    assert values_in_stores(job.home, "tiny") == dict.fromkeys(STORES, values)


def test_the_best_confirmed_trial_is_projected(job: Job) -> None:
    best = job.study["selection"]["candidates"][0]
    assert len(best["confirmed"]) == 1
    assert job.transfer["selection"]["trial"] == best["number"]
    assert job.transfer["hyperparameters"] == best["hyperparameters"]


def test_a_transfer_tells_settings_and_a_verdict(job: Job) -> None:
    document = job.transfer
    assert document["base"] == job.study["spec"]["base"]
    assert document["target"]["d_model"] == TARGET["shape"]["d_model"]
    assert document["parameterization"]["name"] == "gqa-mup"
    settings = {"init_std", "lr", "weight_decay", "eps", "multiplier"}
    assert all(set(of_role) == settings for of_role in document["roles"].values())
    assert set(document["forward"]) == {"embedding", "attention", "residual", "logits"}
    check = document["check"]
    assert [row["step"] for row in check["losses"]] == [5, 10]
    assert [reason.partition(":")[0] for reason in check["reasons"]] == [
        *("bracket", "no divergence", "no spike", "wider is better", "update sizes")
    ]
    assert set(check["bracket"]["losses"]) == {"0.5", "1", "2"}
    assert job.transfer_code == {"pass": 0, "fail": 1}[check["verdict"]]


def test_a_transfer_leaves_its_files(job: Job) -> None:
    folder = job.home / "transfers" / "tiny" / "wide"
    names = {"projection.yaml", "projection.json", "check.png"}
    assert {file.name for file in folder.iterdir()} == names
    assert json.loads((folder / "projection.json").read_text()) == job.transfer
