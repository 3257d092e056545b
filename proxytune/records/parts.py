"""Parts of Parquet data sets: each a file of its own, replaced as a whole.

    TABLE/KEY=NAME/part-00000.parquet

Partitioned in Hive's way, so pandas, polars and DuckDB read all names as one table. A part is
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
"""Not in the data sets: polars refuses a folder that holds a file of another kind."""

Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class DataSet:
    """One partition of a data set: the rows of one study, evidence or check."""

    folder: Path
    """Of all data sets."""
    table: str
    key: str
    name: str
    schema: pa.Schema
    remedy: str = "move it away and run again, which writes it anew"
    """What to do about a part that cannot be read."""

    @property
    def partition(self) -> Path:
        """The folder of its parts."""
        return self.folder / self.table / f"{self.key}={self.name}"

    def prepare(self) -> None:
        """Makes its folder, and removes what a killed writer left half written."""
        shutil.rmtree(self._half_written, ignore_errors=True)
        self.partition.mkdir(parents=True, exist_ok=True)

    def read(self) -> pa.Table:
        """All its rows, part by part."""
        rows = [row for part in self._parts() for row in self._read(part)]
        return pa.Table.from_pylist(rows, schema=self.schema)

    def remove_damaged(self) -> None:
        """Removes parts that cannot be read, for the owner of a data set that can be rebuilt."""
        for part in self._parts():
            try:
                self._read(part)
            except RunError:
                part.unlink()

    def read_part(self, part: int) -> Rows:
        """The rows of one part; none if there is no file."""
        return self._read(self._path(part))

    def write_part(self, part: int, rows: Rows) -> None:
        """Puts a part in the place of the one that is there."""
        path = self._path(part)
        contents = pa.Table.from_pylist(rows, schema=self.schema)
        replace(path, lambda new: write_parquet(contents, new), self._half_written / path.name)

    def delete(self) -> None:
        """Removes all its parts."""
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
            # One file, not a data set: the key is a column of the folder's name only.
            with pq.ParquetFile(path) as file:
                rows: Rows = file.read(columns=self.schema.names).to_pylist()
                return rows
        except (pa.ArrowException, OSError) as error:
            raise RunError(
                f"{path}: is no Parquet file that can be read ({str(error).splitlines()[0]}); "
                f"{self.remedy}"
            ) from None


def write_parquet(table: pa.Table, file: Path) -> None:
    """Writes a table, compressed with zstd."""
    pq.write_table(table, file, compression="zstd")
