"""A run that was trained elsewhere, from its metrics.jsonl."""

from pathlib import Path

from proxytune.errors import InputError
from proxytune.packs.fixed import PackRun
from proxytune.packs.pack import PackSpec
from proxytune.trainers.metrics import Metrics
from proxytune.trainers.results import details, evaluation


def recorded_run(pack: PackSpec, file: Path) -> PackRun:
    """The run of a pack of one by a complete file of metrics.

    Raises InputError for a file that cannot be read, with the number of a bad line, and for one
    that lacks an evaluation; a run that diverged may end there.
    """
    metrics = Metrics(file)
    if not file.is_file():
        raise InputError(f"{file}: no such file")
    metrics.read(ended=True)
    metrics.require_whole()
    run = PackRun(pack)
    for step in _steps(pack, metrics):
        run.hear([evaluation(pack, metrics, step, 0.0)])
    (member,) = pack.members
    last = run.evaluations(member.number)[-1].step
    run.end(pack, [details(pack, metrics, last)])
    return run


def _steps(pack: PackSpec, metrics: Metrics) -> list[int]:
    """The evaluation steps, up to the first loss that is not finite."""
    bad = min((step for step, told in metrics.steps.items() if told.diverged), default=None)
    wanted = [s for s in pack.training.evaluation_steps() if bad is None or s < bad]
    for step in wanted:
        told = metrics.steps.get(step)
        if told is None or told.validation_loss is None:
            listed = ", ".join(map(str, pack.training.evaluation_steps()))
            raise InputError(
                f"{metrics.path}: has no validation_loss of step {step}; the check evaluates "
                f"after steps {listed}, as `proxytune check settings` writes"
            )
    return wanted if bad is None else [*wanted, bad]
