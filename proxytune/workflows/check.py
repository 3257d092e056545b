"""A check run that is trained elsewhere: its settings, and the verdict on what it reported."""

from pathlib import Path

from proxytune.config.target import TargetSpec
from proxytune.files import write_json
from proxytune.libraries import libraries_in_words
from proxytune.trainers.recorded import recorded_run
from proxytune.trainers.settings import TrainerSettings, trainer_settings
from proxytune.transfer.check import OnEvaluation, check_run, without_bracket
from proxytune.transfer.report import TransferReport
from proxytune.workflows.transfer import Transfer
from proxytune.workflows.workspace import Workspace


@libraries_in_words()
def write_check_settings(
    study: str,
    target: TargetSpec | str | Path,
    file: Path,
    workspace: Workspace | None = None,
) -> TrainerSettings:
    """Writes the settings.json of a target's check run, for a trainer that runs elsewhere.

    Raises InputError for a target or study that cannot be used.
    """
    transfer = Transfer.of(target, study, workspace)
    _, pack = transfer.check_packs()
    alone = without_bracket(pack)
    settings = trainer_settings(alone, study, transfer.study.spec.data.model_dump(mode="json"))
    write_json(file, settings.model_dump(mode="json"))
    return settings


@libraries_in_words()
def record_check(
    study: str,
    target: TargetSpec | str | Path,
    metrics: str | Path,
    workspace: Workspace | None = None,
    *,
    on_evaluation: OnEvaluation = lambda side, evaluation: None,
) -> TransferReport:
    """Judges a target's check run by the metrics.jsonl that it wrote elsewhere.

    The proxy's run, which it is compared with, trains where the study's packs train. The report is
    written as that of a transfer is. Raises InputError for a target, study or file that cannot be
    used, and RunError if the proxy could not be trained; the same call resumes it.
    """
    transfer = Transfer.of(target, study, workspace)
    proxy, pack = transfer.check_packs()
    run = recorded_run(without_bracket(pack), Path(metrics))
    with transfer.alone():
        (trained,) = transfer.train([proxy], on_evaluation)
        return transfer.conclude(check_run(trained, run), [trained])
