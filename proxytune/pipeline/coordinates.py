"""A coordinate check of proxytune's own model: sizes, slopes, a picture and records."""

from dataclasses import asdict
from typing import Any

from proxytune.coordinates.batches import batches_of
from proxytune.coordinates.check import measure, slopes
from proxytune.coordinates.report import coordinate_document, draw
from proxytune.pipeline.files import write_json
from proxytune.pipeline.stores import Stores
from proxytune.records.parts import DataSet
from proxytune.records.schema import COORDINATES
from proxytune.spec.coordinates import CoordinateSpec


def run_coordinate_check(stores: Stores, spec: CoordinateSpec) -> dict[str, Any]:
    """Trains and measures; returns the document that is also written."""
    measured = list(measure(spec, batches_of(spec, stores.tokens(spec))))
    found = slopes(spec, measured)
    document = coordinate_document(spec, found)
    folder = stores.paths.coordinates(spec.name)
    write_json(folder / "coordinates.json", document)
    draw(folder / "coordinates.png", spec, measured)
    rows = [{**asdict(m), "axis": spec.axis, "quantity": str(m.quantity)} for m in measured]
    DataSet(stores.paths.parquet, "coordinates", "check", spec.name, COORDINATES).write_part(
        0, rows
    )
    stores.add_to_mlflow(
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
