"""Makes the picture of a page, as far down as its first figure and the next.

python -m tests.reports.screenshot OUT.png --home .proxytune --study quickstart
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from proxytune.workflows.reports import run_report
from proxytune.workflows.workspace import Workspace
from tests.records.browser import opened, take_picture

SETTLE_MS = 1000


def shoot(out: Path, home: Path, study: str) -> None:
    """The top of a study's page."""
    with TemporaryDirectory() as folder, opened(1100, 1130) as page:
        file = Path(folder) / "page.html"
        run_report(study, Workspace(home), to=file)
        page.goto(file.as_uri())
        page.locator(".js-plotly-plot .main-svg").first.wait_for()
        page.wait_for_timeout(SETTLE_MS)
        page.screenshot(path=out)


if __name__ == "__main__":
    take_picture(__doc__, shoot)
