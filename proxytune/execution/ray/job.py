"""A pack that several workers train together, by Ray Train (a PackRunner).

Ray Train places the workers, and makes one process group of them. In each of them the same runner
trains as in a single worker, so all that is here is what they are told and what they tell.
"""

import tempfile
import threading
from collections.abc import Collection, Sequence
from queue import Empty
from typing import Any

from ray import train
from ray.train.collective import broadcast_from_rank_zero
from ray.util.queue import Queue

from proxytune.errors import PackLost, RunError
from proxytune.execution.ray.tokens import Files, unpack
from proxytune.packs.pack import Evaluation, MemberDetails, PackSpec
from proxytune.packs.ports import RunnerFactory

LOOK_SECONDS = 1.0
"""Between looks at workers that are silent."""
NO_CPU = {"num_cpus": 0}

Needs = dict[str, float]
"""How much a worker needs of each of Ray's resources."""
Told = tuple[Sequence[Evaluation], bool, Sequence[MemberDetails]]
"""Evaluations; whether the pack is done, and then its details."""


class JobRunner:
    """A pack in training on the workers of a job."""

    def __init__(
        self, start: RunnerFactory, pack: PackSpec, needs: Needs, files: Files | None
    ) -> None:
        """`needs` are the resources of each worker; `files` the tokens, for nodes without them."""
        self._orders, self._news = Queue(actor_options=NO_CPU), Queue(actor_options=NO_CPU)
        self._dropped: list[int] = []
        self._details: Sequence[MemberDetails] = ()
        self.done = False
        """Whether no member is in training any more."""
        self._end = "its workers ended too early"
        work = {
            "start": start,
            "pack": pack.model_dump_json(),
            "files": files,
            "orders": self._orders,
            "news": self._news,
        }
        self._thread = threading.Thread(
            target=self._fit, args=(pack.job.processes, work, needs), daemon=True
        )
        self._thread.start()

    def advance(self) -> Sequence[Evaluation]:
        """Has the workers train to the next evaluation; see PackRunner."""
        self._orders.put(self._dropped)
        self._dropped = []
        told = self._next_news()
        if isinstance(told, RunError):
            self._thread.join()
            raise told
        evaluations, self.done, self._details = told
        if self.done:
            self._thread.join()
        return evaluations

    def drop(self, numbers: Collection[int]) -> None:
        """Has the workers drop members before they go on."""
        self._dropped += numbers

    def details(self) -> Sequence[MemberDetails]:
        """What the workers said of the members at their ends."""
        return self._details

    def _next_news(self) -> Told | RunError:
        while True:
            # Before the look at the news: the workers' last words come before their end.
            ended = not self._thread.is_alive()
            try:
                return self._news.get(timeout=LOOK_SECONDS)
            except Empty:
                if ended:
                    return PackLost(self._end)

    def _fit(self, processes: int, work: dict[str, Any], needs: Needs) -> None:
        # Not where no job trains: it loads torch.
        from ray.train.torch import TorchTrainer

        with tempfile.TemporaryDirectory(prefix="proxytune-train-") as scratch:
            trainer = TorchTrainer(
                train_as_worker,
                train_loop_config=work,
                scaling_config=train.ScalingConfig(
                    num_workers=processes,
                    use_gpu=needs["GPU"] > 0,
                    resources_per_worker={kind: need for kind, need in needs.items() if need},
                ),
                run_config=train.RunConfig(name="job", storage_path=scratch),
            )
            try:
                trainer.fit()
            except Exception as error:
                self._end = f"a worker was lost ({type(error).__name__})"


def train_as_worker(work: dict[str, Any]) -> None:
    """Trains as one of the workers; the first one tells."""
    first = train.get_context().get_world_rank() == 0
    try:
        pack = unpack(PackSpec.model_validate_json(work["pack"]), work["files"])
        runner, done = work["start"](pack), False
        while not done:
            runner.drop(broadcast_from_rank_zero(work["orders"].get() if first else None))
            evaluations = runner.advance()
            done = runner.done
            news = evaluations, done, runner.details() if done else ()
            if first:
                work["news"].put(news)
    except RunError as error:
        work["news"].put(error)
        # Ray Train then ends the others.
        raise
    except Exception as error:
        # It may be no more than the echo of another worker's end.
        work["news"].put(PackLost(f"{type(error).__name__}: {error}"))
        raise
