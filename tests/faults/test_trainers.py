"""Whatever happens to a user's own trainer, it ends as stated, and nothing is left of it."""

import dataclasses
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxytune.errors import PackLost, RunError
from proxytune.packs.pack import Evaluation
from proxytune.trainers.command import CommandRunner, TrainerFailed
from tests.clusters import kill_tree
from tests.disks import limited_to
from tests.faults.processes import left_running, processes_of
from tests.trainers.scripts import (
    FIRST,
    GOOD,
    LAST,
    STEPS,
    TELL,
    pack_of_one,
    run_folder,
    shell,
    told_by,
)

BACKGROUND = "sleep 600 &\nsetsid sleep 600 &\n(setsid sh -c 'sleep 600 & wait' &)\n"
"""In the group, out of it, and below a parent that has gone."""
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path) -> Iterator[None]:
    """Holds for every test here: no process of its trainer goes on."""
    yield
    assert left_running(tmp_path, seconds=5) == []


def resumed(folder: Path, script: str) -> list[Evaluation]:
    """What a further attempt tells."""
    return told_by(shell(folder, script).start(pack_of_one(folder)))


def started(folder: Path, script: str, **fields: object) -> CommandRunner:
    """A runner, which has told its first evaluation."""
    runner = shell(folder, TELL + f"tell {FIRST} 2.5\n" + script, **fields).start(
        pack_of_one(folder)
    )
    (first,) = runner.advance()
    assert first.step == FIRST
    return runner


@pytest.mark.parametrize("ending", ["kill -9 $$", "kill -TERM $$", "exit 137", "exit 143"])
def test_a_killed_trainer_is_lost_and_resumed(tmp_path: Path, ending: str) -> None:
    runner = started(tmp_path, f"sleep 0.2\n{ending}\n")
    with pytest.raises(PackLost, match="killed"):
        runner.advance()
    assert [e.step for e in resumed(tmp_path, GOOD)] == list(STEPS)


def test_a_trainer_that_hangs_is_lost_and_resumed(tmp_path: Path) -> None:
    runner = started(tmp_path, "sleep 600\n", stall_seconds=0.3)
    with pytest.raises(PackLost, match=r"no line of metrics for 0\.3 s"):
        runner.advance()
    assert [e.step for e in resumed(tmp_path, GOOD)] == list(STEPS)


def test_a_trainer_that_hangs_after_its_last_evaluation_is_lost(tmp_path: Path) -> None:
    runner = shell(tmp_path, GOOD + "sleep 600\n", stall_seconds=0.3).start(pack_of_one(tmp_path))
    with pytest.raises(PackLost):
        told_by(runner)
    assert [e.step for e in resumed(tmp_path, GOOD)] == list(STEPS)


def test_flooded_stderr_goes_to_the_log(tmp_path: Path) -> None:
    flood = "yes flood | head -c 50000000 >&2\n"
    assert [e.step for e in resumed(tmp_path, flood + GOOD)] == list(STEPS)
    assert (run_folder(tmp_path) / "stderr.log").stat().st_size == 50_000_000


def test_a_failure_quotes_the_last_lines_of_a_flood(tmp_path: Path) -> None:
    flood = "yes flood | head -c 50000000 >&2; echo; echo the end >&2; exit 2\n"
    with pytest.raises(TrainerFailed) as failure:
        resumed(tmp_path, flood)
    reason = str(failure.value)
    assert "exit code 2" in reason
    assert reason.endswith("the end")
    assert len(reason.splitlines()) == 21


def test_half_a_line_is_no_report_and_spoils_no_other(tmp_path: Path) -> None:
    torn = f"""sleep 0.2; printf '{{"step": {LAST}, "val' >> $PROXYTUNE_METRICS\n"""
    runner = started(tmp_path, torn + "kill -9 $$\n")
    with pytest.raises(PackLost):
        runner.advance()
    assert [e.step for e in resumed(tmp_path, GOOD)] == list(STEPS)


def test_half_a_line_at_a_good_end_is_an_evaluation_too_few(tmp_path: Path) -> None:
    torn = "printf '{\"step\": 12' > $PROXYTUNE_METRICS"
    with pytest.raises(TrainerFailed, match="exit code 0 before the last evaluation"):
        resumed(tmp_path, torn)


