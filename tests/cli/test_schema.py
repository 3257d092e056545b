"""Files and reports are what their JSON Schema says, by the library that checks such schemas."""

import json
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from pydantic import BaseModel, ValidationError

from proxytune.cli.schema import SCHEMAS, schema_of
from proxytune.comparison.report import Compared, comparison
from proxytune.config.base import Report
from proxytune.config.coordinates import coordinate_spec
from proxytune.config.horizon import HorizonSpec
from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.config.parameterization import Parameterization
from proxytune.coordinates.measure import Measurement
from proxytune.coordinates.report import CoordinateReport
from proxytune.coordinates.sizes import Quantity
from proxytune.doctor import examine
from proxytune.evidence.report import EvidenceReport
from proxytune.packs.calibration import Calibration, Speed
from proxytune.packs.selection import Selection
from proxytune.scaling.horizon import HorizonReport, RunRatios, horizon
from proxytune.scaling.report import multiplier_report, projection_report
from proxytune.search.study import Study
from proxytune.targets.load import load_shape, load_target
from proxytune.workflows import calibration
from proxytune.workflows.exports import run_verify
from proxytune.workflows.plan import make_plan
from proxytune.workflows.reports import run_report
from proxytune.workflows.workspace import Workspace
from tests.commands import proxytune
from tests.exports.examples import export
from tests.studies import in_memory, source_of, study_spec, train_all
from tests.transfer.examples import candidates, check_run, transfer_report

STUDIES = Path(__file__).parents[2] / "studies"
OLD = Path(__file__).parents[1] / "evidence" / "old"
QUICKSTART, SMALL = STUDIES / "quickstart.yaml", STUDIES / "targets" / "small.yaml"
FILES = {
    "study": [*STUDIES.glob("*.yaml")],
    "target": [*STUDIES.glob("targets/*.yaml")],
    "evidence": [*STUDIES.glob("evidence/**/*.yaml")],
}


def study_report() -> Report:
    storage = in_memory()
    train_all(source_of(storage, study_spec()))
    study = Study(storage, "small")
    study.complete(Selection.of(candidates(2.5, 3.5), tokens=1024))
    return study.report()


def created_study_report() -> Report:
    return Study.create(in_memory(), study_spec()).report()


def plan_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Report:
    speeds = (Speed(members=1, seconds=0.1, memory=1000),)
    measured = Calibration(device="a device", memory=10**9, speeds=speeds)
    monkeypatch.setattr(calibration, "kept", lambda *place: measured)
    return make_plan(SMALL, QUICKSTART, Workspace(tmp_path))


def settings_report() -> Report:
    shapes = load_shape(QUICKSTART), load_target(SMALL).shape
    return projection_report(BaseHyperparameters(), *shapes, Parameterization())


def scaling_report() -> Report:
    shapes = load_shape(QUICKSTART), load_target(SMALL).shape
    return multiplier_report(*shapes, Parameterization(name="sp"))


def horizon_report() -> Report:
    ratios = RunRatios(steps=4, batch=4, tokens=16, parameters=1)
    return HorizonReport(horizon=horizon(HorizonSpec(rule="sde"), ratios))


def evidence_report() -> Report:
    return EvidenceReport.model_validate_json((OLD / "evidence.json").read_text())


def coordinate_report() -> Report:
    spec = coordinate_spec({"axis": "repeat", "values": [1, 2]})
    roles = {"query": 1.0, "embedding": 0.0}
    measured = [
        Measurement(rules.label, at, 0, role, Quantity.ACTIVATION, size * at)
        for rules in spec.parameterizations
        for at in spec.values
        for role, size in roles.items()
    ]
    return CoordinateReport.of(spec, measured)


def export_report(tmp_path: Path) -> Report:
    return export("pytorch", tmp_path, folded=True)


def verify_report(tmp_path: Path) -> Report:
    export("pytorch", tmp_path)
    entry = {"name": "a.k_proj.weight", "shape": [8, 32], "std": 1.0}
    taken = entry | dict.fromkeys(("lr", "weight_decay", "eps", "betas"))
    return run_verify([taken], tmp_path)


def page_report(tmp_path: Path) -> Report:
    return run_report(OLD / "evidence.json", to=tmp_path / "page.html")


def comparison_report() -> Report:
    storage = in_memory()
    for name, trials in (("one", 8), ("other", 4)):
        train_all(source_of(storage, study_spec(name, trials=trials)))
    one, other = (Study(storage, name) for name in ("one", "other"))
    return comparison(
        Compared(one.report(), one.trials()), Compared(other.report(), other.trials())
    )


def doctor_report(tmp_path: Path) -> Report:
    return examine(tmp_path)


def checked_report() -> Report:
    return transfer_report(check_run(), Selection.of(candidates(2.5, 3.5), tokens=1024))


