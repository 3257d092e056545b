"""Parquet: the data sets `trials` (a row per trial) and `curves` (a row per evaluation of each).

trials/study=NAME/part-00000.parquet     trials 0 to 255 of the study
curves/study=NAME/part-00000.parquet     their evaluations
"""

import json
import os
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv

from proxytune.config.study import StudySpec
from proxytune.errors import InputError, RunError
from proxytune.files import replace
from proxytune.packs.trial import TrialRecord
from proxytune.records.parts import DataSet, Rows, write_parquet
from proxytune.records.schema import CURVES, TRIALS, curve_rows, trial_row

TRIALS_PER_PART = 256


class ParquetSink:
    """Both data sets in one folder (a RecordSink)."""

    batch = TRIALS_PER_PART
    remote = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._study: StudySpec | None = None

    def __str__(self) -> str:
        return f"Parquet in {self._folder}"

    def open(self, study: StudySpec) -> Collection[int]:
        """Makes the study's folders; returns the trials that are recorded with their curves."""
        self._study = study
        for data_set in data_sets(self._folder, study.name):
            try:
                data_set.prepare()
                data_set.remove_damaged()
            except OSError as error:
                raise RunError(
                    f"{data_set.partition}: cannot be written ({error.strerror})"
                ) from None
        of_trials, of_curves = data_sets(self._folder, study.name)
        with_curve = set(of_curves.read()["number"].to_pylist())
        rows = of_trials.read().select(["number", "tokens"]).to_pylist()
        return {r["number"] for r in rows if not r["tokens"] or r["number"] in with_curve}

    def add(self, trials: Sequence[TrialRecord]) -> None:
        """Rewrites the parts that hold these trials; a trial that is there already is replaced."""
        study = self._study
        assert study is not None
        of_trials, of_curves = data_sets(self._folder, study.name)
        by_part: dict[int, list[TrialRecord]] = {}
        for trial in trials:
            by_part.setdefault(trial.number // TRIALS_PER_PART, []).append(trial)
        for part, of_part in by_part.items():
            _merge(of_curves, part, of_part, curve_rows)
            _merge(of_trials, part, of_part, lambda trial: [trial_row(trial, study)])

    def close(self, *, complete: bool) -> None:
        """Nothing to do: everything is written already."""

    def delete(self, study: str) -> None:
        """Removes the study's folders."""
        for data_set in data_sets(self._folder, study):
            data_set.delete()


def trials_table(trials: Iterable[TrialRecord], study: StudySpec) -> pa.Table:
    """Finished trials of a study as a table of the data set `trials`."""
    return pa.Table.from_pylist([trial_row(trial, study) for trial in trials], schema=TRIALS)


def export_table(table: pa.Table, path: Path) -> None:
    """Writes a table as .parquet, .csv or .json, by the file's ending."""
    if not path.parent.is_dir():
        raise InputError.of_field("--to", str(path), f"there is no folder {path.parent}")
    writers: dict[str, Callable[[Path], None]] = {
        ".parquet": lambda file: write_parquet(table, file),
        ".csv": lambda file: pa.csv.write_csv(table, file),
        ".json": lambda file: _write_json(table, file),
    }
    writer = writers.get(path.suffix)
    if writer is None:
        raise InputError.of_field("--to", str(path), f"must end in {', '.join(writers)}")
    obstacle = _obstacle(path)
    if obstacle:
        raise InputError.of_field("--to", str(path), f"cannot be written ({obstacle})")
    replace(path, writer)


def _obstacle(path: Path) -> str | None:
    if path.is_dir():
        return "it is a folder"
    return None if os.access(path.parent, os.W_OK | os.X_OK) else "its folder is read-only"


def data_sets(folder: Path, study: str) -> tuple[DataSet, DataSet]:
    """The trials and the curves of a study, as parts in a folder."""
    remedy = f"rebuild it with: proxytune study sync {study}"
    return (
        DataSet(folder, "trials", "study", study, TRIALS, remedy),
        DataSet(folder, "curves", "study", study, CURVES, remedy),
    )


def _merge(
    data_set: DataSet,
    part: int,
    trials: Iterable[TrialRecord],
    rows_of: Callable[[TrialRecord], Rows],
) -> None:
    """Rewrites a part, with these trials in place of the rows it had of them."""
    new = {trial.number: rows_of(trial) for trial in trials}
    kept = [row for row in data_set.read_part(part) if row["number"] not in new]
    rows = kept + [row for rows in new.values() for row in rows]
    rows.sort(key=lambda row: (row["number"], row.get("step", 0)))
    data_set.write_part(part, rows)


def _write_json(table: pa.Table, file: Path) -> None:
    file.write_text(json.dumps(table.to_pylist(), indent=2, default=str) + "\n")
