"""Studies grow and are compared: more trials, a wider space, points to try, two side by side."""

from collections.abc import Mapping
from pathlib import Path

from proxytune.comparison.report import Compared, ComparisonReport, comparison
from proxytune.config.load import read_text, validate
from proxytune.config.search import Point, SearchSpec, SpaceEntry
from proxytune.config.written import parse_yaml
from proxytune.files import replace, write_json
from proxytune.libraries import libraries_in_words
from proxytune.search.report import StudyReport
from proxytune.workflows.studies import find_study, report_study
from proxytune.workflows.workspace import Workspace


@libraries_in_words()
def extend_study(
    study: str,
    trials: int,
    workspace: Workspace | None = None,
    *,
    space: Mapping[str, object] | str | Path | None = None,
) -> StudyReport:
    """Gives a study so many trials more, and if wished a wider space; `run_study` trains them.

    `space` has the fields of `search.space` in a study.yaml, or is a YAML file of them: the same
    hyperparameters, each in a range that holds its old one. A study that was complete is
    unfinished then, and will be selected anew.

    Raises InputError for a space that is not wider, and for a study that another process runs.
    """
    where = workspace or Workspace()
    wider = None if space is None else _space_of(space)
    with find_study(where, study).lease() as lease:
        found = find_study(where, study)
        lease.require()
        found.extend(trials, wider)
        return report_study(where, found)


@libraries_in_words()
def enqueue_points(
    study: str, points: Point | list[Point], workspace: Workspace | None = None
) -> StudyReport:
    """Has a study try points next, before what its sampler suggests; `run_study` trains them.

    What a point leaves out, the sampler suggests. Points take the place of suggestions; where all
    trials have been asked for, the study gets as many more. A point that waits or was tried is
    not added again.

    Raises InputError for a point outside of the space, and for a study that another process runs.
    """
    where = workspace or Workspace()
    given = points if isinstance(points, list) else [points]
    with find_study(where, study).lease() as lease:
        found = find_study(where, study)
        lease.require()
        found.enqueue(given)
        return report_study(where, found)


@libraries_in_words()
def compare_studies(
    one: str, other: str, workspace: Workspace | None = None, *, to: str | Path | None = None
) -> ComparisonReport:
    """Two studies side by side: definitions, costs, chosen points, and which loss is lower.

    Writes the report as JSON, and a picture, into the folder `to`; None: a folder in the home.
    """
    where = workspace or Workspace()
    studies = [find_study(where, name) for name in (one, other)]
    sides = [Compared(report_study(where, study), study.trials()) for study in studies]
    report = comparison(*sides)
    folder = Path(to) if to else where.paths.comparison(one, other)
    write_json(folder / "comparison.json", report.document())
    # Not before it is needed: matplotlib takes long to import.
    from proxytune.comparison.picture import draw

    replace(folder / "comparison.png", lambda new: draw(new, report, sides))
    return report


def _space_of(given: Mapping[str, object] | str | Path) -> Mapping[str, SpaceEntry]:
    if isinstance(given, (str, Path)):
        path = Path(given)
        return validate(SearchSpec, {"space": parse_yaml(read_text(path), path)}, path).space
    return validate(SearchSpec, {"space": given}, "extend_study").space
