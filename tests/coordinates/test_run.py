"""A coordinate check from Python and from the command line: what it returns, keeps, and where."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

import proxytune
from proxytune.cli.main import main
from proxytune.coordinates.report import CoordinateReport
from proxytune.errors import InputError
from proxytune.workflows.workspace import Workspace
from tests.clusters import Cluster

TINY: dict[str, Any] = {
    "name": "tiny",
    "axis": "width",
    "values": [1, 2],
    "proxy": {"d_model": 16, "n_layers": 1, "n_heads": 2, "seq_len": 16},
    "training": {"batch_size": 2},
    "parameterizations": ["gqa-mup", "sp"],
    "steps": 3,
    "seeds": 2,
}


def check(folder: Path, text: Path, address: str | None = None) -> CoordinateReport:
    workspace = Workspace(folder, address=address)
    return proxytune.run_coordinates(TINY | {"data": {"text": [str(text)]}}, workspace)


def test_a_check_is_returned_and_kept(tmp_path: Path, text_file: Path) -> None:
    report = check(tmp_path, text_file)
    assert set(report.slopes) == set(report.verdict) == {"gqa-mup", "sp"}
    assert report.passed == (report.verdict["gqa-mup"] == "pass")
    folder = tmp_path / "coordinates/tiny"
    assert json.loads((folder / "coordinates.json").read_text()) == report.document()
    assert (folder / "coordinates.png").stat().st_size > 10_000
    assert (tmp_path / "parquet/coordinates/check=tiny/part-00000.parquet").exists()


def test_a_bad_document_is_refused_by_its_fields() -> None:
    with pytest.raises(InputError, match="steps = 0"):
        proxytune.run_coordinates({"axis": "depth", "steps": 0})


def test_the_command_prints_the_report(tmp_path: Path, text_file: Path) -> None:
    study = {name: TINY[name] for name in ("name", "proxy", "training")} | {
        "data": {"text": str(text_file)},
        "search": {"space": {"learning_rate": {"low": 0.002, "high": 0.1}}},
    }
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(study))
    options = "coord-check --axis width --values 1,2 --steps 3 --seeds 2 --json --study"
    home = ["--home", str(tmp_path / "home")]
    done = CliRunner().invoke(main, [*options.split(), str(tmp_path / "tiny.yaml"), *home])
    document = json.loads(done.stdout)
    assert CoordinateReport.model_validate(document).document() == document
    assert set(document["slopes"]["gqa-mup"]["hidden"]["activation"]) >= {
        "slope",
        "expected",
        "ok",
    }
    assert done.exit_code == (0 if document["verdict"]["gqa-mup"] == "pass" else 1)
    assert document["spec"]["execution"]["executor"] == "local"
    assert document["spec"]["name"] == "tiny-width"


def test_the_command_names_what_misses_and_counts_the_rest(
    tmp_path: Path, text_file: Path
) -> None:
    study = {name: TINY[name] for name in ("name", "proxy", "training")} | {
        "data": {"text": str(text_file)},
        "hyperparameters": {"norm_lr_multiplier": 1e-9},
        "search": {"space": {"learning_rate": {"low": 0.002, "high": 0.1}}},
    }
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(study))
    options = "coord-check --axis width --values 1,2 --steps 3 --seeds 2 --study"
    home = ["--home", str(tmp_path / "home")]
    done = CliRunner().invoke(main, [*options.split(), str(tmp_path / "tiny.yaml"), *home])
    assert done.exit_code == 1, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["norm", "update_expected", "zero", "+0.00", "undecided"] in rows
    report = json.loads((tmp_path / "home/coordinates/tiny-width/coordinates.json").read_text())
    slopes = [s for by in report["slopes"]["gqa-mup"].values() for s in by.values()]
    assert f"({sum(s['ok'] for s in slopes)} of {len(slopes)} slopes" in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_on_a_cluster_models_train_on_its_workers(tmp_path: Path, text_file: Path) -> None:
    """The head has no CPU to train with; what workers find is what this process finds."""
    here = check(tmp_path / "here", text_file)
    with Cluster(nodes=1) as cluster:
        there = check(tmp_path / "there", text_file, cluster.address)
    assert there.spec.execution.executor == "ray"
    for label, roles in here.slopes.items():
        for role, quantities in roles.items():
            for quantity, slope in quantities.items():
                expected = pytest.approx(slope.slope, abs=1e-4)
                assert there.slopes[label][role][quantity].slope == expected
