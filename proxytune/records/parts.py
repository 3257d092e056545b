"""Parts of Parquet data sets: each is one file, always replaced as a whole.

    TABLE/KEY=NAME/part-00000.parquet

The partitions are Hive's, so pandas, polars and DuckDB read all names as one table. A part is
written in `.new/`, which belongs to no data set, and then renamed.
"""

import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from proxytune.errors import RunError
from proxytune.files import replace

NEW = ".new"
"""Outside the data sets: polars refuses a folder that holds a file of another kind."""

Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class DataSet:
    """One partition of a data set: the rows of one study, evidence run or coordinate check."""

    folder: Path
    """The folder of all data sets."""
    table: str
    key: str
    name: str
    schema: pa.Schema
    remedy: str = "move it away and run again to rebuild it"
    """What the user can do about a part that cannot be read."""

    @property
    def partition(self) -> Path:
        """The folder of its parts."""
        return self.folder / self.table / f"{self.key}={self.name}"

    def prepare(self) -> None:
        """Makes the folder, and removes files that a killed writer left half written."""
        shutil.rmtree(self._half_written, ignore_errors=True)
        self.partition.mkdir(parents=True, exist_ok=True)

    def read(self) -> pa.Table:
        """All rows, in the order of parts."""
        rows = [row for part in self._parts() for row in self._read(part)]
        return pa.Table.from_pylist(rows, schema=self.schema)

    def remove_damaged(self) -> None:
        """Removes parts that cannot be read. For data sets that can be rebuilt."""
        for part in self._parts():
            try:
                self._read(part)
            except RunError:
                part.unlink()

    def read_part(self, part: int) -> Rows:
        """The rows of one part; none if the file does not exist."""
        return self._read(self._path(part))

    def write_part(self, part: int, rows: Rows) -> None:
        """Writes a part; one that is there is replaced."""
        path = self._path(part)
        contents = pa.Table.from_pylist(rows, schema=self.schema)
        replace(path, lambda new: write_parquet(contents, new), self._half_written / path.name)

    def delete(self) -> None:
        """Removes all parts."""
        with suppress(FileNotFoundError):
            shutil.rmtree(self.partition)

    @property
    def _half_written(self) -> Path:
        return self.folder / NEW / self.table / self.partition.name

    def _parts(self) -> list[Path]:
        return sorted(self.partition.glob("part-*.parquet"))

    def _path(self, part: int) -> Path:
        return self.partition / f"part-{part:05d}.parquet"

    def _read(self, path: Path) -> Rows:
        if not path.exists():
            return []
        try:
            # As a file, not as a data set, which would add the folder's key as a column.
            with pq.ParquetFile(path) as file:
                rows: Rows = file.read(columns=self.schema.names).to_pylist()
                return rows
        except (pa.ArrowException, OSError) as error:
            raise RunError(
                f"{path}: cannot be read as Parquet ({str(error).splitlines()[0]}); {self.remedy}"
            ) from None


def write_parquet(table: pa.Table, file: Path) -> None:
    """Writes a table, compressed with zstd."""
    pq.write_table(table, file, compression="zstd")
