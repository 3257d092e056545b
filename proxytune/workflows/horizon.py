"""From a study's runs to the target's: the lengths of both, and the power that was measured."""

from pydantic import ValidationError

from proxytune.config.horizon import RunLength
from proxytune.config.study import StudySpec
from proxytune.config.target import TargetSpec
from proxytune.errors import InputError
from proxytune.evidence.power import fitted_power
from proxytune.evidence.report import EvidenceReport
from proxytune.scaling.horizon import FittedPower
from proxytune.scaling.runs import Runs
from proxytune.workflows.workspace import Workspace


def runs_between(study: StudySpec, target: TargetSpec, workspace: Workspace) -> Runs:
    """The study's run, the target's, and the rules between them.

    Raises InputError where a power is to be fitted and the evidence for it does not serve.
    """
    name = target.horizon.fitted if target.horizon else None
    return Runs(
        proxy=RunLength.of_training(study.training, study.proxy.seq_len),
        target=target.run,
        spec=target.horizon,
        fitted=_measured(name, study, workspace) if name else None,
    )


def _measured(name: str, study: StudySpec, workspace: Workspace) -> FittedPower:
    """The power that the evidence run of this name found."""
    file = workspace.stored.evidence(name) / "evidence.json"
    try:
        report = EvidenceReport.model_validate_json(file.read_bytes())
    except (OSError, ValidationError):
        raise InputError.of_field(
            "horizon.fitted",
            name,
            f"{file.parent} holds no evidence; run it: proxytune evidence run {name}.yaml",
        ) from None
    return fitted_power(report, study.parameterization)
