"""A check run changes the shape and nothing else, and finds out a projection that is broken."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from proxytune.config.parameterization import Parameterization
from proxytune.config.study import StudySpec
from proxytune.config.target import CheckSpec, TargetSpec
from proxytune.errors import RunError
from proxytune.execution.local import LocalExecutor
from proxytune.packs.fixed import PackRun
from proxytune.packs.pack import Evaluation, MemberDetails, PackSpec
from proxytune.packs.ports import RunnerFactory
from proxytune.scaling.rules import Role
from proxytune.training.pack import PackTrainer, start_pack
from proxytune.transfer.check import (
    BRACKET,
    CheckRun,
    OnEvaluation,
    Run,
    check_packs,
    check_run,
    fixed_packs,
    runs_of,
    without_bracket,
)
from proxytune.transfer.verdict import judge
from tests.transfer.examples import PROXY, STUDY

WIDE = TargetSpec(name="wide", shape=PROXY.at(d_model=128, n_heads=32, n_kv_heads=8, d_ff=384))
RATE = 0.04

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
        return check_run(*runs_of(packs))

    return run


def test_proxy_and_target_differ_in_shape_alone(tokens: Path) -> None:
    proxy, target = packs_of(WIDE, tokens)
    assert (proxy.shape, target.shape) == (STUDY.proxy, WIDE.shape)
    same = {"name": "same", "checkpoint": None, "shape": PROXY}
    alone = without_bracket(target)
    assert proxy.model_copy(update=same) == alone.model_copy(update=same)
    (member,) = alone.members
    assert member.hyperparameters == STUDY.hyperparameters_of({"learning_rate": RATE})
    assert target.base == STUDY.base


def test_a_target_of_the_proxy_s_shape_trains_exactly_as_the_proxy_does(run: Check) -> None:
    twins = run(TargetSpec(name="twin", shape=PROXY, check=CheckSpec(bracket=False)))
    assert twins.target.step_losses == twins.proxy.step_losses
    assert twins.target.updates == twins.proxy.updates
    assert judge(twins, CheckSpec()).passed


def test_the_seed_is_none_that_chose_the_hyperparameters(tokens: Path) -> None:
    packs = packs_of(WIDE, tokens)
    searched_and_confirmed = range(STUDY.seed, STUDY.seed + STUDY.selection.most_seeds + 1)
    assert packs[0].data_seed not in searched_and_confirmed
    assert packs[0].members[0].seed not in searched_and_confirmed


def test_every_step_and_role_is_there_and_every_evaluation_is_told(run: Check) -> None:
    told: list[tuple[str, Evaluation]] = []
    found = run(WIDE, on_evaluation=lambda name, evaluation: told.append((name, evaluation)))
    assert [(name, e.step) for name, e in told] == [
        (name, step)
        for names in (["proxy"], BRACKET.values())
        for step in STUDY.training.evaluation_steps()
        for name in names
    ]
    for name, side in (("proxy", found.proxy), ("target", found.target)):
        assert side.evaluations == tuple(e for told_of, e in told if told_of == name)
        assert side.step_losses is not None
        assert len(side.step_losses) == STUDY.training.steps
        assert side.updates is not None
        assert set(side.updates) == set(Role) - {Role.QK_NORM}
        assert side.clipped_share is not None
        assert 0 < side.clipped_share < 1
        assert side.evaluations[0].first_loss == side.step_losses[0]
    assert found.warmup_steps == 3


def test_steps_are_clipped_by_the_norm_of_the_study(run: Check) -> None:
    def of(clip_norm: float | None) -> float | None:
        training = STUDY.training.model_copy(update={"clip_norm": clip_norm})
        return run(
            WIDE, study=STUDY.model_copy(update={"training": training})
        ).target.clipped_share

    assert (of(1e-3), of(None)) == (1, 0)


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
    ("rate", "reasons"),
    [(RATE / 4, ["update sizes"]), (RATE, ["bracket", "wider is better", "update sizes"])],
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
    assert failed(found) == ["bracket", "no divergence"]


def test_eight_times_the_rate_fails_the_bracket_and_the_verdict_says_which_way(
    run: Check,
) -> None:
    bracket = judge(run(WIDE, rate=8 * RATE), CheckSpec()).criteria[0]
    assert (bracket.name, bracket.passed) == ("bracket", False)
    assert "too high: 0.5 times it is better by" in bracket.reason
    assert bracket.numbers["regret"] == bracket.numbers["1"] - bracket.numbers["0.5"] > 0.1


def test_half_once_and_twice_the_rate_train_on_the_same_seeds_and_batches(tokens: Path) -> None:
    proxy, target = packs_of(WIDE, tokens)
    assert [m.hyperparameters.learning_rate / RATE for m in target.members] == list(BRACKET)
    assert {m.seed for m in target.members} == {m.seed for m in proxy.members}
    given = [m.hyperparameters.model_dump(exclude={"learning_rate"}) for m in target.members]
    assert given == given[:1] * 3


def test_without_a_bracket_the_target_trains_at_the_projected_rate_alone(run: Check) -> None:
    alone = run(WIDE.model_copy(update={"check": CheckSpec(bracket=False)}))
    assert alone.bracket is None
    three = run(WIDE)
    assert three.bracket is not None
    assert three.bracket[1.0] == three.target
    assert three.target.step_losses == pytest.approx(alone.target.step_losses, rel=1e-4)


class OneByOne(PackTrainer):
    """A trainer of one model at a time."""

    def __init__(self, pack: PackSpec) -> None:
        assert len(pack.members) == 1
        super().__init__(pack)


def test_a_bracket_is_the_same_in_packs_of_one(tokens: Path, tmp_path: Path, run: Check) -> None:
    packs = fixed_packs(
        [
            p.model_copy(update={"checkpoint": tmp_path / f"one-{p.name}.pt"})
            for p in packs_of(WIDE, tokens)
        ],
        lambda *_: None,
        largest=1,
    )
    LocalExecutor(OneByOne).run(packs)
    proxy, target = runs_of(packs)
    assert [len(part.members) for part in target.parts] == [1, 1, 1]
    losses = [side.evaluations[-1].validation_loss for side in bracket_runs(proxy, target)]
    whole = run(WIDE).bracket or {}
    assert losses == pytest.approx(
        [side.evaluations[-1].validation_loss for side in whole.values()], rel=1e-4
    )


def bracket_runs(proxy: PackRun, target: PackRun) -> list[Run]:
    return list((check_run(proxy, target).bracket or {}).values())


class Reticent(PackTrainer):
    """A trainer that tells its evaluations and nothing else."""

    def details(self) -> Sequence[MemberDetails]:
        return ()


def test_what_a_trainer_does_not_tell_is_not_measured_and_fails_nothing(run: Check) -> None:
    quiet = run(WIDE, start=Reticent)
    verdict = judge(quiet, CheckSpec())
    assert {c.name: c.passed for c in verdict.criteria} == {
        "bracket": True,
        "no divergence": True,
        "no spike": None,
        "wider is better": True,
        "update sizes": None,
    }
    assert verdict.passed
    assert quiet.target.clipped_share is None


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
        runs_of(packs)
