"""Results as HTML pages: a study's with its transfers, or that of a report's file."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from proxytune import __version__
from proxytune.comparison.report import ComparisonReport
from proxytune.config.load import validate
from proxytune.errors import InputError, masked
from proxytune.evidence.report import EvidenceReport
from proxytune.libraries import libraries_in_words
from proxytune.packs.phase import Phase
from proxytune.reports.report import Origin, PageReport
from proxytune.search.study import Study
from proxytune.transfer.report import TransferReport
from proxytune.workflows.studies import find_study, report_study
from proxytune.workflows.workspace import Workspace

if TYPE_CHECKING:
    from proxytune.reports.page import Page


@libraries_in_words()
def run_report(
    what: str | Path, workspace: Workspace | None = None, *, to: str | Path | None = None
) -> PageReport:
    """Writes a result as one HTML file, which needs no network.

    `what` is a study's name, or the JSON file of a transfer, an evidence run or a comparison. A
    string is a file if it ends in `.json` or holds a `/`. A study is only read, so it may be
    running. `to` is the file to write; None: the name of the result, in the current folder.

    Raises InputError for a study or file that cannot be used, and RunError if the page cannot be
    written.
    """
    where = workspace or Workspace()
    where.on_phase(Phase("drawing the figures"))
    if isinstance(what, Path) or "/" in what or what.endswith(".json"):
        page = _page_of_file(Path(what))
    else:
        page = page_of_study(where, find_study(where, what))
    path = Path(to) if to is not None else Path(f"{page.name}.html")
    where.on_phase(Phase("writing the page"))
    page.write(path)
    return PageReport(
        file=str(path),
        title=page.title,
        answer=page.answer,
        sections=tuple(section.title for section in page.sections),
        size=path.stat().st_size,
    )


def page_of_study(workspace: Workspace, study: Study) -> "Page":
    """A study's page, with its transfers in this home."""
    # Not before it is needed: plotly takes long to import.
    from proxytune.reports.study import study_page

    transfers, remarks = _transfers(workspace, study.name)
    report = report_study(workspace, study)
    return study_page(report, study.trials(), transfers, _origin(workspace), remarks)


def _transfers(workspace: Workspace, study: str) -> tuple[list[TransferReport], list[str]]:
    """A study's transfers by name; of each that cannot be read, a remark."""
    found, remarks = [], []
    for file in sorted(workspace.stored.transfers(study).glob("*/projection.json")):
        try:
            found.append(_transfer(_read(file), file))
        except InputError as error:
            remarks.append(f"a transfer is left out: {error}")
    return found, remarks


def _page_of_file(file: Path) -> "Page":
    """The page of a report's file, whose keys tell what it is."""
    document, footer = _read(file), Origin(str(file), None, __version__).footer
    keys = document.keys() if isinstance(document, dict) else ()
    if "evidence" in keys:
        report = validate(EvidenceReport, document, file)
        from proxytune.reports.evidence import evidence_page

        return evidence_page(report, footer)
    if "loss_difference" in keys:
        compared = validate(ComparisonReport, document, file)
        from proxytune.reports.comparison import comparison_page

        return comparison_page(compared, footer)
    if "check" in keys:
        transfer = _transfer(document, file)
        from proxytune.reports.transfer import transfer_page

        return transfer_page(transfer, footer)
    raise InputError(
        f"{file}: is no report of proxytune; give the projection.json of a transfer, the "
        "evidence.json of an evidence run, the comparison.json of two studies, or the name of a "
        "study"
    )


def _transfer(document: object, file: Path) -> TransferReport:
    """A transfer's report, also from before a selection had a point of its own."""
    if isinstance(document, dict) and isinstance(chosen := document.get("selection"), dict):
        candidates = chosen.get("candidates")
        if "point" not in chosen and isinstance(candidates, list) and candidates:
            point = candidates[0].get("hyperparameters")
            document = document | {"selection": chosen | {"point": point}}
    return validate(TransferReport, document, file)


def _read(file: Path) -> object:
    try:
        return json.loads(file.read_bytes())
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise InputError(f"{file}: is no JSON: {error}") from None


def _origin(workspace: Workspace) -> Origin:
    storage = workspace.storage
    home = str(workspace.home)
    return Origin(home, None if storage is None else masked(storage), __version__)
