"""A transfer: a study's best base hyperparameters projected onto a target, and checked."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proxytune.config.load import load_target, require_scalable
from proxytune.config.study import StudySpec
from proxytune.errors import InputError, Interrupted, RunError
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
from proxytune.transfer.report import check_document, selection_document, write_documents
from proxytune.transfer.verdict import Verdict, judge
from proxytune.workflows.studies import find_studies, find_study
from proxytune.workflows.workspace import Workspace

if TYPE_CHECKING:
    from proxytune.records.mlflow import MlflowSink


def run_transfer(
    workspace: Workspace,
    target: Path,
    name: str | None,
    check: bool,
    on_evaluation: OnEvaluation,
) -> dict[str, Any]:
    """Projects a study's best base hyperparameters onto a target, and checks that they hold.

    Returns the document that is also written to the study's transfer folder.
    """
    goal = load_target(target)
    study = find_study(workspace, name) if name else _latest_complete(workspace)
    selection = _selection(study)
    require_scalable(study.spec.base, goal.shape, target)
    spec, best, trials = study.spec, selection.best.hyperparameters, study.trials()
    document: dict[str, Any] = {
        "study": study.name,
        "name": goal.name,
        "selection": selection_document(selection),
        **projection_report(best, spec.base, goal.shape, spec.parameterization).document(),
        "cost": Cost.of(study.flops(trials).total, goal).model_dump(),
        "check": None,
    }
    folder = workspace.paths.transfer(study.name, goal.name)
    if not check:
        write_documents(document, folder)
        return document
    packs = check_packs(
        spec, goal, best, workspace.tokens(spec), workspace.paths.packs(study.name)
    )
    run = _train(workspace, spec, packs, on_evaluation)
    verdict = judge(run, goal.check)
    document["check"] = check_document(run, verdict)
    files = write_documents(document, folder)
    # Not before it is needed: matplotlib takes long to import.
    from proxytune.transfer.picture import draw

    draw(folder / "check.png", candidates(trials), selection, run, verdict)
    files.append(folder / "check.png")
    for pack in packs:
        if pack.checkpoint is not None:
            pack.checkpoint.unlink(missing_ok=True)
    workspace.add_to_mlflow(lambda mlflow: _add_transfer(mlflow, document, run, verdict, files))
    return document


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
    document: dict[str, Any],
    run: CheckRun,
    verdict: Verdict,
    files: Sequence[Path],
) -> None:
    sides = {"proxy": run.proxy, "target": run.target}
    mlflow.log_transfer(
        document["study"],
        document["name"],
        params=document["hyperparameters"],
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
