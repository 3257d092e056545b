"""An evidence run: from its file to curves, findings, a picture and records."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from proxytune.config.axis import coordinate
from proxytune.config.evidence import EvidenceSpec
from proxytune.config.load import load_evidence, require_readable
from proxytune.errors import InputError, RunError
from proxytune.evidence.findings import findings
from proxytune.evidence.report import draw, evidence_document
from proxytune.evidence.source import Point, evidence_packs, grid_of, pack_keys, points_of
from proxytune.files import write_json
from proxytune.packs.fixed import FixedPacks, PackRun
from proxytune.records.parts import DataSet
from proxytune.records.schema import EVIDENCE
from proxytune.storage.lock import only_process
from proxytune.workflows.workspace import Workspace

OnPack = Callable[[Sequence[Point], int, int], None]
"""Called with the points of a pack, the packs done, and all packs."""


def run_evidence(workspace: Workspace, path: Path, fresh: bool, on_pack: OnPack) -> dict[str, Any]:
    """Trains what is not trained yet, and returns the document that is also written.

    A run that was stopped goes on where it was, pack by pack; `fresh` starts anew. Raises
    InputError if what is there belongs to another definition.
    """
    spec = load_evidence(path)
    folder = workspace.paths.evidence(spec.name)
    data_set = DataSet(workspace.paths.parquet, "evidence", "evidence", spec.name, EVIDENCE)
    lock = workspace.paths.locks / f"evidence-{spec.name}.lock"
    with only_process(lock, f"evidence {spec.name!r}"):
        if fresh:
            data_set.delete()
            (folder / "spec.json").unlink(missing_ok=True)
        _require_same_definition(spec, folder / "spec.json", path)
        tokens = workspace.tokens(spec)
        write_json(folder / "spec.json", spec.model_dump(mode="json"))
        points = _train(workspace, spec, tokens, data_set, on_pack)
    losses = {label: np.array(of_label) for label, of_label in grid_of(spec, points).items()}
    coordinates = [coordinate(spec.axis, shape) for shape in spec.shapes()]
    found, compared = findings(np.array(spec.grid.log2_values()), coordinates, losses)
    document = evidence_document(spec, losses, found, compared)
    write_json(folder / "evidence.json", document)
    draw(folder / "evidence.png", spec, losses, found)
    _record(workspace, spec, document, [folder / "evidence.json", folder / "evidence.png"])
    return document


def _train(
    workspace: Workspace, spec: EvidenceSpec, tokens: Path, data_set: DataSet, on_pack: OnPack
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
        on_pack(points, len({point.key for point in kept}), len(keys))

    packs = FixedPacks(evidence_packs(spec, tokens, done), on_finished=keep)
    if not packs.exhausted:
        try:
            with workspace.executor(spec) as executor:
                executor.run(packs)
        except KeyboardInterrupt:
            raise RunError(
                f"stopped with {len({p.key for p in kept})} of {len(keys)} packs done; "
                "the same command goes on from here"
            ) from None
    if packs.lost:
        raise RunError(f"run it again: {'; '.join(packs.lost)}")
    return kept


def _require_same_definition(spec: EvidenceSpec, file: Path, path: Path) -> None:
    if not file.exists():
        return
    try:
        before = json.loads(file.read_bytes())
    except ValueError:
        before = None
    require_readable(before, file)
    if before != spec.model_dump(mode="json"):
        raise InputError(
            f"{path}: name = {spec.name!r}: evidence of this name was run with another "
            "definition; choose another name, or start anew with --fresh"
        )


def _record(
    workspace: Workspace, spec: EvidenceSpec, document: dict[str, Any], files: Sequence[Path]
) -> None:
    metrics = {}
    for label, finding in document["parameterizations"].items():
        for name in ("drift_octaves", "drift_per_doubling"):
            metrics[f"{label}/{name}"] = finding[name]["value"]
        for name in ("regret", "loss_at_optimum", "log2_optimum"):
            for shape, estimate in finding[name].items():
                metrics[f"{label}/{name}/{shape}"] = estimate["value"]
    workspace.add_to_mlflow(
        lambda mlflow: mlflow.log_report(
            "evidence",
            spec.name,
            params={"axis": spec.axis, "hyperparameter": spec.hyperparameter, "seeds": spec.seeds},
            metrics={name: value for name, value in metrics.items() if np.isfinite(value)},
            tags={"axis": spec.axis},
            files=files,
        )
    )
