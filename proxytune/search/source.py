"""Packs of a study's trials: asks Optuna for trials and tells it their results."""

import json
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage
from optuna.trial import TrialState as OptunaState

from proxytune.config.study import StudySpec
from proxytune.packs.pack import Evaluation, Member, MemberDetails, PackSpec
from proxytune.packs.trial import TrialRecord, TrialState
from proxytune.search.auto import auto
from proxytune.search.pruners import pruner
from proxytune.search.queue import START, asked, enqueue, next_number
from proxytune.search.samplers import sampler, suggest
from proxytune.search.trials import CURVE, PACK, REASON, SEED, record_of
from proxytune.storage.open import batch


@dataclass(frozen=True, slots=True)
class Progress:
    """What just happened in a study: evaluations, trials that ended, and remarks."""

    evaluations: Sequence[Evaluation] = ()
    finished: Sequence[TrialRecord] = ()
    pack_size: int | None = None
    """The pack size, if it was just chosen."""
    too_large: int | None = None
    """Members of a pack that did not fit into memory and continues in halves."""
    remarks: Sequence[str] = ()


PACK_SIZE = "proxytune.pack_size"
"""User attribute of a study: the size of its next packs, as chosen and since lowered."""

Observer = Callable[[Progress], None]


class SearchSource:
    """Packs of a study's trials (a PackSource)."""

    def __init__(
        self,
        study: optuna.Study,
        storage: BaseStorage,
        spec: StudySpec,
        tokens: Path,
        checkpoints: Path,
        observe: Observer,
    ) -> None:
        self._study, self._spec = study, spec
        self._study.pruner = pruner(spec.search.pruner, spec.training.evaluation_steps())
        self._tokens, self._checkpoints, self._observe = tokens, checkpoints, observe
        self._storage = storage
        self._live: dict[int, optuna.Trial] = {}
        self._curves: dict[int, list[Evaluation]] = {}
        self._pruned: set[int] = set()
        self._reported: set[tuple[int, int]] = set()
        self._said_high_start = False
        size = pack_size_of(study, spec)
        assert size is not None, "the pack size has not been chosen"
        self._pack_size = size
        self._waiting = self._packs_left_running()
        enqueue(study, [*spec.search.start, *study.user_attrs.get(START, ())])
        self._asked = asked(study)

    def next_pack(self) -> PackSpec | None:
        """First packs that were left in training or split, then packs of new trials."""
        if self._waiting:
            return self._waiting.pop(0)
        size = min(self._pack_size, self._spec.search.trials - self._asked)
        return self._ask(size) if size > 0 else None

    def report(self, pack: PackSpec, evaluations: Sequence[Evaluation]) -> frozenset[int]:
        """Tells Optuna all members' evaluations before it decides about any of them."""
        news = [e for e in evaluations if self._is_new(e)]
        with batch(self._storage):
            for evaluation in news:
                self._curves.setdefault(evaluation.number, []).append(evaluation)
                self._report(evaluation)
            ended = {e.number: state for e in news if (state := self._judge(pack, e)) is not None}
            finished = [self._tell(number, state) for number, state in ended.items()]
        self._pruned |= {n for n, state in ended.items() if state is TrialState.PRUNED}
        self._observe(Progress(news, finished, remarks=self._high_starts(news)))
        # A restored pack may hold members that were dropped after its checkpoint.
        return frozenset(self._pruned & {e.number for e in evaluations})

    def _high_starts(self, news: Sequence[Evaluation]) -> Sequence[str]:
        """Once in a run: that a model starts above the loss of a guess, with what to look at."""
        vocab_size = self._spec.proxy.vocab_size
        high = [e for e in news if e.starts_high(vocab_size)]
        if not high or self._said_high_start:
            return ()
        self._said_high_start = True
        return (
            f"trial {high[0].number} starts at a loss of {high[0].first_loss:.1f}, far above the "
            f"{math.log(vocab_size):.1f} of a uniform guess: its logits are too large; lower "
            "output_multiplier, or unembedding_init_std (embedding_init_std if the proxy is tied)",
        )

    def finish(self, pack: PackSpec, details: Sequence[MemberDetails]) -> None:
        """Removes the pack's checkpoint."""
        self._checkpoint(pack.name).unlink(missing_ok=True)

    def fail(self, pack: PackSpec, reason: str) -> None:
        """Tells Optuna that the members without a result have failed, with the reason."""
        self._checkpoint(pack.name).unlink(missing_ok=True)
        lost = [m.number for m in pack.members if m.number in self._live]
        with batch(self._storage):
            failed = [self._tell(number, TrialState.FAILED, reason) for number in lost]
        self._observe(Progress(finished=failed))

    def too_large(self, pack: PackSpec) -> None:
        """Halves the pack, and the size of later packs.

        A study that is killed anywhere in here can resume: each trial names its pack.
        """
        smaller = -(-len(pack.members) // 2)
        self._pack_size = min(self._pack_size, smaller)
        self._study.set_user_attr(PACK_SIZE, self._pack_size)
        living = tuple(member for member in pack.members if member.number in self._live)
        for half in pack.part(pack.name, living).halves():
            _hand_on(self._checkpoint(pack.name), self._checkpoint(half.name))
            for member in half.members:
                self._live[member.number].set_user_attr(PACK, half.name)
            self._waiting.append(half)
        self._checkpoint(pack.name).unlink(missing_ok=True)
        self._observe(Progress(too_large=len(pack.members)))

    @property
    def exhausted(self) -> bool:
        """Whether all trials have been asked for."""
        return not self._waiting and self._asked >= self._spec.search.trials

    def _ask(self, size: int) -> PackSpec:
        name = f"pack-{self._asked:05d}"
        # An existing file is left from a deleted study of the same name.
        self._checkpoint(name).unlink(missing_ok=True)
        trials = []
        with batch(self._storage):
            for _ in range(size):
                self._study.sampler = self._sampler(next_number(self._study))
                trials.append(self._enter(self._study.ask(), name))
                self._asked += 1
        return self._pack(name, trials)

    def _enter(self, trial: optuna.Trial, pack: str) -> optuna.Trial:
        """Gives a trial its parameters, then its pack: a trial with a pack is complete."""
        suggest(trial, self._spec.search)
        trial.set_user_attr(SEED, self._spec.seed)
        trial.set_user_attr(PACK, pack)
        return trial

    def _packs_left_running(self) -> list[PackSpec]:
        """Packs of the trials that are still running in storage, under their old names."""
        by_pack: dict[str, list[optuna.Trial]] = {}
        for stored in self._study.get_trials(deepcopy=False, states=(OptunaState.RUNNING,)):
            self._reported |= {(stored.number, step) for step in stored.intermediate_values}
            # Optuna says users should not construct this, but nothing else resumes a trial.
            self._study.sampler = self._sampler(stored.number)
            trial = optuna.Trial(self._study, stored._trial_id)
            if PACK not in stored.user_attrs:
                self._enter(trial, f"pack-{stored.number:05d}-left")
            by_pack.setdefault(trial.user_attrs[PACK], []).append(trial)
        return [self._pack(name, trials) for name, trials in by_pack.items()]

    def _sampler(self, number: int) -> BaseSampler:
        kind = self._spec.search.sampler
        chosen = auto(self._study) if kind == "auto" else kind
        return sampler(chosen, self._spec.seed, number, self._spec.search)

    def _pack(self, name: str, trials: Sequence[optuna.Trial]) -> PackSpec:
        self._live |= {trial.number: trial for trial in trials}
        members = [
            Member(
                number=trial.number,
                seed=trial.user_attrs[SEED],
                hyperparameters=self._spec.hyperparameters_of(trial.params),
            )
            for trial in trials
        ]
        return PackSpec.of_experiment(
            self._spec,
            name,
            members,
            parameterization=self._spec.parameterization,
            tokens=self._tokens,
            seed=self._spec.seed,
            checkpoint=self._checkpoint(name),
        )

    def _checkpoint(self, pack: str) -> Path:
        return self._checkpoints / f"{pack}.pt"

    def _is_new(self, evaluation: Evaluation) -> bool:
        """False for what a pack repeats after it resumes from its checkpoint."""
        seen = self._curves.get(evaluation.number, ())
        return evaluation.number in self._live and all(e.step != evaluation.step for e in seen)

    def _report(self, evaluation: Evaluation) -> None:
        """Tells Optuna a loss, unless an earlier process did."""
        number, step, loss = evaluation.number, evaluation.step, evaluation.validation_loss
        if loss is not None and (number, step) not in self._reported:
            self._live[number].report(loss, step)

    def _judge(self, pack: PackSpec, evaluation: Evaluation) -> TrialState | None:
        """The state in which this evaluation ends its trial; None if it does not."""
        if evaluation.diverged:
            return TrialState.DIVERGED
        if evaluation.step == pack.training.steps:
            return TrialState.COMPLETE
        prune = self._live[evaluation.number].should_prune()
        return TrialState.PRUNED if prune else None

    def _tell(self, number: int, state: TrialState, reason: str | None = None) -> TrialRecord:
        """Ends a trial. Its curve is stored first, so that the storage has everything."""
        trial, curve = self._live.pop(number), self._curves.pop(number, [])
        trial.set_user_attr(CURVE, json.dumps([e.model_dump() for e in curve]))
        if reason is not None:
            trial.set_user_attr(REASON, reason)
        if state is TrialState.COMPLETE:
            told = self._study.tell(trial, curve[-1].validation_loss)
        elif state is TrialState.DIVERGED:
            # An infinite loss, so that the sampler learns from it.
            told = self._study.tell(trial, float("inf"))
        elif state is TrialState.PRUNED:
            told = self._study.tell(trial, state=OptunaState.PRUNED)
        else:
            told = self._study.tell(trial, state=OptunaState.FAIL)
        return record_of(told, self._spec)


def pack_size_of(study: optuna.Study, spec: StudySpec) -> int | None:
    """The size of a study's next packs; None if it is `auto` and not chosen yet."""
    if spec.largest_pack is not None:
        return spec.largest_pack
    asked = spec.search.pack_size
    return study.user_attrs.get(PACK_SIZE, None if asked == "auto" else asked)


def _hand_on(checkpoint: Path, to: Path) -> None:
    """Gives a half the checkpoint of the pack it came from, if there is one."""
    to.unlink(missing_ok=True)
    if checkpoint.exists():
        os.link(checkpoint, to)
