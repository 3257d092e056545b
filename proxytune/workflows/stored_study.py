"""A study of a workspace, to be looked into from Python."""

from typing import TYPE_CHECKING

from proxytune.config.study import StudySpec
from proxytune.packs.selection import Selection
from proxytune.packs.trial import TrialRecord, best_of
from proxytune.search.report import StudyReport
from proxytune.workflows.studies import find_study, report_study
from proxytune.workflows.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow as pa
    from plotly.graph_objects import Figure


class StoredStudy:
    """A study as Optuna's storage has it; each look reads what is there by now."""

    def __init__(self, workspace: Workspace, name: str) -> None:
        """Raises InputError if there is no study of that name."""
        self._workspace = workspace
        self._study = find_study(workspace, name)

    @property
    def spec(self) -> StudySpec:
        """What was asked for, with every default."""
        return self._study.spec

    @property
    def best(self) -> TrialRecord | None:
        """The trial of the lowest validation loss, with its curve; None where none has a loss.

        Of many trials, the lowest loss is partly luck: `selection` is what a transfer goes by.
        """
        return best_of(self._study.trials())

    @property
    def selection(self) -> Selection | None:
        """The best trial, confirmed on fresh seeds; None while the study is not complete."""
        return self._study.selection

    def trials(self) -> "pa.Table":
        """Its finished trials by number, one row per trial.

        The columns are those of the Parquet data set `trials`, with their units as metadata.
        """
        from proxytune.records.parquet import trials_table

        study = self._study
        return trials_table(study.records(sorted(study.finished())), study.spec)

    def figures(self) -> "dict[str, Figure]":
        """Its figures by name, as plotly's: those of the page that `proxytune report` writes.

        losses, history, slices, contour, importance, parallel, curves; one of which nothing can
        be drawn yet is left out.
        """
        from proxytune.reports.figures import study_figures

        return study_figures(self.spec, self._study.trials(), self.selection)

    def report(self) -> StudyReport:
        """All that is known of it, without curves: what `proxytune study show` prints."""
        return report_study(self._workspace, self._study)
