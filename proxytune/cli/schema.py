"""proxytune schema: what files and --json documents look like, as JSON Schema."""

import json
import sys
from importlib import import_module
from typing import Any

import click

from proxytune.cli.streams import encodes_all
from proxytune.config.base import Report, Spec

SCHEMAS = {
    "study": "proxytune.config.study:StudySpec",
    "target": "proxytune.config.target:TargetSpec",
    "evidence": "proxytune.config.evidence:EvidenceSpec",
    "trainer-settings": "proxytune.trainers.settings:TrainerSettings",
    "report-study": "proxytune.search.report:StudyReport",
    "report-plan": "proxytune.plan.report:PlanReport",
    "report-scaling": "proxytune.scaling.report:ScalingReport",
    "report-transfer": "proxytune.transfer.report:TransferReport",
    "report-export": "proxytune.exports.report:ExportReport",
    "report-verify": "proxytune.exports.verdict:VerifyReport",
    "report-evidence": "proxytune.evidence.report:EvidenceReport",
    "report-horizon": "proxytune.scaling.horizon:HorizonReport",
    "report-comparison": "proxytune.comparison.report:ComparisonReport",
    "report-page": "proxytune.reports.report:PageReport",
    "report-coordinates": "proxytune.coordinates.report:CoordinateReport",
    "report-doctor": "proxytune.doctor:DoctorReport",
}
"""Name -> where the type is. A report is what the command of that name prints with --json;
report-page is that of `proxytune report`, report-horizon that of `scaling --horizon` alone."""
DIALECT = "https://json-schema.org/draft/2020-12/schema"


@click.command(epilog=f"NAME is one of {', '.join(SCHEMAS)}.")
@click.argument("name", metavar="NAME", type=click.Choice(list(SCHEMAS)))
def schema(name: str) -> None:
    """Print the JSON Schema of a file that you write, or of a report that is printed."""
    ascii_only = not encodes_all(sys.stdout)
    click.echo(json.dumps(schema_of(name), indent=2, ensure_ascii=ascii_only))


def schema_of(name: str) -> dict[str, Any]:
    """The JSON Schema of a name in SCHEMAS."""
    module, _, attribute = SCHEMAS[name].partition(":")
    model: type[Spec] = getattr(import_module(module), attribute)
    dialect = {"$schema": DIALECT}
    if issubclass(model, Report):
        return dialect | model.model_json_schema(mode="serialization")
    # In a file, what has a default may be missing; and the name, which is then the file's.
    document = model.model_json_schema(mode="validation")
    required = [field for field in document["required"] if field != "name"]
    return dialect | document | {"required": required}
