"""Trains a pack from one evaluation to the next.

Shapes, as suffixes of names: K members in training, S steps since the last evaluation.
"""

import math
import time
from collections.abc import Collection, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from proxytune.data.batches import training_batch, validation_batches
from proxytune.data.tokens import TokenData
from proxytune.models.parametrize import build_model, pack_groups
from proxytune.models.transformer import PackedTransformer
from proxytune.packs.pack import Evaluation, MemberDetails, PackSpec
from proxytune.scaling.projection import Projection, project
from proxytune.training.checkpoint import Checkpoint
from proxytune.training.memory import keep_freed_memory, within_memory
from proxytune.training.optimizer import PackedAdamW
from proxytune.training.schedule import lr_factor
from proxytune.training.updates import relative_updates

BATCHES_AHEAD = 32
"""Number of batches that are sent to the device together."""


def start_pack(pack: PackSpec) -> "PackTrainer":
    """Starts a pack, from its checkpoint if there is one."""
    return PackTrainer(pack)


class PackTrainer:
    """One pack in training, on the GPU if there is one."""

    @within_memory()
    def __init__(self, pack: PackSpec) -> None:
        torch.set_num_threads(pack.threads)
        keep_freed_memory()
        self._pack = pack
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._tokens = TokenData.load(pack.tokens)
        self._validation_batches = self._to_device(
            validation_batches(
                self._tokens.validation,
                pack.training.evaluation_batches,
                pack.training.batch_size,
                pack.shape.seq_len,
            )
        )
        self._step_losses: dict[int, list[float]] = {member.number: [] for member in pack.members}
        self._seconds = {member.number: 0.0 for member in pack.members}
        self._curve: list[Evaluation] = []
        self._reported = 0
        self._members = pack.members
        saved = Checkpoint.load(pack.checkpoint)
        if saved is None or not saved.holds(pack):
            self._build()
        else:
            self._curve = [e for e in saved.curve if e.number in self._seconds]
            for number in self._step_losses:
                self._step_losses[number] += saved.step_losses.get(number, [])
            self._seconds |= {e.number: e.seconds for e in self._curve}
            self._restore(saved)

    @property
    def done(self) -> bool:
        """Whether no member is in training any more."""
        return not self._members or self._optimizer.steps == self._pack.training.steps

    @property
    def model(self) -> PackedTransformer:
        """The members in training."""
        return self._model

    @within_memory()
    def advance(self) -> Sequence[Evaluation]:
        """Trains to the next evaluation; see PackRunner."""
        if not self.done:
            began = time.perf_counter()
            losses_SxK, norm_K, factors = self._train_to(self._next_stop())
            validation_K = self._validate()
            self._account(time.perf_counter() - began, losses_SxK)
            self._curve += self._evaluations(losses_SxK.mean(0), validation_K, norm_K, factors)
            self.drop([e.number for e in self._curve[-len(self._members) :] if e.diverged])
            if self._pack.checkpoint is not None:
                self._state().save(self._pack.checkpoint)
        news = self._curve[self._reported :]
        self._reported = len(self._curve)
        return news

    @within_memory()
    def drop(self, numbers: Collection[int]) -> None:
        """Takes members out of training; the others continue exactly as before."""
        if any(member.number in numbers for member in self._members):
            state = self._state()
            self._members = tuple(m for m in self._members if m.number not in numbers)
            self._restore(state)

    @within_memory()
    def details(self) -> Sequence[MemberDetails]:
        """Step losses and relative updates, if they are asked for; see PackRunner."""
        if not self._pack.details:
            return ()
        updates = self._updates()
        return [
            MemberDetails(
                number=number,
                step_losses=tuple(_finite(loss) for loss in losses),
                updates=updates.get(number),
            )
            for number, losses in self._step_losses.items()
        ]

    def _updates(self) -> dict[int, dict[str, float]]:
        """Relative updates by member; a member that diverged has none."""
        if not self._members:
            return {}
        # The initial weights are a pure function of the spec, so nobody had to keep them.
        start = self._initial(self._projections())
        return {
            member.number: {str(role): size for role, size in of_member.items()}
            for place, member in enumerate(self._members)
            for of_member in [relative_updates(start, self._model, place)]
        }

    def _projections(self) -> list[Projection]:
        pack = self._pack
        return [
            project(member.hyperparameters, pack.base, pack.shape, pack.parameterization)
            for member in self._members
        ]

    def _initial(self, projections: Sequence[Projection]) -> PackedTransformer:
        """The members' models as they start, on the CPU."""
        return build_model(self._pack.shape, projections, [m.seed for m in self._members])

    def _build(self) -> None:
        """Makes new models and a new optimizer for the members."""
        pack, members, projections = self._pack, self._members, self._projections()
        self._model = self._initial(projections).to(self._device)
        self._optimizer = PackedAdamW(
            pack_groups(self._model, projections),
            beta1_K=self._of_members([member.hyperparameters.beta1 for member in members]),
            beta2_K=self._of_members([member.hyperparameters.beta2 for member in members]),
            clip_norm=pack.training.clip_norm,
        )

    def _state(self) -> Checkpoint:
        return Checkpoint(
            pack=self._pack,
            steps=self._optimizer.steps,
            numbers=[member.number for member in self._members],
            weights=self._model.state_dict(),
            moments=self._optimizer.state(),
            curve=self._curve,
            step_losses=self._step_losses if self._pack.details else {},
        )

    def _restore(self, state: Checkpoint) -> None:
        """Resumes from a state, with the members that are in training there."""
        by_number = {member.number: member for member in self._members}
        kept = [i for i, number in enumerate(state.numbers) if number in by_number]
        self._members = tuple(by_number[state.numbers[i]] for i in kept)
        if not kept:
            return
        self._build()
        self._model.load_state_dict({name: weight[kept] for name, weight in state.weights.items()})
        moments = [{key: moment[kept] for key, moment in group.items()} for group in state.moments]
        self._optimizer.restore(moments, state.steps)

    def _next_stop(self) -> int:
        return next(s for s in self._pack.training.evaluation_steps() if s > self._optimizer.steps)

    def _train_to(self, stop: int) -> tuple[Tensor, Tensor, list[float]]:
        """Losses (S, K); gradient norms (K,) and learning-rate factors of the last step.

        Nothing waits for the device before the end: losses are not read, and factors and batches
        are sent together.
        """
        steps = range(self._optimizer.steps, stop)
        factors_SxK = self._of_members([self._lr_factors(step) for step in steps])
        losses = []
        for batch, factor_K in zip(self._batches(steps), factors_SxK, strict=True):
            loss_K = self._model.loss(batch)
            torch.autograd.backward(loss_K.sum())
            norm_K = self._optimizer.step(factor_K)
            losses.append(loss_K.detach())
        return torch.stack(losses), norm_K, self._lr_factors(stop - 1)

    def _lr_factors(self, step: int) -> list[float]:
        training = self._pack.training
        warmups = [member.hyperparameters.warmup_fraction for member in self._members]
        return [lr_factor(training, warmup, step) for warmup in warmups]

    def _batches(self, steps: range) -> Iterator[Tensor]:
        """The batches of these steps, (B, T + 1) each, sent to the device ahead of time."""
        pack, tokens = self._pack, self._tokens.train
        size, length = pack.training.batch_size, pack.shape.seq_len
        for first in range(steps.start, steps.stop, BATCHES_AHEAD):
            ahead = range(first, min(first + BATCHES_AHEAD, steps.stop))
            yield from self._to_device(
                np.stack([training_batch(tokens, pack.data_seed, s, size, length) for s in ahead])
            )

    @torch.no_grad()
    def _validate(self) -> Tensor:
        return torch.stack([self._model.loss(batch) for batch in self._validation_batches]).mean(0)

    def _account(self, seconds: float, losses_SxK: Tensor) -> None:
        for member, losses in zip(self._members, losses_SxK.T.tolist(), strict=True):
            self._seconds[member.number] += seconds / len(self._members)
            self._step_losses[member.number] += losses

    def _evaluations(
        self, train_K: Tensor, validation_K: Tensor, norm_K: Tensor, factors: list[float]
    ) -> list[Evaluation]:
        step, training = self._optimizer.steps, self._pack.training
        limit = training.divergence_factor * math.log(self._pack.shape.vocab_size)
        rows = zip(
            self._members,
            train_K.tolist(),
            validation_K.tolist(),
            norm_K.tolist(),
            factors,
            strict=True,
        )
        return [
            Evaluation(
                number=member.number,
                step=step,
                tokens=step * training.batch_size * self._pack.shape.seq_len,
                train_loss=_finite(train),
                validation_loss=_finite(validation),
                grad_norm=_finite(norm),
                lr_factor=factor,
                seconds=self._seconds[member.number],
                diverged=not (train <= limit and validation <= limit),
            )
            for member, train, validation, norm, factor in rows
        ]

    def _of_members(self, values: Sequence[float] | Sequence[Sequence[float]]) -> Tensor:
        return torch.tensor(values, dtype=torch.float32, device=self._device)

    def _to_device(self, batch: object) -> Tensor:
        return torch.as_tensor(batch).to(self._device, non_blocking=True)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
