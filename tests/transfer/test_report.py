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
from proxytune.scaling.rules import Role
from proxytune.transfer.check import CheckRun
from proxytune.transfer.picture import PROXY, QUIET, draw
from proxytune.transfer.picture import TARGET as TARGET_COLOR
from proxytune.transfer.report import check_document, selection_document, write_documents
from proxytune.transfer.verdict import judge
from tests.transfer.examples import TARGET, candidates, check_run, run

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


def document(of: CheckRun) -> dict[str, Any]:
    return {
        "study": "größte",
        "selection": selection_document(SELECTION),
        "check": check_document(of, judge(of, CheckSpec())),
    }


@RUNS
def test_yaml_and_json_hold_the_same_plain_document(of: CheckRun, tmp_path: Path) -> None:
    in_yaml, in_json = write_documents(document(of), tmp_path / "small")
    read = json.loads(in_json.read_text("utf-8"))
    assert yaml.safe_load(in_yaml.read_text("utf-8")) == read
    assert read == document(of)


def test_types_of_our_own_become_plain(tmp_path: Path) -> None:
    in_yaml, _ = write_documents({"role": Role.KV, "losses": (3.0, None)}, tmp_path)
    assert yaml.safe_load(in_yaml.read_text()) == {"role": "kv", "losses": [3.0, None]}


def test_a_number_that_json_does_not_have_is_never_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_documents({"loss": float("nan")}, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["projection.yaml", "projection.json"])
def test_a_file_is_replaced_as_a_whole_or_not_at_all(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = write_documents({"version": "old"}, tmp_path)
    before = (tmp_path / name).read_text()
    whole = Path.write_text

    def torn(path: Path, data: str, encoding: str) -> None:
        whole(path, data[:5] if name in path.name else data, encoding)
        if name in path.name:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", torn)
    with pytest.raises(RunError, match=rf"/{name}: cannot be written \(No space"):
        write_documents({"version": "new"}, tmp_path)
    assert (tmp_path / name).read_text() == before
    assert set(tmp_path.iterdir()) == set(paths)


def test_the_documents_say_what_was_chosen_and_over_whom() -> None:
    chosen = selection_document(SELECTION)
    assert chosen["trial"] == 0
    assert chosen["validation_loss"] == pytest.approx(3.2)
    assert chosen["standard_error"] == pytest.approx(0.1)
    assert chosen["candidates"][1] == {"number": 1, "value": 2.9, "confirmed": [3.0, None]}


def test_the_documents_say_what_was_trained_and_found() -> None:
    found = document(check_run())["check"]
    assert found["shape"] == TARGET.model_dump()
    assert found["losses"][0] == {"step": 10, "proxy": 5.0, "target": 5.0}
    assert found["updates"]["kv"] == {"proxy": 0.5, "target": 0.5}
    assert found["verdict"] == "pass"
    assert len(found["reasons"]) == len(found["criteria"]) == 4


def test_a_diverged_target_has_losses_as_far_as_it_went() -> None:
    found = document(DIVERGED)["check"]
    assert [loss["target"] for loss in found["losses"]] == [5.0, None]
    assert (found["verdict"], found["reasons"]) == ("fail", ["no divergence: target diverged"])


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
