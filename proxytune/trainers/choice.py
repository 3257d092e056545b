"""Which trainer an experiment's packs train by."""

from pathlib import Path

from proxytune.config.experiment import ExperimentSpec
from proxytune.packs.pack import PackSpec
from proxytune.packs.ports import PackRunner, RunnerFactory


def runner_factory(spec: ExperimentSpec, runs: Path) -> RunnerFactory:
    """What starts the packs of an experiment; `runs` is for the folders of a user's trainer."""
    if spec.trainer is None:
        return built_in
    from proxytune.trainers.command import CommandTrainer

    return CommandTrainer(
        study=spec.name,
        trainer=spec.trainer,
        data=spec.data.model_dump(mode="json"),
        gpus=spec.execution.gpus_per_pack,
        runs=runs,
    ).start


def built_in(pack: PackSpec) -> PackRunner:
    """Starts a pack of the built-in trainer."""
    # Here, where the pack trains: torch takes seconds to import, and who asks for the pack needs
    # none. A trainer of the user's own may do without it, too.
    from proxytune.training.pack import start_pack

    return start_pack(pack)
