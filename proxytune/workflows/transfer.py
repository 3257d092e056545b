"""A transfer: a study's best base hyperparameters projected onto a target, and checked."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from proxytune.config.load import load_target, loaded, require_scalable, told
from proxytune.config.study import StudySpec
from proxytune.config.target import TargetSpec
from proxytune.errors import InputError, Interrupted, RunError
from proxytune.libraries import libraries_in_words
from proxytune.packs.pack import PackSpec
from proxytune.packs.selection import Selection, candidates
from proxytune.plan.cost import Cost
from proxytune.scaling.report import projection_report
from proxytune.search.study import Study
from proxytune.transfer.check import (
    CheckRun,
    OnEvaluation,
    check_packs,
    check_run,
    fixed_packs,
)
from proxytune.transfer.report import CheckReport, TransferReport, write_report
from proxytune.transfer.verdict import Verdict, judge
from proxytune.workflows.studies import find_studies, find_study
from proxytune.workflows.workspace import Workspace

if TYPE_CHECKING:
    from proxytune.records.mlflow import MlflowSink


@libraries_in_words()
def run_transfer(
    target: TargetSpec | str | Path,
    study: str | None = None,
    workspace: Workspace | None = None,
    *,
    check: bool = True,
    on_evaluation: OnEvaluation = lambda side, evaluation: None,
) -> TransferReport:
    """Projects a study's best base hyperparameters onto a target, and checks that they hold.

    `study` is the name of a complete study; None: the one completed last. The check trains where
    the study's packs train; `on_evaluation` is called with "proxy" or "target" and each of its
    evaluations. The report is also written to the study's transfer folder, and to MLflow.

    Raises InputError for a target or study that cannot be used, and RunError if the check was
    stopped or could not be trained; the same call resumes it.
    """
    where = workspace or Workspace()
    goal = loaded(target, load_target)
    found = find_study(where, study) if study else _latest_complete(where)
    selection = _selection(found)
    require_scalable(found.spec.base, goal.shape, told(target))
    trials = found.trials()
    report = _projected(found, goal, Cost.of(found.flops(trials).total, goal))
    folder = where.paths.transfer(found.name, goal.name)
    if not check:
        write_report(report, folder)
        return report
    best, checkpoints = selection.best.hyperparameters, where.paths.packs(found.name)
    packs = check_packs(found.spec, goal, best, where.tokens(found.spec), checkpoints)
    run = _train(where, found.spec, packs, on_evaluation)
    verdict = judge(run, goal.check)
    report = report.model_copy(update={"check": CheckReport.of(run, verdict)})
    files = write_report(report, folder)
    # Not before it is needed: matplotlib takes long to import.
    from proxytune.transfer.picture import draw

    draw(folder / "check.png", candidates(trials), selection, run, verdict)
    files.append(folder / "check.png")
    for pack in packs:
        if pack.checkpoint is not None:
            pack.checkpoint.unlink(missing_ok=True)
    where.add_to_mlflow(lambda mlflow: _add_transfer(mlflow, report, run, verdict, files))
    return report


def _projected(study: Study, target: TargetSpec, cost: Cost) -> TransferReport:
    """The report of a transfer that is not checked yet."""
    spec, selection = study.spec, _selection(study)
    best = selection.best.hyperparameters
    settings = projection_report(best, spec.base, target.shape, spec.parameterization)
    return TransferReport(
        **dict(settings),
        study=study.name,
        name=target.name,
        selection=selection,
        cost=cost,
        check=None,
    )


def _train(
    workspace: Workspace, spec: StudySpec, packs: Sequence[PackSpec], on_evaluation: OnEvaluation
) -> CheckRun:
    """The check run, trained where the study's packs train; what was trained before is used.

    Raises RunError if it was stopped, or a pack of it was lost.
    """
    source = fixed_packs(packs, on_evaluation)
    try:
        with workspace.executor(spec) as executor:
            executor.run(source)
    except KeyboardInterrupt:
        raise RunError("the check was stopped; the same command resumes it") from None
    except Interrupted as error:
        raise RunError(f"{error}; the same command resumes the check") from None
    return check_run(source)


def _selection(study: Study) -> Selection:
    if study.selection is None:
        raise InputError.of_field(
            "study",
            study.name,
            f"is not complete; finish it with: proxytune study run {study.name}",
        )
    return study.selection


def _latest_complete(workspace: Workspace) -> Study:
    complete = [(s.completed, s) for s in find_studies(workspace) if s.completed is not None]
    if not complete:
        raise InputError(
            f"{workspace.home}: holds no complete study to transfer from; "
            "make one with: proxytune study create STUDY.yaml"
        )
    return max(complete, key=lambda pair: pair[0])[1]


def _add_transfer(
    mlflow: "MlflowSink",
    report: TransferReport,
    run: CheckRun,
    verdict: Verdict,
    files: Sequence[Path],
) -> None:
    sides = {"proxy": run.proxy, "target": run.target}
    mlflow.log_transfer(
        report.study,
        report.name,
        params=report.hyperparameters.model_dump(),
        metrics={
            f"{criterion.name}.{name}".replace(" ", "_"): value
            for criterion in verdict.criteria
            for name, value in criterion.numbers.items()
        },
        curves={
            f"{name}.validation_loss": [
                (e.step, e.validation_loss)
                for e in side.evaluations
                if e.validation_loss is not None
            ]
            for name, side in sides.items()
        },
        tags={
            "verdict": verdict.word,
            **{c.name.replace(" ", "_"): c.reason for c in verdict.criteria},
        },
        files=files,
    )
