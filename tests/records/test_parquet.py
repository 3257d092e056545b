"""Parquet: a sink like any other, whose files say what they hold and are never half there."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest

from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.config.study import StudySpec
from proxytune.errors import InputError, RunError
from proxytune.packs.trial import TrialState
from proxytune.records.parquet import ParquetSink, export_table
from proxytune.testing.records import study as study_named
from proxytune.testing.records import trial
from proxytune.testing.sink import CURVES, RecordSinkContract, Seen
from tests.tables import read_trials

Rows = list[dict[str, Any]]
Read = Callable[[Path], Rows]


class TestParquetSink(RecordSinkContract):
    last_act = "os.replace"

    def sink(self, store: Path) -> ParquetSink:
        return ParquetSink(store)

    def seen(self, store: Path, study: StudySpec) -> list[Seen]:
        trials, curves = (
            pl.read_parquet(store / table).filter(pl.col("study") == study.name).to_dicts()
            for table in ("trials", "curves")
        )
        seen = [_seen(row, [e for e in curves if e["number"] == row["number"]]) for row in trials]
        return sorted(seen, key=lambda one: one.number)


def _seen(row: dict[str, Any], evaluations: Rows) -> Seen:
    own = {name: row[name] for name in Seen.__annotations__ if name in row}
    return Seen(
        **own,
        hyperparameters={name: row[name] for name in BaseHyperparameters.model_fields},
        curves={
            name: [(e["step"], e[name]) for e in evaluations if e[name] is not None]
            for name in CURVES
        },
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two studies, one with a trial that has no value."""
    for name, last in (("one", TrialState.COMPLETE), ("two", TrialState.DIVERGED)):
        spec = study_named(name)
        add(tmp_path, spec, 0)
        add(tmp_path, spec, 1, last)
    return tmp_path


def add(
    folder: Path, spec: StudySpec, number: int, state: TrialState = TrialState.COMPLETE
) -> None:
    sink = ParquetSink(folder)
    sink.open(spec)
    sink.add([trial(spec, number, state)])


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("table", ["trials", "curves"])
def test_every_column_says_its_unit_and_the_file_its_version(folder: Path, table: str) -> None:
    (path,) = (folder / table / "study=one").iterdir()
    schema = pq.read_schema(path)
    assert schema.metadata[b"proxytune.schema_version"] == b"1"
    for column in schema:
        assert column.metadata[b"unit"], column.name
        assert column.metadata[b"description"] not in (b"", b"None"), column.name


def test_losses_are_in_nats_a_token_and_time_in_seconds(folder: Path) -> None:
    schema = pq.read_schema(folder / "trials" / "study=one" / "part-00000.parquet")
    units = {name: schema.field(name).metadata[b"unit"].decode() for name in schema.names}
    assert units["value"] == "nats/token"
    assert units["seconds"] == "s"
    assert units["flops"] == "FLOP"
    assert units["tokens"] == units["seq_len"] == "tokens"


@pytest.mark.parametrize("table", ["trials", "curves"])
def test_columns_are_compressed_with_zstd(folder: Path, table: str) -> None:
    group = pq.read_metadata(folder / table / "study=one" / "part-00000.parquet").row_group(0)
    assert {group.column(i).compression for i in range(group.num_columns)} == {"ZSTD"}


def read_with_pandas(table: Path) -> Rows:
    rows: Rows = pd.read_parquet(table).astype({"study": str}).to_dict("records")
    return [{k: None if pd.isna(value) else value for k, value in row.items()} for row in rows]


def read_with_polars(table: Path) -> Rows:
    return pl.read_parquet(table).to_dicts()


def read_with_duckdb(table: Path) -> Rows:
    found = duckdb.sql(f"from read_parquet('{table}/**/*.parquet', hive_partitioning = true)")
    rows: Rows = found.to_arrow_table().to_pylist()
    return rows


READERS = [read_with_pandas, read_with_polars, read_with_duckdb]


@pytest.mark.parametrize("read", READERS)
def test_studies_are_one_table_with_the_same_values(folder: Path, read: Read) -> None:
    rows = sorted(read(folder / "trials"), key=lambda row: (row["study"], row["number"]))
    two = study_named("two")
    records = [trial(study_named("one"), 0), trial(study_named("one"), 1), trial(two, 0)]
    records.append(trial(two, 1, TrialState.DIVERGED))
    assert len(rows) == len(records)
    for row, record in zip(rows, records, strict=True):
        for name in ("study", "number", "state", "value", "seconds", "tokens", "flops", "started"):
            assert row[name] == getattr(record, name), name
        assert row["learning_rate"] == record.hyperparameters.learning_rate
        assert (row["n_kv_heads"], row["kv_rule"], row["tied"]) == (2, "paper", False)


@pytest.mark.parametrize("read", READERS)
def test_curves_have_a_row_a_trial_and_evaluation(folder: Path, read: Read) -> None:
    rows = read(folder / "curves")
    found = {(r["study"], r["number"], r["step"]): r["validation_loss"] for r in rows}
    assert len(found) == len(rows) == 12
    for (name, number, step), loss in found.items():
        state = TrialState.DIVERGED if (name, number) == ("two", 1) else TrialState.COMPLETE
        curve = trial(study_named(name), number, state).curve
        assert loss == next(e.validation_loss for e in curve if e.step == step)


