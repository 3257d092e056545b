"""The MLflow UI, opened in a real browser: what a study recorded is on the page."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from proxytune.config.study import StudySpec
from proxytune.errors import InputError
from proxytune.records.tags import CHOSEN
from proxytune.records.ui import HOST, newest_study, serve
from proxytune.testing.records import STEPS
from tests.records.browser import opened, run_link, search_charts
from tests.records.conftest import ANSWER
from tests.servers import SERVE, free_port


@pytest.fixture(scope="module")
def browser_page() -> Iterator[Page]:
    with opened(height=1100) as page:
        yield page


@pytest.fixture
def page(browser_page: Page) -> Page:
    """Empty: from one address of the UI to another, the browser would not load it anew."""
    browser_page.goto("about:blank")
    return browser_page


@pytest.fixture(scope="module")
def printed(served: tuple[str, Path], shown: StudySpec) -> str:
    """The address of the study's page, as `serve` prints it."""
    for _ in range(100):
        found = re.search(rf"^study {shown.name}: (\S+)$", served[1].read_text(), re.MULTILINE)
        if found:
            return found[1]
        time.sleep(0.1)
    raise TimeoutError(served[1].read_text())


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_the_printed_address_opens_on_the_answer_and_charts(
    page: Page, printed: str, shown: StudySpec
) -> None:
    page.goto(printed)
    expect(page.get_by_text(ANSWER)).to_be_visible()
    # The chosen trial is on top, and no run is folded.
    expect(page.get_by_role("gridcell").get_by_role("link").first).to_have_text("trial-00001")
    for run in (shown.name, "trial-00000", "confirmation-00001-seed-1"):
        expect(run_link(page, run)).to_be_visible()
    expect(page.get_by_text("learning_rate vs. final_validation_loss")).to_be_visible()
    expect(page.locator(".js-plotly-plot .scatterlayer path.point").first).to_be_visible()


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_the_winner_is_found_by_its_tag(page: Page, printed: str) -> None:
    page.goto(printed)
    expect(run_link(page, "trial-00000")).to_be_visible()
    search = page.get_by_placeholder("metrics.rmse")
    search.fill(f"tags.`{CHOSEN}` = 'true'")
    search.press("Enter")
    expect(run_link(page, "trial-00000")).to_have_count(0)
    run_link(page, "trial-00001").click()
    page.get_by_role("tab", name="Model metrics").click()
    search_charts(page, "^validation_loss$")
    expect(page.locator(".scatterlayer path.js-line").first).to_be_visible()
    expect(page.locator(".scatterlayer path.point")).to_have_count(len(STEPS))


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_the_studys_page_is_an_artifact_that_the_description_links(
    page: Page, printed: str, shown: StudySpec
) -> None:
    page.goto(printed)
    run_link(page, shown.name).click()
    with page.context.expect_page() as opening:
        page.get_by_role("link", name="report.html").click()
    heading = opening.value.frame_locator("iframe").get_by_role("heading", name="The page")
    expect(heading).to_be_visible()


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_only_this_machine_can_reach_it(server: str) -> None:
    port = urlsplit(server).port
    assert port is not None
    socket.create_connection((HOST, port), timeout=5).close()
    # Any other address of this machine, the rest of 127.0.0.0/8 included, would reach 0.0.0.0.
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port), timeout=5)


def started(folder: Path, ignored: signal.Signals) -> subprocess.Popen[str]:
    """`serve` in a process of its own, which begins with that signal ignored, and no other."""
    (folder / "mlflow.db").touch()

    def ignore() -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN if number is ignored else signal.SIG_DFL)

    return subprocess.Popen(
        [sys.executable, "-c", SERVE, f"sqlite:///{folder / 'mlflow.db'}", str(free_port())],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        preexec_fn=ignore,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_only_it_gets_stops_it_and_its_server(
    number: signal.Signals, tmp_path: Path
) -> None:
    # A shell has SIGINT ignored by a command in the background.
    process = started(tmp_path, ignored=signal.SIGINT)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("starting MLflow's server")
    process.send_signal(number)
    assert process.stdout.read() == f"stopped by {number.name}\n"
    assert process.wait() == 0
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


def test_after_nohup_the_end_of_the_terminal_stops_nothing(tmp_path: Path) -> None:
    process = started(tmp_path, ignored=signal.SIGHUP)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("starting")
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    assert process.stdout.read() == "stopped by SIGTERM\n"
    assert process.wait() == 0


def test_a_server_that_does_not_answer_has_no_newest_study() -> None:
    assert newest_study(f"http://{HOST}:{free_port()}") is None


def test_a_taken_port_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").touch()
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(InputError, match=f"^--port = {port}: is in use"):
            serve(f"sqlite:///{tmp_path / 'mlflow.db'}", port)


def test_a_store_that_is_not_there_is_refused_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"mlflow\.db: does not exist; make one with"):
        serve(f"sqlite:///{tmp_path / 'mlflow.db'}", free_port())
    assert not list(tmp_path.iterdir())


def test_a_server_is_not_served_again() -> None:
    with pytest.raises(
        InputError, match=r"^http://me:\*\*\*@tracking:5000: is a server with its own UI"
    ):
        serve("http://me:s3cret@tracking:5000", free_port())
