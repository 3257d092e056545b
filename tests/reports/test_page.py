"""A page: everything in it is text, and nothing is loaded from anywhere."""

import re
from pathlib import Path

import pytest
import yaml
from plotly.graph_objects import Figure, Scatter

from proxytune.config.load import validate
from proxytune.config.study import StudySpec
from proxytune.errors import RunError
from proxytune.packs.trial import TrialState
from proxytune.reports.note import study_note
from proxytune.reports.page import Code, Drawing, Page, Section, Table, Text, Warnings
from proxytune.reports.report import Origin
from proxytune.reports.study import study_page
from proxytune.reports.words import sentence
from tests.reports.examples import SPACES, THREE, report, selection, study, trial, trials

EVIL = "<script>alert(1)</script> & \"quotes\" 'and' {{ braces }}"
ORIGIN = Origin("some/home", None, "0.0")


def test_whatever_the_text_is_it_is_shown_as_text() -> None:
    parts = (
        Text(EVIL),
        Warnings((EVIL,)),
        Code(EVIL),
        Code(EVIL, folded=EVIL),
        Table((EVIL,), ((EVIL,),), folded=EVIL),
        Drawing("one", Figure(Scatter(x=[1], y=[1], name=EVIL)), EVIL),
    )
    html = Page("name", EVIL, EVIL, (Section(EVIL, parts),), EVIL).html()
    assert "alert(1)</script>" not in html
    assert "<script>alert" not in html
    assert html.count("{{ braces }}") >= 13


def test_names_paths_and_reasons_are_shown_as_text() -> None:
    of = study(THREE)
    ran = [trial(of, 0), trial(of, 1, TrialState.FAILED, reason=EVIL)]
    html = study_page(report(of, ran, None), ran, [], Origin(EVIL, EVIL, "0.0"), [EVIL]).html()
    assert "<script>alert" not in html
    assert html.count("&lt;script&gt;alert(1)") >= 4


def test_a_page_loads_nothing_has_plotly_once_and_is_below_six_megabytes(tmp_path: Path) -> None:
    of = study(THREE)
    ran = trials(of)
    path = tmp_path / "page.html"
    study_page(report(of, ran, selection(ran)), ran, [], ORIGIN).write(path)
    html = path.read_text(encoding="utf-8")
    assert path.stat().st_size < 6e6
    assert html.count("plotly.js v") == 1
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)
    assert policy is not None
    assert "default-src 'none'" in policy[1]
    assert "http" not in policy[1]
    assert not re.search(r"<(?:script|link|img|iframe)[^>]+(?:src|href)=", html)


def test_a_page_of_many_trials_stays_small_and_says_what_it_leaves_out() -> None:
    of = study(THREE)
    ran = trials(of, 1000)
    html = study_page(report(of, ran, selection(ran)), ran, [], ORIGIN).html()
    assert len(html.encode()) < 6e6
    assert "Only the 100 trials of the lowest loss are drawn." in html
    assert "Only the 300 trials of the lowest loss are drawn." in html
    assert "the best 500 of 999" in html


def test_the_answer_says_the_point_its_range_and_its_noise() -> None:
    of = study(SPACES["one"])
    chosen = selection(trials(of))
    told = sentence(chosen, of.search.space)
    error = chosen.standard_error
    assert f"learning_rate {chosen.point.learning_rate:.4g}, where the optimum" in told
    assert "at 0.002 to 0.03 with a probability of 80 %" in told
    assert f"{chosen.validation_loss:.4f} ± {error:.4f}" in told
    assert "2 fresh seeds" in told
    assert f"{chosen.best.name}; 1 other equal within noise" in told


def test_a_note_begins_with_a_short_answer_and_lists_every_candidate() -> None:
    of = study(SPACES["one"])
    chosen = selection(trials(of))
    first, ranges, table, *_ = study_note(report(of, trials(of), chosen), chosen).split("\n\n")
    assert first == f"**{sentence(chosen, of.search.space, ranges=False)}**"
    assert "learning_rate 0.002 to 0.03" in ranges
    assert len(table.splitlines()) == 2 + len(chosen.candidates)
    assert f"| **{chosen.best.name}** (chosen) |" in table


def test_an_answer_without_ranges_says_none() -> None:
    of = study(THREE)
    assert "80 %" not in sentence(selection(trials(of)), THREE)


def test_an_incomplete_study_says_so_and_how_to_finish_it() -> None:
    of = study(THREE)
    ran = trials(of)
    html = study_page(report(of, ran, None), ran, [], ORIGIN).html()
    assert "11 of 12 trials are finished" in html
    assert "proxytune study run made-up" in html
    assert "1 of 11 trials diverged" in html


def test_a_page_says_how_to_do_it_again() -> None:
    of = study(THREE)
    page = study_page(report(of, [], None), [], [], ORIGIN)
    commands, file = (part.text for part in page.sections[-1].parts if isinstance(part, Code))
    assert "proxytune study create made-up.yaml --home some/home" in commands
    assert validate(StudySpec, yaml.safe_load(file), "page") == of


def test_a_page_that_cannot_be_written_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    page = Page("name", "title", "answer", (), "footer")
    with pytest.raises(RunError, match=r"taken/page\.html: cannot be written"):
        page.write(tmp_path / "taken" / "page.html")