@pytest.mark.parametrize("read", READERS)
def test_readers_see_nothing_half_written(
    folder: Path, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = read(folder / "trials")
    meanwhile: list[Rows] = []

    def slow(contents: object, file: Path, **_: object) -> None:
        file.write_bytes(b"PAR1 and not yet more")
        meanwhile.append(read(folder / "trials"))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", slow)
    with pytest.raises(RunError, match=r"part-00000\.parquet: cannot be written \(No space left"):
        add(folder, study_named("one"), 7)
    assert meanwhile == [before]


def torn(contents: object, file: Path, **_: object) -> None:
    file.write_bytes(b"PAR1")
    raise OSError(5, "Input/output error")


def test_a_failing_write_leaves_the_old_files_and_no_other(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files(folder)

    monkeypatch.setattr(pq, "write_table", torn)
    with pytest.raises(RunError):
        add(folder, study_named("one"), 7)
    assert files(folder) == before


def test_what_a_killed_writer_left_is_no_data_and_is_written_over(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files(folder)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", lambda *_, **__: None)
        patch.setattr(pq, "write_table", torn)
        with pytest.raises(RunError):
            add(folder, study_named("one"), 7)
    (left,) = set(files(folder)) - set(before)
    assert left.read_bytes() == b"PAR1"
    assert len(read_with_polars(folder / "curves")) == 12
    add(folder, study_named("one"), 7)
    assert not left.exists()
    assert len(read_with_polars(folder / "curves")) == 15


def test_more_than_256_trials_span_parts_of_which_only_the_changed_one_is_written(
    tmp_path: Path,
) -> None:
    spec = study_named("long")
    sink = ParquetSink(tmp_path)
    sink.open(spec)
    sink.add([trial(spec, number, steps=(4,)) for number in range(300)])
    first, second = sorted((tmp_path / "trials" / "study=long").iterdir())
    untouched, replaced = first.stat().st_ino, second.stat().st_ino
    sink.add([trial(spec, 299, TrialState.PRUNED, steps=(4,))])
    assert [pq.read_metadata(part).num_rows for part in (first, second)] == [256, 44]
    assert first.stat().st_ino == untouched
    assert second.stat().st_ino != replaced
    rows = read_trials(tmp_path, "long").to_pylist()
    assert [row["number"] for row in rows] == list(range(300))
    assert rows[299]["state"] == "pruned"


def test_a_corrupt_part_is_refused_by_readers_in_one_message(folder: Path) -> None:
    part = folder / "trials" / "study=one" / "part-00000.parquet"
    corrupt = part.read_bytes()[:-20]
    part.write_bytes(corrupt)
    message = r"part-00000\.parquet: .*Parquet .*proxytune study sync one"
    with pytest.raises(RunError, match=message) as refusal:
        read_trials(folder, "one")
    assert "\n" not in str(refusal.value)
    assert part.read_bytes() == corrupt


@pytest.mark.parametrize("table", ["trials", "curves"])
@pytest.mark.parametrize("harm", ["corrupt", "missing"])
def test_trials_of_a_part_that_is_not_whole_count_as_missing(
    folder: Path, table: str, harm: str
) -> None:
    before = read_with_polars(folder / table)
    spec, part = study_named("one"), folder / table / "study=one" / "part-00000.parquet"
    part.unlink() if harm == "missing" else part.write_bytes(part.read_bytes()[:-20])
    sink = ParquetSink(folder)
    assert sink.open(spec) == set()
    sink.add([trial(spec, 0), trial(spec, 1)])
    assert read_with_polars(folder / table) == before
    assert ParquetSink(folder).open(spec) == {0, 1}


def test_opening_removes_what_a_killed_writer_left(folder: Path) -> None:
    left = folder / ".new" / "trials" / "study=one" / "part-00009.parquet"
    left.parent.mkdir(parents=True, exist_ok=True)
    left.write_bytes(b"PAR1")
    ParquetSink(folder).open(study_named("two"))
    assert left.exists()
    ParquetSink(folder).open(study_named("one"))
    assert not left.exists()


def read_csv(path: Path) -> Rows:
    return pl.read_csv(path).to_dicts()


def read_json(path: Path) -> Rows:
    return list(json.loads(path.read_text()))


@pytest.mark.parametrize(
    ("ending", "read"),
    [("csv", read_csv), ("json", read_json), ("parquet", read_with_polars)],
)
def test_an_export_holds_every_trial_and_column(folder: Path, ending: str, read: Read) -> None:
    out = folder / f"trials.{ending}"
    export_table(read_trials(folder, "two"), out)
    recorded, exported = read_trials(folder, "two").to_pylist(), read(out)
    assert [list(row) for row in exported] == [list(row) for row in recorded]
    for row, original in zip(exported, recorded, strict=True):
        for name in ("number", "state", "value", "learning_rate", "flops", "tied"):
            assert row[name] == original[name]


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("trials.xlsx", r"trials\.xlsx': must end in \.parquet, \.csv, \.json"),
        ("trials", r"trials': must end in \.parquet"),
        ("no/such/folder/trials.csv", r"there is no folder .*no/such/folder"),
        ("folder.csv", r"folder\.csv': cannot be written \(it is a folder\)"),
    ],
)
def test_an_export_elsewhere_is_refused(folder: Path, name: str, allowed: str) -> None:
    (folder / "folder.csv").mkdir()
    before = files(folder)
    with pytest.raises(InputError, match=f"^--to = .*{allowed}"):
        export_table(read_trials(folder, "one"), folder / name)
    assert files(folder) == before
