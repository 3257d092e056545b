"""A command as a trainer keeps the contract of a runner, and each of its ends is as stated."""

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from proxytune import trainer as helper
from proxytune.errors import Interrupted, PackLost, RunError
from proxytune.packs.pack import Job, PackSpec
from proxytune.packs.ports import PackRunner
from proxytune.scaling.projection import project
from proxytune.scaling.rules import Role
from proxytune.testing import PackRunnerContract
from proxytune.trainers.command import TrainerFailed
from tests.trainers.scripts import (
    FIRST,
    GOOD,
    LAST,
    STEPS,
    TELL,
    pack_of_one,
    python,
    run_folder,
    shell,
    told_by,
    trainer,
)


class TestCommandRunner(PackRunnerContract):
    def start(self, pack: PackSpec) -> PackRunner:
        assert pack.checkpoint is not None
        return shell(pack.checkpoint.parent, GOOD).start(pack)

    def pack(self, folder: Path) -> PackSpec:
        return pack_of_one(folder, checkpoint=folder / "checkpoint")


def test_the_command_is_filled_in_and_no_shell_reads_it(tmp_path: Path) -> None:
    script = "import json, os, sys; json.dump(sys.argv[1:], open(sys.argv[1] + '/seen', 'w'))"
    (tmp_path / "see.py").write_text(script)
    words = ("{run}", "{settings}", "{metrics}", "{gpus}", "{seed}", "{{x}}", "a b; $HOME")
    runner = trainer(tmp_path, "{python}", "see.py", *words).start(pack_of_one(tmp_path))
    with pytest.raises(TrainerFailed):
        runner.advance()
    run = run_folder(tmp_path)
    seen = json.loads((run / "seen").read_text())
    files = [str(run), str(run / "settings.json"), str(run / "metrics.jsonl")]
    assert seen == [*files, "0", "3", "{x}", "a b; $HOME"]


def test_a_check_s_command_is_told_the_gpus_of_all_its_workers(tmp_path: Path) -> None:
    (tmp_path / "see.sh").write_text('echo "$1" > "$PROXYTUNE_RUN/gpus"')
    for job in (Job(workers=4, gpus=2, one_command=True), Job(workers=3, one_command=True)):
        runner = replace(trainer(tmp_path, "sh", "see.sh", "{gpus}"), gpus=1).start(
            pack_of_one(tmp_path, job=job)
        )
        with pytest.raises(TrainerFailed):
            runner.advance()
        told = int((run_folder(tmp_path) / "gpus").read_text())
        assert told == job.workers * (job.gpus or 1)


def test_a_time_limit_stops_the_command_and_the_next_attempt_resumes(tmp_path: Path) -> None:
    script = f"""{TELL}
    grep -q '"resume": true' "$PROXYTUNE_SETTINGS" || {{ tell {FIRST} 2.5; sleep 1000; }}
    {"".join(f"tell {step} 2.{step};" for step in STEPS[1:])}
    """
    limited = pack_of_one(tmp_path, job=Job(deadline=time.time() + 2))
    runner = shell(tmp_path, script).start(limited)
    with pytest.raises(Interrupted, match="time limit"):
        told_by(runner)
    told = told_by(shell(tmp_path, script).start(pack_of_one(tmp_path)))
    assert [e.step for e in told] == list(STEPS)


def test_settings_are_those_of_the_projection(tmp_path: Path) -> None:
    pack = pack_of_one(tmp_path, purpose="check")
    told_by(shell(tmp_path, GOOD).start(pack))
    settings = json.loads((run_folder(tmp_path) / "settings.json").read_text())
    assert settings["schema_version"] == 1
    assert (settings["study"], settings["trial"], settings["seed"]) == ("study", 0, 3)
    assert (settings["purpose"], settings["resume"]) == ("check", False)
    assert settings["training"]["evaluation_steps"] == list(STEPS)
    assert settings["training"]["clip_norm"] == pack.training.clip_norm
    assert settings["shape"] == pack.shape.model_dump()
    assert settings["roles"]["embedding"]["lr"] == 0.02
    assert settings["roles"]["norm"]["init_std"] is None
    assert settings["folded"]["exact"] is False
    assert settings["data"] == {"text": None}


