"""Reads the Parquet data set `trials` as the sink wrote it."""

from pathlib import Path

import pyarrow as pa

from proxytune.records.parquet import data_sets


def read_trials(folder: Path, study: str) -> pa.Table:
    """The recorded trials of one study."""
    return data_sets(folder, study)[0].read()
