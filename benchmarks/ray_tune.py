"""The alternative to packs: Ray Tune with OptunaSearch, a process per trial, the plain model."""

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proxytune.config.search import Choices
from proxytune.config.study import StudySpec
from proxytune.execution.ray.quiet import hush
from proxytune.packs.pack import Member, PackSpec


@dataclass(frozen=True)
class Outcome:
    """A trial that has ended."""

    params: dict[str, Any]
    loss: float
    ended: float
    """Seconds since 1970."""


def pack_of_one(spec: StudySpec, tokens: Path, params: dict[str, Any], threads: int) -> PackSpec:
    """A trial as the plain trainer takes it."""
    member = Member(number=0, seed=spec.seed, hyperparameters=spec.hyperparameters_of(params))
    return PackSpec(
        name="plain",
        shape=spec.proxy,
        base=spec.base,
        parameterization=spec.parameterization,
        training=spec.training,
        data_seed=spec.seed,
        tokens=tokens,
        members=(member,),
        threads=threads,
    )


def ray_tune(
    spec: StudySpec, tokens: Path, trials: int, reuse: bool, share: float = 1.0, **search: Any
) -> list[Outcome]:
    """All trials, in the order in which they ended; `search` goes to OptunaSearch.

    A trial takes a core and, where there is a GPU, that share of it.
    """
    hush()
    import ray
    from optuna.distributions import CategoricalDistribution, FloatDistribution
    from ray import tune
    from ray.tune.search.optuna import OptunaSearch

    folder = str(Path(__file__).parent)

    class Trial(tune.Trainable):  # type: ignore[misc]
        """A step goes to the next evaluation, as in a pack."""

        def setup(self, config: dict[str, Any]) -> None:
            sys.path.insert(0, folder)
            from plain import PlainTrainer

            trial = pack_of_one(spec, tokens, config, threads=1)
            self._trainer = PlainTrainer(trial)
            self._stops = list(trial.training.evaluation_steps())

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self.setup(new_config)
            return True

        def step(self) -> dict[str, Any]:
            self._trainer.train_to(self._stops.pop(0))
            return {"loss": self._trainer.validate(), "done": not self._stops}

        def save_checkpoint(self, checkpoint_dir: str) -> None:
            pass

        def load_checkpoint(self, checkpoint: Any) -> None:
            pass

    space = {
        name: CategoricalDistribution(entry.choices)
        if isinstance(entry, Choices)
        else FloatDistribution(entry.low, entry.high, log=entry.log)
        for name, entry in spec.search.space.items()
    }
    ray.init(
        address="local", include_dashboard=False, log_to_driver=False, logging_level="critical"
    )
    gpus = share if ray.cluster_resources().get("GPU") else 0.0
    with tempfile.TemporaryDirectory() as scratch:
        tuner = tune.Tuner(
            tune.with_resources(Trial, {"cpu": 1, "gpu": gpus}),
            tune_config=tune.TuneConfig(
                search_alg=OptunaSearch(space, metric="loss", mode="min", **search),
                num_samples=trials,
                reuse_actors=reuse,
            ),
            run_config=tune.RunConfig(storage_path=scratch, verbose=0),
        )
        results = tuner.fit()
    ray.shutdown()
    outcomes = [Outcome(r.config, r.metrics["loss"], r.metrics["timestamp"]) for r in results]
    return sorted(outcomes, key=lambda outcome: outcome.ended)
