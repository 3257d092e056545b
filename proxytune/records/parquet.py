"""Parquet: the data sets `trials` (one row a trial) and `curves` (one row a trial and evaluation).

    trials/study=NAME/part-00000.parquet     trials 0 to 255 of the study
    curves/study=NAME/part-00000.parquet     their evaluations

Partitioned in Hive's way, so pandas, polars and DuckDB read all studies as one table. A part is
replaced as a whole: it is written in `.new/`, which belongs to no data set, and then renamed.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from proxytune.errors import InputError, RunError
from proxytune.records.record import TrialRecord
from proxytune.records.schema import CURVES, TRIALS, curve_rows, trial_row
from proxytune.spec.study import StudySpec

TRIALS_PER_PART = 256
NEW = ".new"
"""Not in the data sets: polars refuses a folder that holds a file of another kind."""

Rows = list[dict[str, Any]]


class ParquetSink:
    """Both data sets in one folder (a RecordSink)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._study: StudySpec | None = None

    def open(self, study: StudySpec) -> None:
        """Makes the study's folders."""
        self._study = study
        for table in ("trials", "curves", NEW):
            _partition(self._folder, table, study.name).mkdir(parents=True, exist_ok=True)

    def add(self, trials: Sequence[TrialRecord]) -> None:
        """Writes the parts that hold these trials anew; a trial that is there is replaced."""
        study = self._study
        assert study is not None
        by_part: dict[int, list[TrialRecord]] = {}
        for trial in trials:
            by_part.setdefault(trial.number // TRIALS_PER_PART, []).append(trial)
        for part, of_part in by_part.items():
            self._merge("curves", CURVES, part, of_part, curve_rows)
            self._merge("trials", TRIALS, part, of_part, lambda t: [trial_row(t, study)])

    def close(self, *, complete: bool) -> None:
        """Everything is written already."""

    def delete(self, study: str) -> None:
        """Removes the study's folders."""
        for table in ("trials", "curves", NEW):
            with suppress(FileNotFoundError):
                shutil.rmtree(_partition(self._folder, table, study))

    def _merge(
        self,
        table: str,
        schema: pa.Schema,
        part: int,
        trials: Iterable[TrialRecord],
        rows_of: Callable[[TrialRecord], Rows],
    ) -> None:
        assert self._study is not None
        path, half_written = (
            _partition(self._folder, where, self._study.name) / f"part-{part:05d}.parquet"
            for where in (table, NEW)
        )
        new = {trial.number: rows_of(trial) for trial in trials}
        kept = [row for row in _read_part(path, schema) if row["number"] not in new]
        rows = kept + [row for rows in new.values() for row in rows]
        rows.sort(key=lambda row: (row["number"], row.get("step", 0)))
        contents = pa.Table.from_pylist(rows, schema=schema)
        try:
            _replace(path, half_written, lambda file: _write_parquet(contents, file))
        except OSError as error:
            raise RunError(f"{path}: cannot be written ({_reason(error)})") from None


def read_trials(folder: Path, study: str) -> pa.Table:
    """The recorded trials of one study."""
    parts = sorted(_partition(folder, "trials", study).glob("part-*.parquet"))
    rows = [row for part in parts for row in _read_part(part, TRIALS)]
    return pa.Table.from_pylist(rows, schema=TRIALS)


def export_table(table: pa.Table, path: Path) -> None:
    """Writes a table as .parquet, .csv or .json, by the file's ending."""
    if not path.parent.is_dir():
        raise InputError.of_field("--to", str(path), f"there is no folder {path.parent}")
    writers: dict[str, Callable[[Path], None]] = {
        ".parquet": lambda file: _write_parquet(table, file),
        ".csv": lambda file: pa.csv.write_csv(table, file),
        ".json": lambda file: _write_json(table, file),
    }
    writer = writers.get(path.suffix)
    if writer is None:
        raise InputError.of_field("--to", str(path), f"must end in {', '.join(writers)}")
    try:
        _replace(path, path.with_name(f".{path.name}.new"), writer)
    except OSError as error:
        raise InputError.of_field(
            "--to", str(path), f"cannot be written ({_reason(error)})"
        ) from None


def _partition(folder: Path, table: str, study: str) -> Path:
    return folder / table / f"study={study}"


def _read_part(path: Path, schema: pa.Schema) -> Rows:
    """The rows of a part; none if there is no file."""
    if not path.exists():
        return []
    try:
        # One file, not a data set: `study` is a column of the folder's name only.
        with pq.ParquetFile(path) as file:
            rows: Rows = file.read(columns=schema.names).to_pylist()
            return rows
    except (pa.ArrowException, OSError) as error:
        raise RunError(
            f"{path}: is no Parquet file that can be read ({str(error).splitlines()[0]}); "
            "move it away and run the study again, which writes it anew"
        ) from None


def _replace(path: Path, half_written: Path, write: Callable[[Path], None]) -> None:
    """Writes under another name, and renames when all is on disk."""
    try:
        write(half_written)
        with half_written.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(half_written, path)
    finally:
        half_written.unlink(missing_ok=True)


def _write_parquet(table: pa.Table, file: Path) -> None:
    pq.write_table(table, file, compression="zstd")


def _write_json(table: pa.Table, file: Path) -> None:
    file.write_text(json.dumps(table.to_pylist(), indent=2, default=str) + "\n")


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
