"""Laws of training in packs: members are independent, and a pack can stop and go on anywhere."""

import math
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.config.shape import Shape
from proxytune.errors import Interrupted, RunError
from proxytune.packs.pack import Evaluation, Job, Member, MemberDetails, PackSpec
from proxytune.packs.ports import PackRunner
from proxytune.testing import PackRunnerContract
from proxytune.testing.packs import hyperparameters, members, pack
from proxytune.training.pack import PackTrainer, start_pack
from tests.training.packs import train

VARIED = (
    hyperparameters(0.01, weight_decay=0.3, beta1=0.8),
    hyperparameters(0.05, init_std=0.3, eps=1e-4, embedding_multiplier=2.0),
    hyperparameters(0.02, beta2=0.99, residual_multiplier=0.5, warmup_fraction=0.5),
    hyperparameters(0.1, attention_multiplier=3.0, output_multiplier=0.25, kv_lr_multiplier=2.0),
)
HOPELESS = hyperparameters(1e30)
"""Not a number after one step."""

Losses = list[tuple[int, float | None, float | None]]


class TestPackTrainer(PackRunnerContract):
    @pytest.fixture(autouse=True)
    def prepared(self, shape: Shape, tokens: Path) -> None:
        self.shape, self.tokens = shape, tokens

    def start(self, pack: PackSpec) -> PackRunner:
        return start_pack(pack)

    def pack(self, folder: Path) -> PackSpec:
        return pack(
            self.shape, self.tokens, members(*VARIED[:3]), checkpoint=folder / "checkpoint"
        )


def losses(evaluations: Sequence[Evaluation], number: int) -> Losses:
    mine = [e for e in evaluations if e.number == number]
    return [(e.step, e.train_loss, e.validation_loss) for e in mine]


def assert_same(one: Losses, other: Losses) -> None:
    assert len(one) == len(other) > 0
    for ours, theirs in zip(one, other, strict=True):
        # Rounding grows from step to step, the more the higher the rates.
        assert ours == pytest.approx(theirs, rel=3e-5)


def alone(shape: Shape, tokens: Path, member: Member) -> Losses:
    trainer = start_pack(pack(shape, tokens, [member]))
    return losses(train(trainer), member.number)


@pytest.mark.parametrize(
    "variant",
    [{}, {"mlp": "gelu"}, {"tied": True}, {"qk_norm": True}, {"n_kv_heads": 1}],
    ids=str,
)
def test_a_member_trains_in_a_pack_as_it_does_alone(
    shape: Shape, tokens: Path, variant: dict[str, object]
) -> None:
    shape = shape.at(**variant)
    together = train(start_pack(pack(shape, tokens, members(*VARIED))))
    for member in members(*VARIED):
        assert_same(losses(together, member.number), alone(shape, tokens, member))


def test_members_of_different_settings_have_different_losses(shape: Shape, tokens: Path) -> None:
    last = train(start_pack(pack(shape, tokens, members(*VARIED))))[-len(VARIED) :]
    assert len({e.validation_loss for e in last}) == len(VARIED)


def test_a_member_at_nan_does_not_touch_its_neighbours(shape: Shape, tokens: Path) -> None:
    mixed = members(VARIED[0], HOPELESS, VARIED[1], HOPELESS)
    together = train(start_pack(pack(shape, tokens, mixed)))
    for member in (mixed[0], mixed[2]):
        assert_same(losses(together, member.number), alone(shape, tokens, member))


def test_divergence_is_a_members_state(shape: Shape, tokens: Path) -> None:
    evaluations = train(start_pack(pack(shape, tokens, members(HOPELESS, VARIED[0]))))
    mine = [e for e in evaluations if e.number == 0]
    assert [e.diverged for e in mine] == [True]
    assert mine[0].validation_loss is None
    assert not any(e.diverged for e in evaluations if e.number == 1)


def test_dropping_members_leaves_the_others_as_they_were(shape: Shape, tokens: Path) -> None:
    trainer = start_pack(pack(shape, tokens, members(*VARIED)))
    evaluations = list(trainer.advance())
    trainer.drop([0, 2])
    evaluations += train(trainer)
    assert {e.number for e in evaluations if e.step > 4} == {1, 3}
    for member in (members(*VARIED)[1], members(*VARIED)[3]):
        assert_same(losses(evaluations, member.number), alone(shape, tokens, member))


def test_a_pack_without_members_is_done(shape: Shape, tokens: Path) -> None:
    trainer = start_pack(pack(shape, tokens, members(*VARIED)))
    trainer.drop(range(4))
    assert trainer.done


def test_the_same_spec_gives_the_same_bits(shape: Shape, tokens: Path) -> None:
    once, again = (train(start_pack(pack(shape, tokens, members(*VARIED)))) for _ in range(2))
    assert [losses(once, n) for n in range(4)] == [losses(again, n) for n in range(4)]