def test_the_environment_is_the_worker_s_with_what_the_study_adds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FROM_WORKER", "yes")
    script = GOOD + 'printf "%s %s" "$FROM_WORKER" "$FROM_STUDY" > "$PROXYTUNE_RUN/seen"\n'
    told_by(shell(tmp_path, script, env={"FROM_STUDY": "too"}).start(pack_of_one(tmp_path)))
    assert (run_folder(tmp_path) / "seen").read_text() == "yes too"


def test_what_it_reports_is_what_is_told(tmp_path: Path) -> None:
    script = "".join(
        f"echo '{json.dumps(line)}' >> $PROXYTUNE_METRICS\n"
        for step in STEPS
        for line in (
            {"step": step - 1, "train_loss": 9.0},
            {"step": step, "validation_loss": 2.5, "train_loss": 3.0, "tokens": 7, "seconds": 60},
            {"step": step, "grad_norm": 0.5, "mfu": 0.4},
        )
    )
    told = told_by(shell(tmp_path, script).start(pack_of_one(tmp_path)))
    assert [e.step for e in told] == list(STEPS)
    last = told[-1]
    assert (last.validation_loss, last.grad_norm) == (2.5, 0.5)
    assert last.train_loss == (9.0 + 3.0) / 2, "the mean since the evaluation before"
    assert (last.tokens, last.seconds, last.others) == (7, 60, {"mfu": 0.4})
    assert not last.diverged


def test_details_are_the_losses_of_every_step_and_the_last_updates(tmp_path: Path) -> None:
    lines = [{"step": step, "train_loss": step / 4} for step in range(1, LAST + 1)]
    lines += [{"step": s, "validation_loss": 2.0, "updates": {"hidden": s / LAST}} for s in STEPS]
    script = "".join(f"echo '{json.dumps(line)}' >> $PROXYTUNE_METRICS\n" for line in lines)
    runner = shell(tmp_path, script).start(pack_of_one(tmp_path, details=True))
    told_by(runner)
    (details,) = runner.details()
    assert details.step_losses == tuple(step / 4 for step in range(1, LAST + 1))
    assert details.updates == {"hidden": 1.0}


def test_details_that_are_not_reported_are_none(tmp_path: Path) -> None:
    runner = shell(tmp_path, GOOD).start(pack_of_one(tmp_path, details=True))
    told_by(runner)
    (details,) = runner.details()
    assert (details.step_losses, details.updates) == (None, None)


def test_a_loss_above_the_limit_is_divergence(tmp_path: Path) -> None:
    script = TELL + f"tell {FIRST} 1000\nsleep 60\n"
    runner = shell(tmp_path, script).start(pack_of_one(tmp_path))
    (evaluation,) = runner.advance()
    assert evaluation.diverged
    assert runner.done


def test_another_attempt_resumes_in_the_same_folder(tmp_path: Path) -> None:
    script = f"""{TELL}
    resume=$(grep -o '"resume": [a-z]*' "$PROXYTUNE_SETTINGS")
    echo "$resume" >> $PROXYTUNE_RUN/resumes
    if [ ! -e $PROXYTUNE_RUN/mark ]; then
        touch $PROXYTUNE_RUN/mark
        tell {FIRST} 2.5
        sleep 0.3
        exit 75
    fi
    for step in {" ".join(map(str, STEPS))}; do tell $step 2.25; done
    """
    runner = shell(tmp_path, script).start(pack_of_one(tmp_path))
    assert [e.validation_loss for e in runner.advance()] == [2.5]
    with pytest.raises(PackLost, match="75"):
        runner.advance()
    told = told_by(shell(tmp_path, script).start(pack_of_one(tmp_path)))
    assert [e.step for e in told] == list(STEPS)
    resumes = (run_folder(tmp_path) / "resumes").read_text().splitlines()
    assert resumes == ['"resume": false', '"resume": true']