@pytest.mark.parametrize("loss", ["NaN", "null", "Infinity"])
def test_a_loss_that_is_no_number_is_divergence_and_ends_the_trainer(
    tmp_path: Path, loss: str
) -> None:
    runner = started(tmp_path, f"tell {STEPS[1]} {loss}\nsleep 600\n")
    (evaluation,) = runner.advance()
    assert (evaluation.step, evaluation.validation_loss) == (STEPS[1], None)
    assert evaluation.diverged
    assert runner.done
    again = shell(tmp_path, GOOD).start(pack_of_one(tmp_path))
    assert [e.diverged for e in again.advance()] == [False, True], "and stays so"
    assert again.done


def test_steps_that_come_twice_are_told_once(tmp_path: Path) -> None:
    runner = started(tmp_path, f"tell {FIRST} 2.25\n{GOOD}")
    assert [e.step for e in told_by(runner)] == list(STEPS[1:])


def test_an_exit_without_the_last_evaluation_is_a_failure(tmp_path: Path) -> None:
    runner = started(tmp_path, "echo bye >&2; exit 0\n")
    with pytest.raises(TrainerFailed) as failure:
        runner.advance()
    for fact in ("exit code 0", f"step {FIRST}", "bye"):
        assert fact in str(failure.value)


def test_children_left_behind_end_with_the_trainer(tmp_path: Path) -> None:
    assert [e.step for e in resumed(tmp_path, BACKGROUND + GOOD)] == list(STEPS)


def test_a_dropped_trainer_is_told_twice_and_has_ended_when_drop_returns(tmp_path: Path) -> None:
    script = """trap 'ls $PROXYTUNE_RUN/stop > $PROXYTUNE_RUN/seen; exit 0' TERM
    while true; do sleep 0.05; done\n"""
    runner = started(tmp_path, "echo > $PROXYTUNE_RUN/up\n" + BACKGROUND + script)
    while not (run_folder(tmp_path) / "up").exists():
        pass
    runner.drop([0])
    assert runner.done
    assert runner.advance() == []


def test_a_trainer_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    deaf = TELL + f"trap '' TERM\n{BACKGROUND}tell {FIRST} 2.5\nwhile true; do sleep 1; done\n"
    trainer = dataclasses.replace(shell(tmp_path, deaf), grace_seconds=0.5)
    runner = trainer.start(pack_of_one(tmp_path))
    runner.advance()
    runner.drop([0])
    assert runner.done


WORKER = """
import sys
from pathlib import Path
from tests.trainers.scripts import pack_of_one, shell
folder = Path(sys.argv[1])
runner = shell(folder, (folder / "train.sh").read_text()).start(pack_of_one(folder))
runner.advance()
print("told", flush=True)
runner.advance()
"""


def test_nothing_outlives_a_worker_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "train.sh").write_text(TELL + f"{BACKGROUND}tell {FIRST} 2.5\nsleep 600\n")
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert worker.stdout is not None
    assert worker.stdout.readline() == b"told\n"
    assert len(processes_of(tmp_path)) > 3
    kill_tree(worker.pid)
    worker.stdout.close()
    worker.wait()
    assert left_running(tmp_path, seconds=5) == []
    # And the next attempt never meets the one before.
    assert [e.step for e in resumed(tmp_path, GOOD)] == list(STEPS)


@pytest.mark.parametrize("which", ["watcher", "supervisor"])
def test_a_trainer_whose_supervisor_is_killed_is_lost_and_ends_with_it(
    tmp_path: Path, which: str
) -> None:
    runner = started(tmp_path, BACKGROUND + "sleep 600\n")
    pair = [p for p in processes_of(tmp_path) if any("supervisor.py" in w for w in p.cmdline())]
    assert len(pair) == 2
    (watcher,) = (process for process in pair if process.children()[0] in pair)
    victim = watcher if which == "watcher" else watcher.children()[0]
    victim.kill()
    with pytest.raises(PackLost):
        runner.advance()


def test_a_full_disk_ends_the_run_and_fails_no_trial(tmp_path: Path) -> None:
    trainer = shell(tmp_path, GOOD)
    with limited_to(100), pytest.raises(RunError, match=r"settings\.json: cannot be written"):
        trainer.start(pack_of_one(tmp_path))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts disks")
def test_a_disk_that_the_trainer_fills_ends_the_run_and_fails_no_trial(tmp_path: Path) -> None:
    disk = tmp_path / "runs"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk])
    if mounted.returncode:
        pytest.skip("no disk can be mounted here")
    try:
        fill = "cat /dev/zero > $PROXYTUNE_RUN/checkpoint || exit 1\n"
        runner = started(tmp_path, "sleep 0.2\n" + fill)
        with pytest.raises(RunError, match="No space left"):
            runner.advance()
    finally:
        subprocess.run(["umount", "-l", disk], check=True)
