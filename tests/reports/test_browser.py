"""A page, opened in a real browser without a network."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from proxytune.reports.report import Origin
from proxytune.reports.study import study_page
from tests.records.browser import opened
from tests.reports.examples import THREE, report, selection, study, trials


@pytest.mark.slow
def test_every_figure_is_drawn_without_a_network_and_without_errors(tmp_path: Path) -> None:
    of = study(THREE)
    ran = trials(of)
    path = tmp_path / "page.html"
    study_page(report(of, ran, selection(ran)), ran, [], Origin("home", None, "0.0")).write(path)
    said: list[str] = []
    with opened() as page:
        page.context.set_offline(True)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: said.append(request.url))
        page.goto(path.as_uri())
        expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible()
        drawn = page.evaluate(
            "[...document.querySelectorAll('.js-plotly-plot')]"
            ".filter(plot => plot.querySelector('.main-svg')).map(plot => plot.id)"
        )
        page.get_by_text("Show all trials").click()
        expect(page.get_by_role("cell", name="diverged", exact=True)).to_be_visible()
    names = ("losses", "history", "slices", "contour", "importance", "parallel", "curves")
    assert drawn == [f"figure-{name}" for name in names]
    assert said == [path.as_uri()]
