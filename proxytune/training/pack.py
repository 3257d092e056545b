"""Trains a pack from one evaluation to the next.

Shapes, as suffixes of names: K members in training, S steps since the last evaluation.
"""

import math
import time
from collections.abc import Collection, Sequence
from typing import NoReturn

import torch
from torch import Tensor

from proxytune.errors import Interrupted
from proxytune.models.parametrize import empty_model, init_pack_, initial_weight, pack_groups
from proxytune.models.transformer import PackedTransformer
from proxytune.packs.pack import Evaluation, MemberDetails, PackSpec
from proxytune.scaling.projection import Projection, project
from proxytune.training.checkpoint import Checkpoint
from proxytune.training.compiling import compiled_
from proxytune.training.feed import Feed
from proxytune.training.memory import keep_freed_memory, within_memory
from proxytune.training.optimizer import PackedAdamW
from proxytune.training.precision import autocast
from proxytune.training.processes import processes_of
from proxytune.training.schedule import lr_factor
from proxytune.training.updates import relative_updates


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
        self._processes = processes_of(pack.job.processes, self._device)
        self._feed = Feed(pack, self._device)
        self._step_losses: dict[int, list[float]] = {member.number: [] for member in pack.members}
        self._clipped = {member.number: 0 for member in pack.members}
        self._seconds = {member.number: 0.0 for member in pack.members}
        self._curve: list[Evaluation] = []
        self._reported = 0
        self._since_SxK = torch.empty(0, len(pack.members), device=self._device)
        """Losses since the last evaluation; none, if no time limit ended the pack before."""
        self._members = pack.members
        saved = self._processes.load(pack.checkpoint)
        if saved is None or not saved.holds(pack):
            self._build()
        else:
            self._curve = [e for e in saved.curve if e.number in self._seconds]
            for number in self._step_losses:
                self._step_losses[number] += saved.step_losses.get(number, [])
                self._clipped[number] = saved.clipped.get(number, 0)
                self._seconds[number] = saved.seconds.get(number, 0.0)
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
            stop = self._next_stop()
            losses_SxK, norm_K = self._train_to(stop)
            reached = self._optimizer.steps == stop
            validation_K = self._validate() if reached else None
            self._account(time.perf_counter() - began, losses_SxK)
            losses_SxK = torch.cat([self._since_SxK, losses_SxK])
            if validation_K is None:
                self._interrupt(losses_SxK)
            self._since_SxK = losses_SxK[:0]
            self._curve += self._evaluations(losses_SxK, validation_K, norm_K)
            self.drop([e.number for e in self._curve[-len(self._members) :] if e.diverged])
            self._save()
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
                clipped_steps=self._clipped[number],
                updates=updates.get(number),
            )
            for number, losses in self._step_losses.items()
        ]

    def _updates(self) -> dict[int, dict[str, float]]:
        """Relative updates by member; a member that diverged has none."""
        if not self._members:
            return {}
        # The initial weights are a pure function of the spec, so nobody had to keep them.
        projections, seeds = self._projections(), [member.seed for member in self._members]
        updates = relative_updates(
            self._model, lambda param: initial_weight(param, projections, seeds)
        )
        return {
            member.number: {str(role): size for role, size in of_member.items()}
            for member, of_member in zip(self._members, updates, strict=True)
        }

    def _projections(self) -> list[Projection]:
        pack = self._pack
        return [
            project(member.hyperparameters, pack.base, pack.shape, pack.parameterization)
            for member in self._members
        ]

    def _build(self) -> None:
        """Makes new models and a new optimizer for the members."""
        pack, members, projections = self._pack, self._members, self._projections()
        self._model = empty_model(pack.shape, [projection.forward for projection in projections])
        if pack.job.activation_checkpointing:
            self._model.recompute_activations()
        self._processes.place(self._model, self._device)
        if pack.compiled:
            self._model.loss = compiled_(self._model.loss)  # type: ignore[method-assign]
        init_pack_(self._model, projections, [member.seed for member in members])
        self._optimizer = PackedAdamW(
            pack_groups(self._model, projections),
            beta1_K=self._of_members([member.hyperparameters.beta1 for member in members]),
            beta2_K=self._of_members([member.hyperparameters.beta2 for member in members]),
            clip_norm=pack.training.clip_norm,
            processes=self._processes,
            compiled=pack.compiled,
        )

    def _interrupt(self, losses_SxK: Tensor) -> NoReturn:
        """Ends training at its time limit, to be resumed at this step."""
        self._since_SxK = losses_SxK
        self._save()
        raise Interrupted(
            f"{self._pack.name}: the time limit came after step {self._optimizer.steps} "
            f"of {self._pack.training.steps}"
        )

    def _save(self) -> None:
        if self._pack.checkpoint is not None:
            state = self._state()
            if self._processes.rank == 0:
                state.save(self._pack.checkpoint)

    def _state(self) -> Checkpoint:
        """The whole state; of weights and moments, the first process has all."""
        whole = self._processes.whole
        return Checkpoint(
            pack=self._pack,
            steps=self._optimizer.steps,
            numbers=[member.number for member in self._members],
            weights={name: whole(weight) for name, weight in self._model.state_dict().items()},
            moments=self._optimizer.state(),
            curve=self._curve,
            step_losses=self._step_losses if self._pack.details else {},
            clipped=self._clipped,
            seconds=self._seconds,
            since_SxK=self._since_SxK,
        )

    def _restore(self, state: Checkpoint) -> None:
        """Resumes from a state, with the members that are in training there."""
        by_number = {member.number: member for member in self._members}
        kept = [i for i, number in enumerate(state.numbers) if number in by_number]
        self._members = tuple(by_number[state.numbers[i]] for i in kept)
        if not kept:
            return
        self._build()
        self._since_SxK = state.since_SxK[:, kept].to(self._device)
        first = self._processes.rank == 0
        for name, weight in self._model.state_dict().items():
            self._processes.fill(weight, state.weights[name][kept] if first else None)
        moments = (
            [{key: moment[kept] for key, moment in group.items()} for group in state.moments]
            if first
            else None
        )
        self._optimizer.restore(moments, state.steps)

    def _next_stop(self) -> int:
        return next(s for s in self._pack.training.evaluation_steps() if s > self._optimizer.steps)

    def _train_to(self, stop: int) -> tuple[Tensor, Tensor]:
        """Losses (S, K), and the gradient norms (K,) of the last step; at a time limit, fewer.

        Nothing waits for the device before the end, if there is no time limit: losses are not
        read, and factors and batches are sent together.
        """
        steps = range(self._optimizer.steps, stop)
        factors_SxK = self._of_members([self._lr_factors(step) for step in steps])
        losses, norm_K = [], torch.empty(0)
        for batch, factor_K in zip(self._feed.batches(steps), factors_SxK, strict=True):
            if self._is_over():
                break
            loss_K = self._loss(batch)
            self._processes.backward(loss_K)
            norm_K = self._optimizer.step(factor_K)
            losses.append(loss_K.detach())
        losses_SxK = torch.stack(losses) if losses else factors_SxK[:0]
        return self._processes.total(losses_SxK), norm_K

    def _loss(self, batch: Tensor) -> Tensor:
        with autocast(self._pack.training, self._device):
            return self._processes.loss(self._model, batch)

    def _is_over(self) -> bool:
        """Whether the pack's time limit has come."""
        deadline = self._pack.job.deadline
        return deadline is not None and self._processes.agree(time.time() >= deadline)

    def _lr_factors(self, step: int) -> list[float]:
        training = self._pack.training
        warmups = [member.hyperparameters.warmup_fraction for member in self._members]
        return [lr_factor(training, warmup, step) for warmup in warmups]

    @torch.no_grad()
    def _validate(self) -> Tensor:
        validation = self._feed.validation_VxBxT1
        losses = [self._loss(batch) for batch in validation]
        return self._processes.total(torch.stack(losses).mean(0))

    def _account(self, seconds: float, losses_SxK: Tensor) -> None:
        clipped = self._optimizer.clipped_K.tolist()
        self._optimizer.clipped_K.zero_()
        rows = zip(self._members, losses_SxK.T.tolist(), clipped, strict=True)
        for member, losses, count in rows:
            self._seconds[member.number] += seconds / len(self._members)
            self._step_losses[member.number] += losses
            self._clipped[member.number] += int(count)

    def _evaluations(
        self, losses_SxK: Tensor, validation_K: Tensor, norm_K: Tensor
    ) -> list[Evaluation]:
        step, training = self._optimizer.steps, self._pack.training
        is_first = step == len(losses_SxK)
        limit = training.divergence_factor * math.log(self._pack.shape.vocab_size)
        rows = zip(
            self._members,
            losses_SxK[0].tolist(),
            losses_SxK.mean(0).tolist(),
            validation_K.tolist(),
            norm_K.tolist(),
            self._lr_factors(step - 1),
            strict=True,
        )
        return [
            Evaluation(
                number=member.number,
                step=step,
                tokens=step * training.batch_size * self._pack.shape.seq_len,
                first_loss=_finite(first) if is_first else None,
                train_loss=_finite(train),
                validation_loss=_finite(validation),
                grad_norm=_finite(norm),
                lr_factor=factor,
                seconds=self._seconds[member.number],
                bits_per_byte=self._feed.bits_per_byte(validation),
                diverged=not (train <= limit and validation <= limit),
            )
            for member, first, train, validation, norm, factor in rows
        ]

    def _of_members(self, values: Sequence[float] | Sequence[Sequence[float]]) -> Tensor:
        return torch.tensor(values, dtype=torch.float32, device=self._device)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
