"""A complete study's outcome, as MLflow shows it."""

from proxytune.files import scratch
from proxytune.search.study import Study
from proxytune.workflows.workspace import Workspace

PAGE = "report.html"
"""The study's page, as an artifact of its run."""


def record_outcome(workspace: Workspace, study: Study) -> None:
    """Adds the outcome to the study's run in MLflow, unless it is there.

    Raises RunError if MLflow cannot be reached, or has no such study.
    """
    selection, results = study.selection, workspace.results()
    if selection is None or results.has_outcome(study.name, selection):
        return
    # Not before it is needed: plotly takes long to import.
    from proxytune.reports.note import study_note
    from proxytune.workflows.reports import page_of_study

    with scratch(workspace.paths.folder / "pages") as folder:
        page_of_study(workspace, study).write(folder / PAGE)
        results.log_outcome(
            study.name,
            selection,
            study.trials(),
            note=study_note(study.report(), selection),
            files=[folder / PAGE],
        )
