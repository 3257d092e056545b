"""The parts that Ray Tune is given: searcher, scheduler, stopper and trainable."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from proxytune.errors import Interrupted, PackLost, PackTooLarge, RunError
from proxytune.execution.ray.job import JobRunner, Needs
from proxytune.execution.ray.tokens import TokenTransfer, unpack
from proxytune.packs.losses import Losses
from proxytune.packs.pack import Evaluation, MemberDetails, PackSpec
from proxytune.packs.ports import PackRunner, PackSource, RunnerFactory, refuse

EVALUATIONS, DETAILS = "evaluations", "details"
ERROR, TOO_LARGE, LOST, STOP = "error", "too_large", "lost", "stop"
IN_CREATION = "an error raised in its creation task"
"""Ray's words for an actor that failed in its set-up."""
WATCH_SECONDS = 5.0
"""Seconds between checks that the cluster is alive."""


class Packs(Searcher):
    """Gives Tune the next pack.

    A pack that lost its worker comes again, as a new Tune trial that resumes from the checkpoint;
    at that moment nobody knows whether its node is lost too. If it loses more than `max_failures`
    workers in a row without making progress, the pack has failed.
    """

    def __init__(
        self,
        source: PackSource | None = None,
        start: RunnerFactory | None = None,
        slots: Callable[[], int] = lambda: 0,
        needs: Callable[[PackSpec], Needs] = lambda pack: {},
        max_failures: int = 0,
        token_transfer: TokenTransfer | None = None,
    ) -> None:
        super().__init__()
        self.source, self._start, self._slots, self._needs = source, start, slots, needs
        self._losses, self._token_transfer = Losses(max_failures), token_transfer
        self._live: dict[str, PackSpec] = {}
        self._again: list[PackSpec] = []
        """Packs that lost their workers, to be retried."""
        self.fault: Exception | None = None
        """The error that ends the run. If it were raised, Tune would retry the current pack."""
        self.interrupted: Interrupted | None = None
        """The time limit that a pack came to; the others come to it by themselves, and save."""
        self.stopped = False
        """Whether the user has asked to stop."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Tune pickles its searcher for restores, which are not used; leave the source out.
        return (Packs, ())

    def stop(self) -> None:
        """Ends the run; packs in training stay as they are."""
        self.stopped = True

    @property
    def unfinished(self) -> bool:
        """Whether packs are in training or waiting for a retry."""
        return bool(self._live or self._again)

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        if self.stopped or self.fault is not None:
            return Searcher.FINISHED
        if self.interrupted is not None:
            return None if self._live else Searcher.FINISHED
        pack = work = None
        with self._error_ends_run():
            # None if all slots are taken: Tune asks ahead, when samplers know less.
            pack = self._next() if len(self._live) < self._slots() else None
            work = None if pack is None else self._work(pack)
        if pack is None or work is None:
            return None if self.unfinished else Searcher.FINISHED
        self._live[trial_id] = pack
        return work

    def _work(self, pack: PackSpec) -> dict[str, Any]:
        """What a worker is told of a pack."""
        return {
            "pack": pack.model_dump_json(),
            "start": self._start,
            "needs": self._needs(pack),
            "tokens": self._token_transfer and self._token_transfer.of(pack.tokens),
        }

    def _next(self) -> PackSpec | None:
        assert self.source is not None
        return self._again.pop(0) if self._again else self.source.next_pack()

    def report(self, trial_id: str, result: Mapping[str, Any]) -> frozenset[int]:
        """Hands a result to the source; returns the members to drop."""
        assert self.source is not None
        pack = self._live[trial_id]
        evaluations = [Evaluation.model_validate(e) for e in result.get(EVALUATIONS, ())]
        self._losses.hear(pack.name, evaluations)
        drop: frozenset[int] = frozenset()
        if self.fault is None:
            with self._error_ends_run():
                drop = self.source.report(pack, evaluations)
        return drop

    def lose(self, trial_id: str, reason: str | None = None) -> None:
        """Handles a pack that lost its worker: a retry, or failure."""
        assert self.source is not None
        pack = self._live.pop(trial_id)
        if self._losses.allow_another(pack.name):
            self._again.append(pack)
        elif self.fault is None:
            with self._error_ends_run():
                self.source.fail(pack, self._losses.reason(pack.name, reason))

    def on_trial_complete(
        self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False
    ) -> None:
        if trial_id not in self._live:
            return
        if result is not None:
            # The last result only comes here.
            self.report(trial_id, result)
            if LOST in result:
                return self.lose(trial_id, result[LOST])
        if self.fault is None:
            with self._error_ends_run():
                self._end(self._live.pop(trial_id), result or {})

    def _end(self, pack: PackSpec, result: Mapping[str, Any]) -> None:
        assert self.source is not None
        reason = result.get(ERROR)
        if isinstance(result.get(STOP), Interrupted):
            self.interrupted = result[STOP]
            return
        if STOP in result:
            raise result[STOP]
        if reason is None:
            details = [MemberDetails.model_validate(d) for d in result.get(DETAILS, ())]
            self.source.finish(pack, details)
        elif TOO_LARGE in result:
            refuse(self.source, pack, reason)
        else:
            self.source.fail(pack, reason)

    @contextmanager
    def _error_ends_run(self) -> Iterator[None]:
        try:
            yield
        except Exception as fault:
            self.fault = fault


class PackScheduler(FIFOScheduler):
    """Reports every result, and sends the members to drop to the worker."""

    def __init__(self, packs: Packs | None = None) -> None:
        super().__init__()
        self._packs = packs

    def __reduce__(self) -> tuple[Any, ...]:
        return (PackScheduler, ())

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        assert self._packs is not None
        drop = self._packs.report(trial.trial_id, result)
        if drop:
            # Calls of one caller arrive in order, so this one arrives before the next step.
            trial.temporary_state.ray_actor.drop.remote(sorted(drop))
        return TrialScheduler.CONTINUE

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        assert self._packs is not None
        # Here, since the searcher is not told what happened.
        if obstacle := _setup_error(trial):
            fault = Interrupted(f"no worker can train: {obstacle}")
            self._packs.fault = self._packs.fault or fault
        else:
            self._packs.lose(trial.trial_id)


class ClusterWatch(tune.Stopper):
    """Ends the run at an error, or when the cluster is gone; Tune itself would wait for it."""

    def __init__(self, packs: Packs | None = None) -> None:
        self._packs, self._looked = packs, time.monotonic()

    def __reduce__(self) -> tuple[Any, ...]:
        return (ClusterWatch, ())

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        if self._packs is None:
            return False
        if self._packs.fault is None and time.monotonic() - self._looked > WATCH_SECONDS:
            self._looked = time.monotonic()
            if not any(node["Alive"] for node in ray.nodes()):
                self._packs.fault = Interrupted("the Ray cluster is gone")
        return self._packs.stopped or self._packs.fault is not None


def placement(work: Mapping[str, Any]) -> tune.PlacementGroupFactory:
    """What Tune keeps free for a pack; for one of several workers, Ray Train does that."""
    several = PackSpec.model_validate_json(work["pack"]).job.processes > 1
    # Tune allows no trial that needs nothing at all: a byte.
    return tune.PlacementGroupFactory([{"memory": 1} if several else work["needs"]])


class PackTrainable(tune.Trainable):
    """One pack on a worker; each step trains to the next evaluation."""

    def setup(self, config: dict[str, Any]) -> None:
        # Tune may set up a pack on two actors, so nothing is allocated before the first step.
        self._runner: PackRunner | None = None
        self._dropped: list[int] = []

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        try:
            if self._runner is None:
                self._runner = self._started()
            self._runner.drop(self._dropped)
            evaluations = self._runner.advance()
            details = self._runner.details() if self._runner.done else ()
        except PackTooLarge as error:
            # The actor takes the next pack, which needs the memory.
            self._runner = None
            return {ERROR: str(error), TOO_LARGE: True, "done": True}
        except PackLost as error:
            self._runner = None
            return {LOST: str(error), "done": True}
        except RunError as error:
            return {STOP: error, "done": True}
        except Exception as error:
            # The pack's own error, which a retry would only repeat.
            return {ERROR: f"{type(error).__name__}: {error}", "done": True}
        return {
            EVALUATIONS: [evaluation.model_dump() for evaluation in evaluations],
            DETAILS: [of_member.model_dump() for of_member in details],
            "done": self._runner.done,
        }

    def _started(self) -> PackRunner:
        start, tokens = self.config["start"], self.config["tokens"]
        pack = PackSpec.model_validate_json(self.config["pack"])
        if pack.job.processes > 1:
            return JobRunner(start, pack, self.config["needs"], tokens)
        runner: PackRunner = start(unpack(pack, tokens))
        return runner

    def drop(self, numbers: list[int]) -> None:
        """Notes the members that the next step drops; errors are reported there."""
        self._dropped += numbers

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing: packs save their own."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing: packs find their own."""


def _setup_error(trial: Trial) -> str | None:
    """Why a worker could not be set up, which is no pack's fault; None if it was lost."""
    told = Path(trial.error_file).read_text().strip()
    # Only for a lost actor, Tune also writes a pickle; it is not read here.
    lost = trial.pickled_error_file is not None and IN_CREATION not in told
    return None if lost else told.splitlines()[-1]
