"""A check run changes the shape and nothing else, and finds out a projection that is broken."""

from collections.abc import Callable
from pathlib import Path

import pytest

from proxytune.config.parameterization import Parameterization
from proxytune.config.study import StudySpec
from proxytune.config.target import CheckSpec, TargetSpec
from proxytune.packs.pack import Evaluation, PackSpec
from proxytune.scaling.rules import Role
from proxytune.training.pack import PackTrainer
from proxytune.transfer import check
from proxytune.transfer.check import CheckRun, run_check
from proxytune.transfer.verdict import judge
from tests.transfer.examples import PROXY, STUDY

WIDE = TargetSpec(name="wide", shape=PROXY.at(d_model=128, n_heads=32, n_kv_heads=8, d_ff=384))
RATE = 0.02

Check = Callable[..., CheckRun]


@pytest.fixture
def run(tokens: Path) -> Check:
    def run(
        target: TargetSpec,
        rate: float = RATE,
        study: StudySpec = STUDY,
        on_evaluation: check.OnEvaluation = lambda *_: None,
    ) -> CheckRun:
        hyperparameters = study.hyperparameters_of({"learning_rate": rate})
        return run_check(study, target, hyperparameters, tokens, 1, on_evaluation)

    return run


@pytest.fixture
def packs(monkeypatch: pytest.MonkeyPatch) -> list[PackSpec]:
    """What is trained, as it is asked for."""
    asked: list[PackSpec] = []

    class Asked(PackTrainer):
        def __init__(self, pack: PackSpec) -> None:
            asked.append(pack)
            super().__init__(pack)

    monkeypatch.setattr(check, "PackTrainer", Asked)
    return asked


def test_proxy_and_target_differ_in_shape_alone(run: Check, packs: list[PackSpec]) -> None:
    run(WIDE)
    proxy, target = packs
    assert (proxy.shape, target.shape) == (STUDY.proxy, WIDE.shape)
    same = {"name": "same", "shape": PROXY}
    assert proxy.model_copy(update=same) == target.model_copy(update=same)
    (member,) = target.members
    assert member.hyperparameters == STUDY.hyperparameters_of({"learning_rate": RATE})
    assert target.base == STUDY.base


def test_a_target_of_the_proxy_s_shape_trains_exactly_as_the_proxy_does(run: Check) -> None:
    twins = run(TargetSpec(name="twin", shape=PROXY))
    assert twins.target.step_losses == twins.proxy.step_losses
    assert twins.target.updates == twins.proxy.updates
    assert judge(twins, CheckSpec()).passed


def test_the_seed_is_none_that_chose_the_hyperparameters(
    run: Check, packs: list[PackSpec]
) -> None:
    run(TargetSpec(name="twin", shape=PROXY))
    searched_and_confirmed = range(STUDY.seed, STUDY.seed + STUDY.selection.seeds + 1)
    assert packs[0].data_seed not in searched_and_confirmed
    assert packs[0].members[0].seed not in searched_and_confirmed


def test_every_step_and_role_is_there_and_every_evaluation_is_told(run: Check) -> None:
    told: list[tuple[str, Evaluation]] = []
    found = run(WIDE, on_evaluation=lambda name, evaluation: told.append((name, evaluation)))
    assert [(name, e.step) for name, e in told] == [
        (name, step) for name in ("proxy", "target") for step in STUDY.training.evaluation_steps()
    ]
    for name, side in (("proxy", found.proxy), ("target", found.target)):
        assert side.evaluations == tuple(e for told_of, e in told if told_of == name)
        assert len(side.step_losses) == STUDY.training.steps
        assert set(side.updates) == set(Role) - {Role.QK_NORM}
    assert found.warmup_steps == 3


def test_a_shorter_check_has_evaluations_and_warm_up_to_match(
    run: Check, packs: list[PackSpec]
) -> None:
    found = run(WIDE.model_copy(update={"check": CheckSpec(steps=10)}))
    assert [pack.training.steps for pack in packs] == [10, 10]
    assert [e.step for e in found.target.evaluations] == [3, 6, 10]
    assert found.warmup_steps == 1


def test_a_stand_in_is_trained_with_the_study_s_vocabulary_and_length(run: Check) -> None:
    stand_in = WIDE.shape.at(d_model=32, d_ff=96, vocab_size=50_000, seq_len=4096)
    huge = WIDE.shape.at(d_model=8192, d_ff=24576)
    found = run(TargetSpec(name="huge", shape=huge, check_shape=stand_in))
    assert found.target.shape == stand_in.at(vocab_size=PROXY.vocab_size, seq_len=PROXY.seq_len)


def failed(found: CheckRun) -> list[str]:
    return [c.name for c in judge(found, CheckSpec()).criteria if not c.passed]


def test_a_sound_projection_passes(run: Check) -> None:
    assert failed(run(WIDE)) == []


@pytest.mark.parametrize(
    ("rate", "reasons"), [(RATE, ["update sizes"]), (0.1, ["wider is better", "update sizes"])]
)
def test_eight_times_the_width_without_rules_fails(
    run: Check, rate: float, reasons: list[str]
) -> None:
    without = STUDY.model_copy(update={"parameterization": Parameterization(name="sp")})
    assert failed(run(WIDE, rate, without)) == reasons


def test_hyperparameters_that_do_not_train_fail(run: Check) -> None:
    found = run(WIDE, rate=1e30)
    assert found.target.diverged
    assert found.target.updates == {}
    assert failed(found) == ["no divergence"]
