"""proxytune evidence: run, stopped and gone on with, refused, recorded."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from mlflow import MlflowClient

import proxytune
from proxytune.cli.main import main
from proxytune.config.evidence import EvidenceSpec
from proxytune.config.load import validate
from proxytune.evidence.report import EvidenceReport
from proxytune.records.parts import DataSet
from proxytune.records.schema import EVIDENCE

OLD = Path(__file__).parents[1] / "evidence/old"

TINY: dict[str, Any] = {
    "name": "tiny",
    "axis": "repeat",
    "values": [1, 2],
    "proxy": {"d_model": 16, "n_layers": 1, "n_heads": 2, "seq_len": 16},
    "parameterizations": ["gqa-mup", "gqa-mup:kv_rule=none"],
    "grid": {"low": 0.005, "high": 0.08, "points": 5},
    "training": {"steps": 6, "batch_size": 2, "evaluations": 1, "evaluation_batches": 1},
    "seeds": 2,
    "execution": {"executor": "local"},
}


def run(folder: Path, text: Path, *options: str, **changes: object) -> Result:
    file = folder / "tiny.yaml"
    file.write_text(yaml.safe_dump(TINY | {"data": {"text": str(text)}} | changes))
    arguments = ["evidence", "run", str(file), "--home", str(folder / "home"), *options]
    return CliRunner().invoke(main, arguments)


@pytest.fixture(scope="module")
def finished(text_file: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """A folder with a run to its end, and what `--json` printed. Not to be changed."""
    folder = tmp_path_factory.mktemp("finished")
    return folder, run(folder, text_file, "--json")


@pytest.fixture
def folder(finished: tuple[Path, Result], tmp_path: Path) -> Path:
    """A copy that may be changed."""
    return Path(shutil.copytree(finished[0], tmp_path / "finished"))


def data_set(folder: Path) -> DataSet:
    return DataSet(folder / "home/parquet", "evidence", "evidence", "tiny", EVIDENCE)


def test_evidence_is_found_written_and_recorded(finished: tuple[Path, Result]) -> None:
    folder, done = finished
    assert done.exit_code == 0, done.stderr
    document = json.loads(done.stdout)
    assert set(document["parameterizations"]) == {"gqa-mup", "gqa-mup:kv_rule=none"}
    for finding in document["parameterizations"].values():
        assert set(finding["drift_octaves"]) == {"value", "low", "high"}
        assert (
            set(finding["regret"]) == set(finding["loss_at_optimum"]) == {"repeat 1", "repeat 2"}
        )
        assert finding["regret"]["repeat 1"]["value"] == pytest.approx(0, abs=1e-6)
        assert len(finding["curves"]["repeat 2"]) == 5
        assert set(finding["slope"]) == {"value", "low", "high"}
    assert document["n_seeds"] == 2
    (pair,) = document["paired"]
    assert pair["loss_difference"]["repeat 1"] == {"value": 0, "low": 0, "high": 0}
    written = folder / "home/evidence/tiny"
    assert json.loads((written / "evidence.json").read_text()) == document
    assert (written / "evidence.png").stat().st_size > 10_000
    assert data_set(folder).read().num_rows == 2 * 2 * 2 * 5
    client = MlflowClient(f"sqlite:///{folder}/home/mlflow.db")
    (experiment,) = client.search_experiments(filter_string="name = 'proxytune evidence'")
    (recorded,) = client.search_runs([experiment.experiment_id])
    drift = document["parameterizations"]["gqa-mup"]["drift_octaves"]["value"]
    assert recorded.data.metrics["gqa-mup/drift_octaves"] == pytest.approx(drift)


def test_what_is_trained_is_not_trained_again(
    finished: tuple[Path, Result], folder: Path, text_file: Path
) -> None:
    lost = data_set(folder).partition / "part-00003.parquet"
    kept = {part: part.stat().st_mtime_ns for part in lost.parent.glob("*") if part != lost}
    lost.unlink()
    again = run(folder, text_file, "--json")
    assert json.loads(again.stdout) == json.loads(finished[1].stdout)
    assert again.stderr.count("seed") == 1
    assert lost.exists()
    assert kept == {part: part.stat().st_mtime_ns for part in kept}


def test_another_definition_of_the_name_is_refused_or_starts_anew(
    folder: Path, text_file: Path
) -> None:
    refused = run(folder, text_file, seeds=1)
    assert refused.exit_code == 2
    assert "with another definition; choose another name, or start anew with --fresh" in (
        refused.stderr
    )
    assert data_set(folder).read().num_rows == 40
    assert run(folder, text_file, "--fresh", seeds=1).exit_code == 0
    assert data_set(folder).read().num_rows == 20


def test_seeds_may_be_added(folder: Path, text_file: Path) -> None:
    more = run(folder, text_file, "--json", seeds=3)
    assert json.loads(more.stdout)["n_seeds"] == 3
    assert more.stderr.count("seed 2") == more.stderr.count("seed") == 4
    assert data_set(folder).read().num_rows == 60


def test_evidence_that_was_run_for_the_old_statistics_goes_on(
    folder: Path, text_file: Path
) -> None:
    """`old/` was written before intervals were t-intervals and fields were added."""
    old = EvidenceReport.model_validate_json((OLD / "evidence.json").read_text())
    assert (old.intervals, old.n_seeds) == ("bootstrap", 2)
    assert old.parameterizations["gqa-mup"].slope is None
    kept = json.loads((OLD / "spec.json").read_text())
    kept["data"]["text"] = [str(text_file)]
    (folder / "home/evidence/tiny/spec.json").write_text(json.dumps(kept))
    assert "seed" not in run(folder, text_file, "--json").stderr


def test_divergence_at_every_value_is_a_result(tmp_path: Path, text_file: Path) -> None:
    training = TINY["training"] | {"divergence_factor": 0.01}
    told = run(tmp_path, text_file, "--json", training=training)
    assert told.exit_code == 0, told.stderr
    finding = json.loads(told.stdout)["parameterizations"]["gqa-mup"]
    assert finding["optimum"] == {"repeat 1": None, "repeat 2": None}
    assert finding["regret"]["repeat 2"]["value"] is None
    assert run(tmp_path, text_file, training=training).exit_code == 0


def test_from_python_the_command_is_a_function(tmp_path: Path, text_file: Path) -> None:
    spec = validate(EvidenceSpec, TINY | {"data": {"text": str(text_file)}}, "tiny")
    told: list[int] = []
    workspace = proxytune.Workspace(tmp_path / "home")
    report = proxytune.run_evidence(
        spec, workspace, on_pack=lambda points, done, of: told.append(of)
    )
    assert told == [8] * 8
    written = workspace.paths.evidence("tiny") / "evidence.json"
    assert EvidenceReport.model_validate_json(written.read_text()) == report


def test_the_table_tells_drift_regret_and_the_pair(folder: Path, text_file: Path) -> None:
    told = run(folder, text_file).stdout
    for words in ("log2 optimum", "octaves in all", "repeat 2", "gqa-mup less"):
        assert words in told, told


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"axis": "with"}, "axis = 'with'"),
        ({"data": {"text": "/nowhere.txt"}}, "/nowhere.txt"),
        ({"values": [1, 5]}, "must divide proxy.n_heads"),
    ],
)
def test_bad_input_is_refused(
    tmp_path: Path, text_file: Path, changes: dict[str, object], says: str
) -> None:
    refused = run(tmp_path, text_file, **changes)
    assert refused.exit_code == 2
    assert says in refused.stderr
    assert not (tmp_path / "home/evidence").exists()