EXAMPLES: dict[str, list[Callable[..., Report]]] = {
    "report-study": [study_report, created_study_report],
    "report-plan": [plan_report],
    "report-scaling": [scaling_report, settings_report],
    "report-transfer": [checked_report],
    "report-export": [export_report],
    "report-verify": [verify_report],
    "report-evidence": [evidence_report],
    "report-horizon": [horizon_report],
    "report-comparison": [comparison_report],
    "report-page": [page_report],
    "report-coordinates": [coordinate_report],
    "report-doctor": [doctor_report],
}
"""Name of a report's schema -> reports of that kind."""
REPORTS = [name for name in SCHEMAS if name.startswith("report-")]


@pytest.fixture
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Report]]:
    """The examples, made."""
    given = {"tmp_path": tmp_path, "monkeypatch": monkeypatch}

    def made(make: Callable[..., Report]) -> Report:
        return make(**{name: given[name] for name in signature(make).parameters})

    return {name: [made(make) for make in makers] for name, makers in EXAMPLES.items()}


def mistakes(name: str, document: object) -> list[str]:
    """What the schema has against a document."""
    found = Draft202012Validator(schema_of(name)).iter_errors(document)
    return [f"{error.json_path}: {error.message}" for error in found]


def parts(value: object) -> list[BaseModel]:
    """A model and all models in it."""
    if isinstance(value, BaseModel):
        return [value, *(part for field in dict(value).values() for part in parts(field))]
    inside = value.values() if isinstance(value, dict) else value
    return [p for one in inside for p in parts(one)] if isinstance(inside, (tuple, list)) else []


def read_yaml(path: Path) -> Any:
    """A file as YAML 1.2 reads it, in which 15e12 is a number."""
    document = yaml.safe_load(path.read_text())
    if isinstance(document.get("tokens"), str):
        document["tokens"] = float(document["tokens"])
    return document


@pytest.mark.parametrize("name", SCHEMAS)
def test_what_is_printed_is_a_json_schema(name: str) -> None:
    result = proxytune("schema", name)
    assert (result.exit_code, result.stderr) == (0, "")
    Draft202012Validator.check_schema(json.loads(result.stdout))


@pytest.mark.parametrize("name", FILES)
def test_every_example_file_fits_its_schema(name: str) -> None:
    assert FILES[name]
    for file in FILES[name]:
        assert mistakes(name, read_yaml(file)) == [], file


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"proxy": {"d_modle": 32}}, "d_modle"),
        ({"parameterization": 3}, "$.parameterization"),
        ({"seed": "many"}, "$.seed"),
        ({"search": None}, "$.search"),
    ],
)
def test_a_mistake_in_a_file_does_not_fit(changes: dict[str, Any], told: str) -> None:
    assert any(told in mistake for mistake in mistakes("study", read_yaml(QUICKSTART) | changes))


@pytest.mark.parametrize(
    ("document", "fits"),
    [
        ({"config": "config.json", "seq_len": 128, "tokens": 1e12}, True),
        ({"shape": {"d_model": 64, "n_layers": 2, "n_heads": 4}}, True),
        ({"tokens": 1e12}, False),
        (
            {"config": "config.json", "shape": {"d_model": 64, "n_layers": 2, "n_heads": 4}},
            False,
        ),
    ],
    ids=["config", "shape", "neither", "both"],
)
def test_a_target_s_file_names_a_shape_or_a_config(document: dict[str, Any], fits: bool) -> None:
    assert (mistakes("target", document) == []) == fits


@pytest.mark.parametrize("name", REPORTS)
def test_every_report_fits_its_schema(name: str, reports: dict[str, list[Report]]) -> None:
    for report in reports[name]:
        document = json.loads(json.dumps(report.document(), allow_nan=False))
        assert mistakes(name, document) == []
        for key in document:
            assert mistakes(name, {k: v for k, v in document.items() if k != key}), key
        assert mistakes(name, document | {"another": 1})


@pytest.mark.parametrize("name", REPORTS)
def test_every_report_comes_back_from_its_document(
    name: str, reports: dict[str, list[Report]]
) -> None:
    for report in reports[name]:
        document = json.loads(json.dumps(report.document()))
        assert type(report).model_validate(document) == report


@pytest.mark.parametrize("name", REPORTS)
def test_no_part_of_a_report_can_be_changed(name: str, reports: dict[str, list[Report]]) -> None:
    for report in reports[name]:
        for part in parts(report):
            field = next(iter(type(part).model_fields))
            with pytest.raises(ValidationError, match="frozen"):
                setattr(part, field, getattr(part, field))


def test_an_unknown_name_lists_the_known_ones() -> None:
    result = proxytune("schema", "stduy")
    assert result.exit_code == 2
    assert "'stduy'" in result.stderr
    assert all(name in result.stderr for name in SCHEMAS)
