"""An evidence run: from its file to curves, findings, a picture and records."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from proxytune.config.evidence import EvidenceSpec
from proxytune.config.load import load_evidence, validate
from proxytune.errors import InputError, RunError
from proxytune.evidence.findings import findings
from proxytune.evidence.picture import draw
from proxytune.evidence.report import EvidenceReport, evidence_report
from proxytune.evidence.source import Point, evidence_packs, grid_of, pack_keys, points_of
from proxytune.files import replace, write_json
from proxytune.libraries import libraries_in_words
from proxytune.packs.fixed import FixedPacks, PackRun
from proxytune.packs.phase import Phase
from proxytune.packs.watched import WatchedPacks, work_of_all
from proxytune.records.parts import DataSet
from proxytune.records.schema import EVIDENCE
from proxytune.storage.lock import only_process
from proxytune.workflows.workspace import Workspace

OnPack = Callable[[Sequence[Point], int, int], None]
"""Called with the points of a pack, the packs done, and all packs."""


@libraries_in_words()
def run_evidence(
    path_or_spec: Path | EvidenceSpec,
    workspace: Workspace | None = None,
    fresh: bool = False,
    on_pack: OnPack | None = None,
) -> EvidenceReport:
    """Trains what is not trained yet, and returns the report that is also written.

    A run that was stopped resumes where it was, pack by pack, and one that gets more seeds keeps
    what it has; `fresh` starts anew. Raises InputError if what is there belongs to another
    definition.
    """
    workspace = workspace or Workspace()
    given = path_or_spec
    spec = given if isinstance(given, EvidenceSpec) else load_evidence(given)
    spec = workspace.with_vocabulary(spec)
    folder = workspace.paths.evidence(spec.name)
    data_set = DataSet(workspace.paths.parquet, "evidence", "evidence", spec.name, EVIDENCE)
    lock = workspace.paths.locks / f"evidence-{spec.name}.lock"
    with only_process(lock, f"evidence {spec.name!r}"):
        if fresh:
            data_set.delete()
            (folder / "spec.json").unlink(missing_ok=True)
            shutil.rmtree(workspace.paths.runs(spec.name), ignore_errors=True)
        _require_same_definition(spec, folder / "spec.json")
        tokens = workspace.tokens(spec)
        write_json(folder / "spec.json", spec.model_dump(mode="json"))
        points = _train(workspace, spec, tokens, data_set, on_pack)
    workspace.on_phase(Phase("writing the report"))
    losses = {label: np.array(of_label) for label, of_label in grid_of(spec, points).items()}
    coordinates = [place.coordinate for place in spec.places()]
    x_P = np.array(spec.grid.log2_values())
    found, compared = findings(spec.axis, x_P, coordinates, losses)
    report = evidence_report(spec, losses, found, compared)
    write_json(folder / "evidence.json", report.document())
    replace(folder / "evidence.png", lambda new: draw(new, spec, losses, found))
    _record(workspace, report, [folder / "evidence.json", folder / "evidence.png"])
    return report


def _train(
    workspace: Workspace,
    spec: EvidenceSpec,
    tokens: Path,
    data_set: DataSet,
    on_pack: OnPack | None,
) -> list[Point]:
    """All points of the run; each pack becomes a part of the data set as soon as it is done."""
    keys = pack_keys(spec)
    columns = {"axis": spec.axis, "hyperparameter": spec.hyperparameter}
    kept = [
        Point.model_validate({k: v for k, v in row.items() if k not in columns})
        for row in data_set.read().to_pylist()
    ]
    done = {point.key for point in kept}

    def keep(run: PackRun) -> None:
        points = points_of(spec, run)
        rows = [point.model_dump() | columns for point in points]
        data_set.write_part(keys.index(points[0].key), rows)
        kept.extend(points)
        if on_pack is not None:
            on_pack(points, len({point.key for point in kept}), len(keys))

    missing, everything = evidence_packs(spec, tokens, done), evidence_packs(spec, tokens, ())
    packs = FixedPacks(missing, on_finished=keep, largest=spec.largest_pack)
    if not packs.exhausted:
        total = work_of_all(everything)
        before = total - work_of_all(missing)
        try:
            with workspace.executor(spec) as executor:
                executor.run(
                    WatchedPacks(packs, "training", workspace.on_phase, total, before=before)
                )
        except KeyboardInterrupt:
            raise RunError(
                f"stopped with {len({p.key for p in kept})} of {len(keys)} packs done; "
                "the same command goes on from here"
            ) from None
    if packs.lost:
        raise RunError(f"run it again: {'; '.join(packs.lost)}")
    return kept


def _require_same_definition(spec: EvidenceSpec, file: Path) -> None:
    """Refuses another definition under the same name; seeds may be added, and train elsewhere."""
    if not file.exists():
        return
    try:
        document = json.loads(file.read_bytes())
    except ValueError:
        document = None
    # Read, not compared as text: a field that is new since then has its default.
    before = validate(EvidenceSpec, document, file)
    same = before.model_copy(update={"seeds": spec.seeds, "execution": spec.execution})
    if before.seeds > spec.seeds or same != spec:
        raise InputError(
            f"name = {spec.name!r}: evidence of this name was run with another definition; "
            "choose another name, or start anew with --fresh"
        )


def _record(workspace: Workspace, report: EvidenceReport, files: Sequence[Path]) -> None:
    spec = report.spec
    metrics: dict[str, float | None] = {}
    for label, finding in report.parameterizations.items():
        metrics[f"{label}/drift_octaves"] = finding.drift_octaves.value
        metrics[f"{label}/drift_per_doubling"] = finding.drift_per_doubling.value
        if finding.slope is not None:
            metrics[f"{label}/slope"] = finding.slope.value
        for shape in finding.regret:
            metrics[f"{label}/regret/{shape}"] = finding.regret[shape].value
            metrics[f"{label}/loss_at_optimum/{shape}"] = finding.loss_at_optimum[shape].value
            metrics[f"{label}/log2_optimum/{shape}"] = finding.log2_optimum[shape].value
    workspace.add_to_mlflow(
        lambda mlflow: mlflow.log_report(
            "evidence",
            spec.name,
            params={"axis": spec.axis, "hyperparameter": spec.hyperparameter, "seeds": spec.seeds},
            metrics={name: value for name, value in metrics.items() if value is not None},
            tags={"axis": spec.axis},
            files=files,
        )
    )
