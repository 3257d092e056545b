"""A coordinate check: sizes, slopes, a picture and records."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from proxytune.config.coordinates import CoordinateSpec, coordinate_spec
from proxytune.config.execution import ExecutionSpec
from proxytune.coordinates.measure import (
    Build,
    Measurement,
    Run,
    measure,
    own_model,
    run_batches,
    runs,
)
from proxytune.coordinates.picture import draw
from proxytune.coordinates.report import CoordinateReport
from proxytune.coordinates.reported import coordinate_packs, reported_updates
from proxytune.data.tokens import TokenData
from proxytune.files import replace, write_json
from proxytune.libraries import libraries_in_words
from proxytune.packs.phase import Pace, Phase
from proxytune.packs.watched import WatchedPacks, work_of_all
from proxytune.records.parts import DataSet
from proxytune.records.schema import COORDINATES
from proxytune.scaling.names import RolePatterns
from proxytune.trainers.run import forget_run
from proxytune.workflows.workspace import Workspace


@libraries_in_words()
def run_coordinates(
    spec: CoordinateSpec | dict[str, Any],
    workspace: Workspace | None = None,
    *,
    build: Build = own_model,
    patterns: RolePatterns | None = None,
) -> CoordinateReport:
    """Trains the models of a check, measures them, and returns the report that is also written.

    A document is enough for `spec`: {"axis": "width"} checks a small decoder. `build(shape,
    forward)` makes the model, proxytune's own by default; its weights are drawn by the check, and
    `patterns` maps name patterns to roles for a model whose names are not known. Without a
    cluster, or where the spec says so, models train in this process.

    Raises InputError for a bad document, RunError where training fails.
    """
    checked = coordinate_spec(spec)
    kept = workspace or Workspace()
    if kept.address is not None and "execution" not in checked.model_fields_set:
        checked = checked.model_copy(update={"execution": ExecutionSpec()})
    checked = kept.with_vocabulary(checked)
    measured = (
        list(_measured(kept, checked, build, patterns))
        if checked.trainer is None
        else _reported(kept, checked)
    )
    kept.on_phase(Phase("writing the report"))
    report = CoordinateReport.of(checked, measured)
    folder = kept.paths.coordinates(checked.name)
    write_json(folder / "coordinates.json", report.document())
    replace(folder / "coordinates.png", lambda new: draw(new, report, measured))
    rows = [asdict(m) | {"axis": checked.axis, "quantity": str(m.quantity)} for m in measured]
    data_set = DataSet(kept.paths.parquet, "coordinates", "check", checked.name, COORDINATES)
    data_set.write_part(0, rows)
    _record(kept, report, [folder / "coordinates.json", folder / "coordinates.png"])
    return report


def _measured(
    workspace: Workspace, spec: CoordinateSpec, build: Build, patterns: RolePatterns | None
) -> Iterator[Measurement]:
    """What all runs measured, in their order; as many at once as there is room for.

    The few batches of a run go along with it, so workers need no tokens.
    """
    train = TokenData.load(workspace.tokens(spec)).train

    with workspace.executor(spec) as executor, ThreadPoolExecutor(executor.slots) as pool:

        def of_run(run: Run) -> list[Measurement]:
            batches = run_batches(spec, train, run.seed)
            return executor.call(measure, spec, run, batches, build, patterns)

        to_do, pace, done = list(runs(spec)), Pace(), 0
        total = sum(run.shape.training_flops_per_token() for run in to_do)
        workspace.on_phase(Phase("measuring models", done, total))
        for run, measurements in zip(to_do, pool.map(of_run, to_do), strict=True):
            done += run.shape.training_flops_per_token()
            pace.begin(done)
            workspace.on_phase(Phase("measuring models", done, total, pace.left(done, total)))
            yield from measurements


def _reported(workspace: Workspace, spec: CoordinateSpec) -> list[Measurement]:
    """What a trainer of the user's own reports of all runs. The next check trains anew."""
    packs = coordinate_packs(spec, workspace.tokens(spec))
    total = work_of_all(run.pack for run in packs.runs.values())
    with workspace.executor(spec) as executor:
        executor.run(WatchedPacks(packs, "training", workspace.on_phase, total))
    measured = reported_updates(spec, packs)
    for name in packs.runs:
        forget_run(workspace.paths.runs(spec.name) / name)
    return measured


def _record(workspace: Workspace, report: CoordinateReport, files: list[Path]) -> None:
    spec = report.spec
    workspace.add_to_mlflow(
        lambda mlflow: mlflow.log_report(
            "coordinates",
            spec.name,
            params={"axis": spec.axis, "steps": spec.steps, "seeds": spec.seeds},
            metrics={
                f"{label}/{role}/{quantity}": slope.slope
                for label, roles in report.slopes.items()
                for role, quantities in roles.items()
                for quantity, slope in quantities.items()
                if slope.slope is not None
            },
            tags={f"verdict {label}": verdict for label, verdict in report.verdict.items()},
            files=files,
        )
    )