def test_the_seed_decides_the_initial_weights(shape: Shape, tokens: Path) -> None:
    one, other = (alone(shape, tokens, members(VARIED[0], seed=seed)[0]) for seed in (1, 2))
    assert one != other


@pytest.mark.parametrize("killed_after", [1, 2])
def test_a_pack_goes_on_from_its_checkpoint(
    shape: Shape, tokens: Path, tmp_path: Path, killed_after: int
) -> None:
    undisturbed = train(start_pack(pack(shape, tokens, members(*VARIED))))
    spec = pack(shape, tokens, members(*VARIED), checkpoint=tmp_path / "packs" / "pack.pt")
    killed = start_pack(spec)
    for _ in range(killed_after):
        killed.advance()
    resumed = start_pack(spec)
    told = resumed.advance()
    assert {e.step for e in told} >= {4 * n for n in range(1, killed_after + 1)}
    evaluations = [*told, *train(resumed)]
    for number in range(4):
        assert_same(losses(evaluations, number), losses(undisturbed, number))


class Limited(PackTrainer):
    """Its time limit comes between two evaluations."""

    def _is_over(self) -> bool:
        return self._optimizer.steps == 6


def test_a_time_limit_ends_a_pack_at_any_step_and_it_resumes_there(
    shape: Shape, tokens: Path, tmp_path: Path
) -> None:
    spec = pack(shape, tokens, members(*VARIED), checkpoint=tmp_path / "pack.pt")
    spec = spec.model_copy(update={"details": True})
    undisturbed = start_pack(spec.model_copy(update={"checkpoint": None}))
    whole = train(undisturbed)
    limited = Limited(spec)
    limited.advance()
    with pytest.raises(Interrupted, match="after step 6 of 12"):
        limited.advance()
    resumed = start_pack(spec)
    evaluations = train(resumed)
    for number in range(4):
        assert_same(losses(evaluations, number), losses(whole, number))
    for ours, theirs in zip(resumed.details(), undisturbed.details(), strict=True):
        assert ours.step_losses == pytest.approx(theirs.step_losses, rel=3e-5)
        assert ours.clipped_steps == theirs.clipped_steps


def test_a_deadline_that_is_over_ends_a_pack_before_its_next_step(
    shape: Shape, tokens: Path
) -> None:
    spec = pack(shape, tokens, members(*VARIED))
    past, future = (
        spec.model_copy(update={"job": Job(deadline=deadline)}) for deadline in (1.0, 1e12)
    )
    with pytest.raises(Interrupted, match="after step 0 of 12"):
        start_pack(past).advance()
    assert train(start_pack(future))[-1].step == 12


def test_activations_that_are_computed_again_change_nothing(shape: Shape, tokens: Path) -> None:
    spec = pack(shape, tokens, members(*VARIED))
    again = spec.model_copy(update={"job": Job(activation_checkpointing=True)})
    once, twice = train(start_pack(spec)), train(start_pack(again))
    assert [losses(once, n) for n in range(4)] == [losses(twice, n) for n in range(4)]


def test_clipped_steps_are_counted_by_member_also_over_a_restart(
    shape: Shape, tokens: Path, tmp_path: Path
) -> None:
    """A large output multiplier gives large gradients; a tiny one gives none to clip."""
    loud, quiet = (
        hyperparameters(1e-4, output_multiplier=4),
        hyperparameters(1e-4, output_multiplier=1e-3),
    )
    spec = pack(shape, tokens, members(loud, quiet), checkpoint=tmp_path / "pack.pt")
    spec = spec.model_copy(update={"details": True})
    start_pack(spec).advance()
    resumed = start_pack(spec)
    assert [member.clipped_steps for member in resumed.details()] == [4, 0]
    train(resumed)
    assert [member.clipped_steps for member in resumed.details()] == [12, 0]


def test_the_first_evaluation_tells_the_first_loss(shape: Shape, tokens: Path) -> None:
    first, *others = train(start_pack(pack(shape, tokens, members(VARIED[0]))))
    assert first.first_loss == pytest.approx(math.log(256), abs=1)
    assert first.train_loss is not None
    assert first.train_loss < first.first_loss
    assert {e.first_loss for e in others} == {None}


def test_a_finished_pack_tells_its_curve_again(shape: Shape, tokens: Path, tmp_path: Path) -> None:
    spec = pack(shape, tokens, members(*VARIED), checkpoint=tmp_path / "pack.pt")
    first = train(start_pack(spec))
    restored = start_pack(spec)
    assert restored.done
    assert list(restored.advance()) == first


