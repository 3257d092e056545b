"""The MLflow UI, opened in a real browser: what a study recorded is on the page."""

import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from proxytune.config.study import StudySpec
from proxytune.errors import InputError
from proxytune.records.ui import HOST, serve
from proxytune.testing.records import STEPS
from tests.records.browser import go_to_runs, opened, run_link, show_charts
from tests.servers import free_port


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with opened() as page:
        yield page


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_the_study_its_trials_and_their_curves_are_on_the_page(
    page: Page, server: str, shown: StudySpec
) -> None:
    go_to_runs(page, server, shown.name)
    for run in ("shown", "trial-00000", "trial-00001", "trial-00002"):
        expect(run_link(page, run)).to_be_visible()
    run_link(page, "trial-00001").click()
    page.get_by_role("tab", name="Model metrics").click()
    show_charts(page, "^validation_loss$")
    expect(page.get_by_text("trial-00001 (validation_loss)")).to_be_visible()
    expect(page.locator(".scatterlayer path.js-line").first).to_be_visible()
    expect(page.locator(".scatterlayer path.point")).to_have_count(len(STEPS))


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_only_this_machine_can_reach_it(server: str) -> None:
    port = urlsplit(server).port
    assert port is not None
    socket.create_connection((HOST, port), timeout=5).close()
    # Any other address of this machine, the rest of 127.0.0.0/8 included, would reach 0.0.0.0.
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port), timeout=5)


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