def test_a_folder_of_another_run_is_cleared(tmp_path: Path) -> None:
    told_by(shell(tmp_path, GOOD).start(pack_of_one(tmp_path, learning_rate=0.01)))
    (run_folder(tmp_path) / "old").touch()
    runner = shell(tmp_path, GOOD).start(pack_of_one(tmp_path, learning_rate=0.02))
    assert not runner.done
    assert not (run_folder(tmp_path) / "old").exists()


def test_a_run_that_failed_starts_anew(tmp_path: Path) -> None:
    with pytest.raises(TrainerFailed):
        told_by(shell(tmp_path, TELL + "tell 4 oops").start(pack_of_one(tmp_path)))
    assert [e.step for e in told_by(shell(tmp_path, GOOD).start(pack_of_one(tmp_path)))] == [
        *STEPS
    ]


@pytest.mark.parametrize(
    ("command", "folder", "fact"),
    [
        (("no-such-program",), None, "trainer.command: no-such-program: No such file"),
        (("sh",), "nowhere", "trainer.folder = "),
    ],
)
def test_a_command_that_cannot_start_ends_the_run_and_fails_no_trial(
    tmp_path: Path, command: tuple[str, ...], folder: str | None, fact: str
) -> None:
    fields = {"folder": folder} if folder else {}
    runner = trainer(tmp_path, *command, **fields).start(pack_of_one(tmp_path))
    with pytest.raises(RunError, match=fact):
        runner.advance()


def test_the_helper_file_needs_nothing_of_proxytune(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text(Path(helper.__file__).read_text())
    script = """
import sys
sys.path.insert(0, ".")
import helper
assert "proxytune" not in sys.modules
settings = helper.load()
for step in settings["training"]["evaluation_steps"]:
    helper.report(step, validation_loss=2.5, updates={"hidden": 0.5}, mfu=0.4)
    assert not helper.should_stop()
"""
    told = told_by(python(tmp_path, script).start(pack_of_one(tmp_path)))
    assert [(e.step, e.validation_loss, e.others) for e in told] == [
        (step, 2.5, {"mfu": 0.4}) for step in STEPS
    ]


def test_only_rank_0_of_the_helper_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from proxytune import trainer as helper

    monkeypatch.setenv("PROXYTUNE_METRICS", str(tmp_path / "metrics.jsonl"))
    monkeypatch.setenv("RANK", "1")
    helper.report(1, validation_loss=2.5)
    assert not (tmp_path / "metrics.jsonl").exists()
    monkeypatch.setenv("RANK", "0")
    helper.report(1, validation_loss=float("nan"))
    assert json.loads((tmp_path / "metrics.jsonl").read_text())["validation_loss"] is None


def grouped(folder: Path, factor: float) -> str:
    """A script that reports groups whose hidden rate is off by a factor, and then trains well."""
    pack = pack_of_one(folder)
    projection = project(
        pack.members[0].hyperparameters, pack.base, pack.shape, pack.parameterization
    )
    taken = [
        {
            "name": role,
            "shape": [8, 48 if role is Role.MLP_OUT else 16],
            "role": role,
            "lr": settings.lr * (factor if role is Role.HIDDEN else 1),
            "weight_decay": settings.weight_decay,
            "eps": settings.eps,
            "betas": [0.9, 0.95],
            "std": None,
        }
        for role, settings in projection.roles.items()
        if role is not Role.KV
    ]
    (folder / "groups.json").write_text(json.dumps(taken))
    return f"cp groups.json $PROXYTUNE_RUN/groups.json\n{GOOD}"


def test_groups_are_compared_with_the_projection(tmp_path: Path) -> None:
    good = shell(tmp_path, grouped(tmp_path, 1)).start(pack_of_one(tmp_path))
    assert [e.step for e in told_by(good)] == list(STEPS)
    bad = shell(tmp_path, grouped(tmp_path, 2)).start(pack_of_one(tmp_path, name="other"))
    with pytest.raises(TrainerFailed, match=r"groups\.json: .*hidden"):
        told_by(bad)
