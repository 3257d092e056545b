"""Studies and transfers: the main job, from a study's file to a verdict on its target."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from proxytune.config.load import load_study, load_target, require_scalable
from proxytune.errors import InputError, Interrupted, RunError
from proxytune.plan.cost import cost_document
from proxytune.records.mlflow import MlflowSink
from proxytune.records.parquet import export_table, read_trials
from proxytune.records.recorder import Delivery
from proxytune.records.ui import serve
from proxytune.scaling.table import projection_document
from proxytune.search.source import Observer
from proxytune.search.study import Study, delete_study, study_names
from proxytune.transfer.check import CheckRun, OnEvaluation, run_check
from proxytune.transfer.picture import draw
from proxytune.transfer.report import check_document, selection_document, write_documents
from proxytune.transfer.selection import Selection
from proxytune.transfer.verdict import Verdict, judge
from proxytune.workflows.study_run import StudyRun, candidates
from proxytune.workflows.workspace import Workspace, cores


class Project(Workspace):
    """Studies and transfers."""

    def create(self, path: Path) -> Study:
        """Defines the study of a file, having looked at its corpus."""
        spec = load_study(path)
        if spec.name in study_names(self.optuna):
            return Study.create(self.optuna, spec)
        try:
            self.tokens(spec)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        return Study.create(self.opened_optuna, spec)

    def study(self, name: str) -> Study:
        """The study of that name."""
        return Study(self.optuna, name)

    def studies(self) -> list[Study]:
        """All studies that this program reads, by name; of each other one, a remark."""
        readable = []
        for name in study_names(self.optuna):
            try:
                readable.append(self.study(name))
            except InputError as error:
                self.remark(str(error))
        return readable

    def run(self, name: str, observe: Observer) -> Study:
        """Runs a study, or goes on with it, until its best trial is confirmed."""
        study = self.study(name)
        with study.lease() as lease:
            try:
                StudyRun(self, study, lease, observe).finish()
            except KeyboardInterrupt:
                done = sum(trial.state.finished for trial in study.trials())
                raise RunError(
                    f"stopped with {done} of {study.spec.search.trials} trials finished; "
                    f"go on with: proxytune study run {name}"
                ) from None
            except Interrupted as error:
                raise RunError(f"{error}; go on with: proxytune study run {name}") from None
        return study

    def sync(self, name: str) -> list[Delivery]:
        """Gives every sink the trials that it lacks; what it has of others stays.

        Raises RunError for the first sink that fails.
        """
        study = self.study(name)
        with study.lease():
            finished = study.finished()
            deliveries = [Delivery(s, study.spec, finished, study.records) for s in self.sinks()]
            for delivery in deliveries:
                while delivery.advance():
                    pass
                delivery.sink.close(complete=study.completed is not None)
        return deliveries

    def export(self, name: str, path: Path) -> None:
        """Writes a study's trials to a file, in the format that its ending names."""
        self.study(name)
        export_table(read_trials(self.paths.parquet, name), path)

    def delete(self, name: str) -> None:
        """Removes a study from every store."""
        with self.study(name).lease():
            for sink in self.sinks():
                sink.delete(name)
            delete_study(self.optuna, name)
            shutil.rmtree(self.paths.packs(name), ignore_errors=True)

    def transfer(
        self, target: Path, name: str | None, check: bool, on_evaluation: OnEvaluation
    ) -> dict[str, Any]:
        """Projects a study's best base hyperparameters onto a target, and checks that they hold.

        Returns the document that is also written to the study's transfer folder.
        """
        goal = load_target(target)
        study = self.study(name) if name else self._latest_complete()
        selection = self._selection(study)
        require_scalable(study.spec.base, goal.shape, target)
        spec, best, trials = study.spec, selection.best.hyperparameters, study.trials()
        document: dict[str, Any] = {
            "study": study.name,
            "name": goal.name,
            "selection": selection_document(selection),
            **projection_document(best, spec.base, goal.shape, spec.parameterization),
            "cost": cost_document(sum(study.flops(trials).values()), goal),
            "check": None,
        }
        folder = self.paths.transfer(study.name, goal.name)
        if not check:
            write_documents(document, folder)
            return document
        run = run_check(spec, goal, best, self.tokens(spec), cores(), on_evaluation)
        verdict = judge(run, goal.check)
        document["check"] = check_document(run, verdict)
        files = write_documents(document, folder)
        draw(folder / "check.png", candidates(trials), selection, run, verdict)
        files.append(folder / "check.png")
        self.add_to_mlflow(lambda mlflow: _add_transfer(mlflow, document, run, verdict, files))
        return document

    def transfer_folder(self, document: dict[str, Any]) -> Path:
        """Where the files of a transfer are."""
        return self.paths.transfer(document["study"], document["name"])

    def serve_ui(self, port: int) -> int:
        """Serves the MLflow UI until it is stopped; returns its exit code."""
        return serve(self.mlflow_uri, port)

    def _selection(self, study: Study) -> Selection:
        if study.selection is None:
            raise InputError.of_field(
                "study",
                study.name,
                f"is not complete; finish it with: proxytune study run {study.name}",
            )
        return Selection.model_validate(study.selection)

    def _latest_complete(self) -> Study:
        complete = [(s.completed, s) for s in self.studies() if s.completed is not None]
        if not complete:
            raise InputError(
                f"{self.home}: holds no complete study to transfer from; "
                "make one with: proxytune study create STUDY.yaml"
            )
        return max(complete, key=lambda pair: pair[0])[1]


def _add_transfer(
    mlflow: MlflowSink,
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
