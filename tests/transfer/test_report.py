"""A transfer's files: whole, safe to load, the same in YAML and JSON; and its picture."""

import json
from pathlib import Path
from typing import Any

import matplotlib.image
import pytest
import yaml
from matplotlib.colors import to_rgb

from proxytune.config.target import CheckSpec
from proxytune.errors import RunError
from proxytune.packs.selection import Candidate, Selection
from proxytune.transfer.check import CheckRun
from proxytune.transfer.picture import PROXY, QUIET, draw
from proxytune.transfer.picture import TARGET as TARGET_COLOR
from proxytune.transfer.report import TransferReport, write_report
from proxytune.transfer.verdict import judge
from tests.transfer.examples import TARGET, candidates, check_run, run, transfer_report

SELECTION = Selection.of(
    [
        candidate.model_copy(update={"confirmed": confirmed})
        for candidate, confirmed in zip(
            candidates(3.0, 2.9), [(3.1, 3.3), (3.0, None)], strict=True
        )
    ],
    tokens=0,
)
DIVERGED = check_run(target=run(TARGET, losses=(5.0, None)))
RUNS = pytest.mark.parametrize("of", [check_run(), DIVERGED], ids=["passed", "diverged"])


@RUNS
def test_yaml_and_json_hold_the_same_plain_document(of: CheckRun, tmp_path: Path) -> None:
    report = transfer_report(of, SELECTION)
    in_yaml, in_json = write_report(report, tmp_path / "small")
    read = json.loads(in_json.read_text("utf-8"))
    assert yaml.safe_load(in_yaml.read_text("utf-8")) == read
    assert read == report.document()
    assert TransferReport.model_validate(read) == report


def test_a_number_that_json_does_not_have_is_never_written(tmp_path: Path) -> None:
    report = transfer_report(check_run(), SELECTION)
    endless = report.cost.model_copy(update={"study_flops": float("inf")})
    with pytest.raises(ValueError, match="study_flops"):
        TransferReport.model_validate(dict(report) | {"cost": dict(endless)})


@pytest.mark.parametrize("name", ["projection.yaml", "projection.json"])
def test_a_file_is_replaced_as_a_whole_or_not_at_all(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = write_report(transfer_report(check_run(), SELECTION), tmp_path)
    before = (tmp_path / name).read_text()
    whole = Path.write_text

    def torn(path: Path, data: str, encoding: str) -> None:
        whole(path, data[:5] if name in path.name else data, encoding)
        if name in path.name:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", torn)
    with pytest.raises(RunError, match=rf"/{name}: cannot be written \(No space"):
        write_report(transfer_report(DIVERGED, SELECTION), tmp_path)
    assert (tmp_path / name).read_text() == before
    assert set(tmp_path.iterdir()) == set(paths)


def test_a_report_says_what_was_chosen_and_over_whom() -> None:
    chosen = transfer_report(check_run(), SELECTION).selection
    assert chosen.trial == 0
    assert chosen.validation_loss == pytest.approx(3.2)
    assert chosen.standard_error == pytest.approx(0.1)
    assert (chosen.candidates[1].number, chosen.candidates[1].confirmed) == (1, (3.0, None))


def test_a_report_says_what_was_trained_and_found() -> None:
    report = transfer_report(check_run(), SELECTION)
    found = report.document()["check"]
    assert isinstance(found, dict)
    assert found["shape"] == TARGET.model_dump()
    assert found["losses"][0] == {"step": 10, "proxy": 5.0, "target": 5.0}
    assert found["updates"]["kv"] == {"proxy": 0.5, "target": 0.5}
    assert found["clipped"] == {"proxy": None, "target": None}
    assert (found["verdict"], report.passed) == ("pass", True)
    assert len(found["reasons"]) == len(found["criteria"]) == 5
    assert found["bracket"] == {
        "losses": {"0.5": 3.0, "1": 3.0, "2": 3.0},
        "best": 1.0,
        "regret": 0.0,
    }


def test_a_report_says_how_often_gradients_were_clipped() -> None:
    clipped = check_run(run(TARGET, clipped_share=0.9), run(clipped_share=0.25))
    report = transfer_report(clipped, SELECTION)
    assert report.check is not None
    assert report.check.clipped.model_dump() == {"proxy": 0.25, "target": 0.9}
    assert [line.partition(" ")[0] for line in report.check.warnings] == ["90%"]
    assert report.passed


def test_a_diverged_target_has_losses_as_far_as_it_went() -> None:
    report = transfer_report(DIVERGED, SELECTION)
    assert report.check is not None
    assert [losses.target for losses in report.check.losses] == [5.0, None]
    assert (report.check.verdict, report.passed) == ("fail", False)
    assert report.check.reasons[-1] == "no divergence: target diverged"
    assert report.check.bracket is not None
    assert report.check.bracket.regret is None
    assert report.check.updates == {}


@RUNS
@pytest.mark.parametrize("confirmed", [(), (3.1,), (3.1, 3.3)], ids=["no", "one", "two"])
def test_a_picture_is_drawn(of: CheckRun, confirmed: tuple[float, ...], tmp_path: Path) -> None:
    trials: list[Candidate] = candidates(3.0, 3.2, 3.4)
    best = trials[0].model_copy(update={"confirmed": confirmed})
    path = tmp_path / "check.png"
    draw(path, trials, Selection.of([best], tokens=0), of, judge(of, CheckSpec()))
    pixels = matplotlib.image.imread(path)
    assert pixels.shape[:2] == (520, 1300)
    left, right = pixels[:, :650, :3], pixels[:, 650:, :3]
    assert has(left, QUIET)
    assert has(left, PROXY)
    assert has(right, PROXY)
    assert has(right, TARGET_COLOR)


def has(pixels: Any, color: str) -> bool:
    """Whether a line or some dots have that color."""
    return int((abs(pixels - to_rgb(color)).max(axis=2) < 0.01).sum()) > 50