def test_part_of_a_pack_goes_on_from_its_checkpoint(
    shape: Shape, tokens: Path, tmp_path: Path
) -> None:
    spec = pack(shape, tokens, members(*VARIED), checkpoint=tmp_path / "pack.pt")
    undisturbed = train(start_pack(pack(shape, tokens, members(*VARIED))))
    start_pack(spec).advance()
    part = train(start_pack(spec.model_copy(update={"members": members(*VARIED)[1:3]})))
    assert {e.number for e in part} == {1, 2}
    for number in (1, 2):
        assert_same(losses(part, number), losses(undisturbed, number))


@pytest.mark.parametrize("other", ["member", "pack", "corpus"])
def test_a_checkpoint_of_another_study_is_not_taken_up(
    shape: Shape, tokens: Path, tmp_path: Path, other: str
) -> None:
    spec = pack(shape, tokens, members(*VARIED), checkpoint=tmp_path / "pack.pt")
    changes: dict[str, dict[str, object]] = {
        "member": {"members": members(*VARIED, seed=4)},
        "pack": {"data_seed": 8},
        "corpus": {"tokens": shutil.copytree(tokens, tmp_path / "other")},
    }
    theirs = spec.model_copy(update=changes[other])
    train(start_pack(theirs))
    assert start_pack(theirs).done
    ours = start_pack(spec)
    assert not ours.done
    undisturbed = train(start_pack(pack(shape, tokens, members(*VARIED))))
    assert losses(train(ours), 0) == losses(undisturbed, 0)


def test_a_torn_checkpoint_is_named(shape: Shape, tokens: Path, tmp_path: Path) -> None:
    spec = pack(shape, tokens, members(VARIED[0]), checkpoint=tmp_path / "pack.pt")
    start_pack(spec).advance()
    torn = (tmp_path / "pack.pt").read_bytes()[:-100]
    (tmp_path / "pack.pt").write_bytes(torn)
    with pytest.raises(RunError, match=r"pack\.pt.*remove the file") as told:
        start_pack(spec)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("contents", "says"),
    [
        ({"version": 4}, "its version is 4, not 3"),
        ({}, "its version is None, not 3"),
        ({"version": 3, "pack": "{}"}, "validation errors for PackSpec"),
        ([1, 2], "cannot be read"),
    ],
    ids=str,
)
def test_a_checkpoint_of_another_program_is_named(
    shape: Shape, tokens: Path, tmp_path: Path, contents: object, says: str
) -> None:
    spec = pack(shape, tokens, members(VARIED[0]), checkpoint=tmp_path / "pack.pt")
    torch.save(contents, tmp_path / "pack.pt")
    with pytest.raises(RunError, match=rf"pack\.pt: .*{says}.*remove the file"):
        start_pack(spec)


def test_training_learns(shape: Shape, tokens: Path) -> None:
    setting: BaseHyperparameters = hyperparameters(0.02)
    curve = losses(train(start_pack(pack(shape, tokens, members(setting)))), 0)
    assert curve[-1][2] is not None
    assert curve[0][2] is not None
    assert curve[-1][2] < curve[0][2]


def test_details_are_told_where_they_are_asked_for(shape: Shape, tokens: Path) -> None:
    spec = pack(shape, tokens, members(VARIED[0], HOPELESS))
    plain = start_pack(spec)
    train(plain)
    assert plain.details() == ()
    trainer = start_pack(spec.model_copy(update={"details": True}))
    train(trainer)
    sound, hopeless = trainer.details()
    assert sound.step_losses is not None
    assert len(sound.step_losses) == spec.training.steps
    assert sound.updates is not None
    assert {"query", "embedding", "norm"} <= set(sound.updates)
    assert hopeless.updates is None
    assert hopeless.step_losses is not None
    assert None in hopeless.step_losses


def test_a_member_leaves_the_details_that_it_leaves_alone(shape: Shape, tokens: Path) -> None:
    def details(of: Sequence[Member]) -> list[MemberDetails]:
        trainer = start_pack(pack(shape, tokens, of).model_copy(update={"details": True}))
        train(trainer)
        return list(trainer.details())

    for together, member in zip(details(members(*VARIED)), members(*VARIED), strict=True):
        (alone,) = details([member])
        assert together.step_losses == pytest.approx(alone.step_losses, rel=1e-5)
        assert together.updates == pytest.approx(alone.updates, rel=1e-4)


def test_details_survive_a_restore(shape: Shape, tokens: Path, tmp_path: Path) -> None:
    spec = pack(shape, tokens, members(*VARIED), checkpoint=tmp_path / "pack.pt")
    spec = spec.model_copy(update={"details": True})
    stopped = start_pack(spec)
    stopped.advance()
    resumed = start_pack(spec)
    train(resumed)
    unbroken = start_pack(spec.model_copy(update={"checkpoint": None}))
    train(unbroken)
    for ours, theirs in zip(resumed.details(), unbroken.details(), strict=True):
        assert ours.step_losses == pytest.approx(theirs.step_losses, rel=1e-5)
        assert ours.updates == pytest.approx(theirs.updates, rel=1e-4)
