"""Parts of Parquet data sets: each a file of its own, replaced as a whole.

    TABLE/KEY=NAME/part-00000.parquet

Partitioned in Hive's way, so pandas, polars and DuckDB read all names as one table. A part is
written in `.new/`, which belongs to no data set, and then renamed.
"""

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from proxytune.errors import RunError

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

    @property
    def partition(self) -> Path:
        """The folder of its parts."""
        return self.folder / self.table / f"{self.key}={self.name}"

    def prepare(self) -> None:
        """Makes its folder."""
        self.partition.mkdir(parents=True, exist_ok=True)

    def read(self) -> pa.Table:
        """All its rows, part by part."""
        parts = sorted(self.partition.glob("part-*.parquet"))
        rows = [row for part in parts for row in self._read(part)]
        return pa.Table.from_pylist(rows, schema=self.schema)

    def read_part(self, part: int) -> Rows:
        """The rows of one part; none if there is no file."""
        return self._read(self._path(part))

    def write_part(self, part: int, rows: Rows) -> None:
        """Puts a part in the place of the one that is there."""
        path = self._path(part)
        half_written = self.folder / NEW / f"{self.table}-{self.name}-{path.name}"
        contents = pa.Table.from_pylist(rows, schema=self.schema)
        try:
            half_written.parent.mkdir(parents=True, exist_ok=True)
            self.prepare()
            replace(path, half_written, lambda file: write_parquet(contents, file))
        except OSError as error:
            raise RunError(f"{path}: cannot be written ({reason(error)})") from None

    def delete(self) -> None:
        """Removes all its parts."""
        with suppress(FileNotFoundError):
            shutil.rmtree(self.partition)

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
                "move it away and run again, which writes it anew"
            ) from None


def replace(path: Path, half_written: Path, write: Callable[[Path], None]) -> None:
    """Writes under another name, and renames when all is on disk."""
    try:
        write(half_written)
        with half_written.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(half_written, path)
    finally:
        half_written.unlink(missing_ok=True)


def write_parquet(table: pa.Table, file: Path) -> None:
    """Writes a table, compressed with zstd."""
    pq.write_table(table, file, compression="zstd")


def reason(error: OSError) -> str:
    """What the system says went wrong."""
    return error.strerror or str(error)
