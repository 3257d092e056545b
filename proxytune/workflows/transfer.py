"""A transfer: a study's best base hyperparameters projected onto a target, and checked."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from proxytune.config.load import loaded, require_scalable, told
from proxytune.config.target import TargetSpec
from proxytune.errors import InputError, Interrupted, RunError
from proxytune.files import replace
from proxytune.libraries import libraries_in_words
from proxytune.packs.fixed import PackRun
from proxytune.packs.pack import PackSpec
from proxytune.packs.phase import Phase
from proxytune.packs.ports import Executor
from proxytune.packs.selection import Selection, candidates
from proxytune.packs.watched import WatchedPacks, work_of_all
from proxytune.plan.cost import Cost
from proxytune.scaling.report import projection_report
from proxytune.scaling.runs import Runs
from proxytune.search.study import Study
from proxytune.storage.lock import only_process
from proxytune.targets.load import load_target
from proxytune.trainers.run import forget_run
from proxytune.transfer.check import (
    CheckRun,
    OnEvaluation,
    check_packs,
    check_run,
    fixed_packs,
    runs_of,
)
from proxytune.transfer.report import CheckReport, TransferReport, read_report, write_report
from proxytune.transfer.verdict import Verdict, judge
from proxytune.workflows.calibration import memory_here
from proxytune.workflows.horizon import runs_between
from proxytune.workflows.studies import find_studies, find_study
from proxytune.workflows.workspace import Workspace

if TYPE_CHECKING:
    from proxytune.records.results import ResultLog


PICTURE = "check.png"
BYTES_PER_PARAMETER = 16
"""In training: a weight, its gradient and both moments of AdamW, in float32."""


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
    the study's packs train; `on_evaluation` is called with each evaluation and what it is of:
    "proxy", "target", "target at half the rate" or "target at twice the rate". The report is also
    written to the study's transfer folder, and to MLflow.

    Raises InputError for a target or study that cannot be used, and RunError if the check was
    stopped or could not be trained; the same call resumes it.
    """
    transfer = Transfer.of(target, study, workspace)
    transfer.write_projection()
    if not check:
        return transfer.report
    with transfer.alone():
        runs = transfer.train(transfer.check_packs(), on_evaluation)
        return transfer.conclude(check_run(*runs), runs)


