"""The MLflow UI, really served and really opened."""

import argparse
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Locator, Page, expect, sync_playwright

PATIENCE_MS = 30_000
NO_ASSISTANT = "localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true')"
"""The UI opens a chat panel on the first visit; this says that the visit is not the first."""


def take_picture(document: str, shoot: Callable[[Path, Path, str], None]) -> None:
    """A command that calls `shoot` with the picture's file, a home and a study's name."""
    parser = argparse.ArgumentParser(description=document.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--home", type=Path, default=Path(".proxytune"))
    parser.add_argument("--study", default="quickstart")
    arguments = parser.parse_args()
    shoot(arguments.out, arguments.home, arguments.study)


@contextmanager
def opened(width: int = 1400, height: int = 850) -> Iterator[Page]:
    """A page of headless Chromium."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = chromium.new_page(viewport={"width": width, "height": height})
        page.add_init_script(NO_ASSISTANT)
        page.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        yield page
        chromium.close()


def run_link(page: Page, run: str) -> Locator:
    """The link to a run in the table of runs."""
    return page.get_by_role("gridcell").get_by_role("link", name=run, exact=True)


def search_charts(page: Page, metrics: str) -> None:
    """Leaves the charts of metrics that match a regular expression."""
    page.get_by_placeholder("Search metric charts").fill(metrics)
    page.locator(".js-plotly-plot").first.wait_for()
