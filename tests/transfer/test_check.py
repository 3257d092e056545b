"""A check run changes the shape and nothing else, and finds out a projection that is broken."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from proxytune.config.parameterization import Parameterization
from proxytune.config.study import StudySpec
from proxytune.config.target import CheckSpec, TargetSpec
from proxytune.errors import RunError
from proxytune.execution.local import LocalExecutor
from proxytune.packs.pack import Evaluation, MemberDetails, PackSpec
from proxytune.packs.ports import RunnerFactory
from proxytune.scaling.rules import Role
from proxytune.training.pack import PackTrainer, start_pack
from proxytune.transfer.check import (
    CheckRun,
    OnEvaluation,
    check_packs,
    check_run,
    fixed_packs,
)
from proxytune.transfer.verdict import judge
from tests.transfer.examples import PROXY, STUDY

WIDE = TargetSpec(name="wide", shape=PROXY.at(d_model=128, n_heads=32, n_kv_heads=8, d_ff=384))
RATE = 0.02

Check = Callable[..., CheckRun]


def packs_of(target: TargetSpec, tokens: Path, rate: float = RATE) -> list[PackSpec]:
    hyperparameters = STUDY.hyperparameters_of({"learning_rate": rate})
    return check_packs(STUDY, target, hyperparameters, tokens, Path("checkpoints"))


@pytest.fixture
def run(tokens: Path, tmp_path: Path) -> Check:
    def run(
        target: TargetSpec,
        rate: float = RATE,
        study: StudySpec = STUDY,
        on_evaluation: OnEvaluation = lambda *_: None,
        start: RunnerFactory = start_pack,
    ) -> CheckRun:
        hyperparameters = study.hyperparameters_of({"learning_rate": rate})
        packs = fixed_packs(
            check_packs(study, target, hyperparameters, tokens, tmp_path), on_evaluation
        )
        LocalExecutor(start).run(packs)
        return check_run(packs)

    return run


def test_proxy_and_target_differ_in_shape_alone(tokens: Path) -> None:
    proxy, target = packs_of(WIDE, tokens)
    assert (proxy.shape, target.shape) == (STUDY.proxy, WIDE.shape)
    same = {"name": "same", "checkpoint": None, "shape": PROXY}
    assert proxy.model_copy(update=same) == target.model_copy(update=same)
    (member,) = target.members
    assert member.hyperparameters == STUDY.hyperparameters_of({"learning_rate": RATE})
    assert target.base == STUDY.base


def test_a_target_of_the_proxy_s_shape_trains_exactly_as_the_proxy_does(run: Check) -> None:
    twins = run(TargetSpec(name="twin", shape=PROXY))
    assert twins.target.step_losses == twins.proxy.step_losses
    assert twins.target.updates == twins.proxy.updates
    assert judge(twins, CheckSpec()).passed


def test_the_seed_is_none_that_chose_the_hyperparameters(tokens: Path) -> None:
    packs = packs_of(WIDE, tokens)
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
        assert side.step_losses is not None
        assert len(side.step_losses) == STUDY.training.steps
        assert side.updates is not None
        assert set(side.updates) == set(Role) - {Role.QK_NORM}
    assert found.warmup_steps == 3


def test_a_shorter_check_has_evaluations_and_warm_up_to_match(run: Check) -> None:
    found = run(WIDE.model_copy(update={"check": CheckSpec(steps=10)}))
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
    assert found.target.updates is None
    assert failed(found) == ["no divergence"]


class Reticent(PackTrainer):
    """A trainer that tells its evaluations and nothing else."""

    def details(self) -> Sequence[MemberDetails]:
        return ()


def test_what_a_trainer_does_not_tell_is_not_measured_and_fails_nothing(run: Check) -> None:
    verdict = judge(run(WIDE, start=Reticent), CheckSpec())
    assert {c.name: c.passed for c in verdict.criteria} == {
        "no divergence": True,
        "no spike": None,
        "wider is better": True,
        "update sizes": None,
    }
    assert verdict.passed


def test_a_check_that_was_killed_resumes_from_what_it_had_trained(
    run: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(WIDE)
    assert whole == run(WIDE), "nothing is left to train, and all is told again"
    monkeypatch.setattr(PackTrainer, "_train_to", lambda *_: pytest.fail("trained again"))
    assert run(WIDE) == whole


def test_a_check_with_a_lost_pack_says_what_to_do(tokens: Path) -> None:
    packs = fixed_packs(packs_of(WIDE, tokens), lambda *_: None)
    while (pack := packs.next_pack()) is not None:
        packs.fail(pack, "does not fit into memory")
    with pytest.raises(RunError, match=r"check-wide-target was lost \(does not fit.*--no-check"):
        check_run(packs)
