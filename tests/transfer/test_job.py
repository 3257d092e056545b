"""What a target.yaml asks of a check's workers is what its packs ask of an executor."""

import time
from pathlib import Path

import pytest

from proxytune.config.shape import Shape
from proxytune.config.target import CheckSpec, TargetSpec
from proxytune.config.trainer import TrainerSpec
from proxytune.errors import InputError
from proxytune.packs.pack import Job
from proxytune.transfer.check import check_packs
from proxytune.transfer.job import check_jobs
from tests.transfer.examples import STUDY, TARGET

MANY = CheckSpec(workers=4, gpus_per_worker=1, activation_checkpointing=True)


def test_a_check_that_asks_for_nothing_trains_as_trials_do() -> None:
    assert check_jobs(STUDY, CheckSpec(), TARGET) == (Job(), Job())


def test_the_target_has_the_workers_and_both_have_the_limit() -> None:
    before = time.time()
    limited = MANY.model_copy(update={"hours": 2.0})
    proxy, target = check_jobs(STUDY, limited, TARGET)
    assert proxy.deadline == target.deadline
    assert proxy.deadline is not None
    assert before + 7200 <= proxy.deadline <= time.time() + 7200
    assert proxy == Job(deadline=proxy.deadline)
    assert (target.workers, target.processes, target.gpus) == (4, 4, 1)
    assert target.activation_checkpointing


def test_a_trainer_of_the_user_s_own_is_one_process_with_the_resources_of_all() -> None:
    own = STUDY.model_copy(update={"trainer": TrainerSpec(command=("sh", "train.sh"))})
    _, target = check_jobs(own, CheckSpec(workers=7, gpus_per_worker=2), TARGET)
    assert (target.workers, target.processes, target.gpus) == (7, 1, 2)


def test_a_worker_of_the_built_in_trainer_uses_one_gpu() -> None:
    with pytest.raises(InputError, match="gpus_per_worker = 2"):
        check_jobs(STUDY, CheckSpec(gpus_per_worker=2), TARGET)


def test_what_several_workers_train_is_not_compiled(tmp_path: Path) -> None:
    execution = STUDY.execution.model_copy(update={"compile": "always"})
    study = STUDY.model_copy(update={"execution": execution})
    target = TargetSpec(name="wide", shape=TARGET, check=CheckSpec(workers=2))
    settings = STUDY.hyperparameters_of({"learning_rate": 0.02})
    packs = check_packs(study, target, settings, tmp_path, tmp_path)
    assert [pack.compiled for pack in packs] == [True, False]


@pytest.mark.parametrize(
    ("workers", "shape", "facts"),
    [
        (3, TARGET, ["check.workers = 3", "d_model = 64"]),
        (8, TARGET, ["check.workers = 8", "batch_size, 4"]),
        (8, TARGET.at(qk_norm=True), ["check.workers = 8", "head_dim = 4"]),
    ],
)
def test_workers_that_cannot_share_the_target_are_refused(
    workers: int, shape: Shape, facts: list[str], tmp_path: Path
) -> None:
    target = TargetSpec(name="wide", shape=shape, check=CheckSpec(workers=workers))
    settings = STUDY.hyperparameters_of({"learning_rate": 0.02})
    with pytest.raises(InputError) as refused:
        check_packs(STUDY, target, settings, tmp_path, tmp_path)
    assert all(fact in str(refused.value) for fact in facts)
