"""A coordinate check of proxytune's own model: sizes, slopes, a picture and records."""

from dataclasses import asdict
from typing import Any

from proxytune.config.axis import CoordinateSpec
from proxytune.coordinates.check import batches_of, measure, slopes
from proxytune.coordinates.report import coordinate_document, draw
from proxytune.files import write_json
from proxytune.records.parts import DataSet
from proxytune.records.schema import COORDINATES
from proxytune.workflows.workspace import Workspace


def run_coordinate_check(workspace: Workspace, spec: CoordinateSpec) -> dict[str, Any]:
    """Trains and measures; returns the document that is also written."""
    measured = list(measure(spec, batches_of(spec, workspace.tokens(spec))))
    found = slopes(spec, measured)
    document = coordinate_document(spec, found)
    folder = workspace.paths.coordinates(spec.name)
    write_json(folder / "coordinates.json", document)
    draw(folder / "coordinates.png", spec, measured)
    rows = [{**asdict(m), "axis": spec.axis, "quantity": str(m.quantity)} for m in measured]
    DataSet(workspace.paths.parquet, "coordinates", "check", spec.name, COORDINATES).write_part(
        0, rows
    )
    workspace.add_to_mlflow(
        lambda mlflow: mlflow.log_report(
            "coordinates",
            spec.name,
            params={"axis": spec.axis, "steps": spec.steps, "seeds": spec.seeds},
            metrics={
                f"{label}/{role}/{quantity}": slope.slope
                for label, roles in found.items()
                for role, quantities in roles.items()
                for quantity, slope in quantities.items()
            },
            tags={f"verdict {label}": verdict for label, verdict in document["verdict"].items()},
            files=[folder / "coordinates.json", folder / "coordinates.png"],
        )
    )
    return document