@dataclass(frozen=True, slots=True)
class Transfer:
    """A study and a target that go together, and the projection of one onto the other."""

    workspace: Workspace
    study: Study
    target: TargetSpec
    report: TransferReport
    """Not checked yet."""

    @classmethod
    def of(
        cls, target: TargetSpec | str | Path, study: str | None, workspace: Workspace | None
    ) -> Self:
        """Raises InputError for a target or study that cannot be used."""
        where = workspace or Workspace()
        goal = loaded(target, load_target)
        found, report = projected_study(where, goal, told(target), study)
        return cls(where, found, goal, report)

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return self.workspace.paths.transfer(self.study.name, self.target.name)

    def write_projection(self) -> None:
        """Writes the report without a check, so that whatever becomes of the check it is there.

        One of the same settings stays, with its verdict. Of others, the check's picture goes, too.
        """
        before = read_report(self.folder)
        if before is None or before.model_copy(update={"check": None}) != self.report:
            write_report(self.report, self.folder)
            (self.folder / PICTURE).unlink(missing_ok=True)

    def alone(self) -> AbstractContextManager[None]:
        """Held while a check trains and is judged. Raises InputError if another process does."""
        lock = self.workspace.paths.locks / f"check-{self.study.name}-{self.target.name}.lock"
        return only_process(lock, f"the check of {self.target.name!r}")

    def check_packs(self) -> list[PackSpec]:
        """The packs of proxy and target."""
        where, spec = self.workspace, self.study.spec
        best, place = self.report.selection.best.hyperparameters, where.paths.packs(spec.name)
        return check_packs(spec, self.target, best, where.tokens(spec), place)

    def train(self, packs: Sequence[PackSpec], on_evaluation: OnEvaluation) -> list[PackRun]:
        """Trains packs where the study's packs train; what was trained before is used.

        Raises RunError if it was stopped, or a pack was lost.
        """
        spec, tell = self.study.spec, self.workspace.on_phase
        source = fixed_packs(packs, on_evaluation, spec.largest_pack)
        if any(pack.job.processes > 1 for pack in packs):
            # Ray starts several workers, also where the study trained in one process.
            execution = spec.execution.model_copy(update={"executor": "ray"})
            spec = spec.model_copy(update={"execution": execution})
        try:
            with self.workspace.executor(spec) as executor:
                self._require_memory(executor, packs)
                executor.run(WatchedPacks(source, "check", tell, total=work_of_all(packs)))
        except KeyboardInterrupt:
            raise RunError("the check was stopped; the same command resumes it") from None
        except Interrupted as error:
            raise RunError(f"{error}; the same command resumes the check") from None
        return runs_of(source)

    def _require_memory(self, executor: Executor, packs: Sequence[PackSpec]) -> None:
        """Refuses what cannot fit into this machine's memory, whatever else is in it.

        What several workers or machines train, or a program of the user's own, may fit elsewhere.
        """
        alone = [pack for pack in packs if pack.job.workers == 1 and pack.job.gpus is None]
        if self.workspace.address is not None or self.study.spec.trainer is not None or not alone:
            return
        largest = max(alone, key=lambda pack: pack.shape.count_parameters())
        count, memory = largest.shape.count_parameters(), executor.call(memory_here)
        if count * BYTES_PER_PARAMETER > memory:
            raise InputError(
                f"the check of {self.target.name!r}: {count:.3g} parameters need at least "
                f"{count * BYTES_PER_PARAMETER / 1e9:.3g} GB to train, and there are "
                f"{memory / 1e9:.3g} GB here; give the target a smaller check_shape, or project "
                "without a check: --no-check"
            )

    def conclude(self, run: CheckRun, trained: Sequence[PackRun]) -> TransferReport:
        """Judges a check run; writes and records the report. The next check trains anew."""
        where, verdict = self.workspace, judge(run, self.target.check)
        where.on_phase(Phase("writing the report"))
        report = self.report.model_copy(update={"check": CheckReport.of(run, verdict)})
        files = write_report(report, self.folder)
        # Not before it is needed: matplotlib takes long to import.
        from proxytune.transfer.picture import draw

        picture = self.folder / PICTURE
        of_study = candidates(self.study.trials()), self.report.selection
        replace(picture, lambda new: draw(new, *of_study, run, verdict))
        files.append(picture)
        where.add_to_mlflow(lambda mlflow: _add_transfer(mlflow, report, run, verdict, files))
        # Last: until here, whoever is killed goes on with what was trained.
        for pack in (pack for one in trained for pack in (one.pack, *one.parts)):
            if pack.checkpoint is not None:
                pack.checkpoint.unlink(missing_ok=True)
            forget_run(where.paths.runs(self.study.name) / pack.name)
        return report


def projected_study(
    workspace: Workspace, target: TargetSpec, where: object, study: str | None
) -> tuple[Study, TransferReport]:
    """A complete study, and the report of its transfer, which is not checked yet.

    `study` None: the one completed last. Raises InputError as `run_transfer` does; `where` starts
    a message about the target.
    """
    found = find_study(workspace, study) if study else _latest_complete(workspace)
    selection = _selection(found)
    require_scalable(found.spec.base, target.shape, where)
    runs = runs_between(found.spec, target, workspace)
    return found, _projected(found, target, selection, runs)


def _projected(
    study: Study, target: TargetSpec, selection: Selection, runs: Runs
) -> TransferReport:
    spec = study.spec
    best = selection.best.hyperparameters
    settings = projection_report(
        best,
        spec.base,
        target.shape,
        spec.parameterization,
        proxy=spec.proxy,
        clip_norm=spec.training.clip_norm,
        not_modelled=target.not_modelled,
        runs=runs,
    )
    return TransferReport(
        **dict(settings),
        study=study.name,
        name=target.name,
        selection=selection,
        cost=Cost.of(study.flops(study.trials()).total, target),
        check=None,
    )


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
    mlflow: "ResultLog",
    report: TransferReport,
    run: CheckRun,
    verdict: Verdict,
    files: Sequence[Path],
) -> None:
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
            for name, side in run.sides().items()
        },
        tags={
            "verdict": verdict.word,
            **{c.name.replace(" ", "_"): c.reason for c in verdict.criteria},
        },
        files=files,
    )
