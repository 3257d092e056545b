"""Makes the picture of a study in the MLflow UI.

python -m tests.records.screenshot OUT.png --home .proxytune --study quickstart
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from proxytune.home import Home
from tests.records.browser import go_to_runs, opened, run_link, show_charts
from tests.servers import serving

CHARTS = "loss|grad_norm"
SETTLE_MS = 3000
"""Charts are drawn in an animation."""


def shoot(out: Path, home: Path, study: str) -> None:
    """The study's runs below their parent, and beside them what became of their losses."""
    store = Home(home.absolute()).mlflow_uri
    with (
        TemporaryDirectory() as folder,
        serving(store, Path(folder)) as address,
        opened(1680, 1020) as page,
    ):
        go_to_runs(page, address, study)
        run_link(page, study).wait_for()
        page.goto(f"{page.url}&compareRunsMode=CHART")
        page.get_by_test_id("experiment-view-runs-visibility-column-header").click()
        page.get_by_text("Show all runs").click()
        show_charts(page, CHARTS)
        page.wait_for_timeout(SETTLE_MS)
        page.screenshot(path=out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--home", type=Path, default=Path(".proxytune"))
    parser.add_argument("--study", default="quickstart")
    arguments = parser.parse_args()
    shoot(arguments.out, arguments.home, arguments.study)
