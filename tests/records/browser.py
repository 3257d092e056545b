"""The MLflow UI, really served and really opened."""

import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Locator, Page, expect, sync_playwright

from proxytune.records.ui import HOST

SERVE = "import sys; from proxytune.records.ui import serve; sys.exit(serve(sys.argv[1], {port}))"
PATIENCE_MS = 30_000
NO_ASSISTANT = "localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true')"
"""The UI opens a chat panel on the first visit; this says that the visit is not the first."""


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(tracking_uri: str, folder: Path) -> Iterator[str]:
    """The address of a UI that `serve` serves, started in a folder, once it answers."""
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-c", SERVE.format(port=port), tracking_uri],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        address = f"http://{HOST}:{port}"
        _await(f"{address}/health", server)
        yield address
    finally:
        server.terminate()
        server.wait(timeout=20)


def _await(url: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(400):
        assert server.poll() is None, "the server ended"
        try:
            urllib.request.urlopen(url, timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(url)


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


def go_to_runs(page: Page, address: str, study: str) -> None:
    """From the front page to a study's runs, as a user goes, with the parent run unfolded."""
    page.goto(f"{address}/#/experiments")
    page.get_by_text("Model training", exact=True).click()
    page.get_by_role("link", name=study, exact=True).first.click()
    parent = page.get_by_role("row").filter(has=run_link(page, study))
    parent.get_by_role("button").first.click()


def run_link(page: Page, run: str) -> Locator:
    """The link to a run in the table of runs."""
    return page.get_by_role("gridcell").get_by_role("link", name=run, exact=True)


def show_charts(page: Page, metrics: str) -> None:
    """Leaves the charts of metrics that match a regular expression."""
    page.get_by_placeholder("Search metric charts").fill(metrics)
    page.locator(".js-plotly-plot").first.wait_for()
