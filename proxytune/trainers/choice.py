"""Which trainer an experiment's packs train by."""

from pathlib import Path

from proxytune.config.experiment import ExperimentSpec
from proxytune.packs.ports import RunnerFactory


def runner_factory(spec: ExperimentSpec, runs: Path) -> RunnerFactory:
    """What starts the packs of an experiment; `runs` is for the folders of a user's trainer."""
    if spec.trainer is None:
        # Not before it is needed: it loads torch, which a trainer of the user's own may not have.
        from proxytune.training.pack import start_pack

        return start_pack
    from proxytune.trainers.command import CommandTrainer

    return CommandTrainer(
        study=spec.name,
        trainer=spec.trainer,
        data=spec.data.model_dump(mode="json"),
        gpus=spec.execution.gpus_per_pack,
        runs=runs,
    ).start
