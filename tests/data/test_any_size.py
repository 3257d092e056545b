"""A corpus of any size is read in little memory."""

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxytune.config.data import DataSpec
from proxytune.data.prepare import prepare
from proxytune.data.tokens import TokenData, facts_of
from tests.conftest import TEXT

MEGABYTE = 10**6


@pytest.fixture(autouse=True)
def traced() -> Iterator[None]:
    """Memory that Python and NumPy ask for is counted."""
    tracemalloc.start()
    yield
    tracemalloc.stop()


def peak() -> float:
    """The most memory that was in use since the test began."""
    return tracemalloc.get_traced_memory()[1]


def test_text_is_read_in_a_fraction_of_its_size(tmp_path: Path) -> None:
    with (tmp_path / "a.txt").open("w") as file:
        for copy in range(1500):
            file.write(f"{copy}\n{TEXT[:60_000]}")
    kept = prepare(DataSpec(text=(str(tmp_path / "a.txt"),)), 64, tmp_path / "cache")
    assert facts_of(kept).corpus > 60 * MEGABYTE
    assert peak() < 25 * MEGABYTE


def test_twenty_gigabytes_of_ids_are_sampled_where_they_lie(tmp_path: Path) -> None:
    path, cache = tmp_path / "sparse.bin", tmp_path / "cache"
    with path.open("wb") as file:
        file.truncate(20_000 * MEGABYTE)
    kept = prepare(DataSpec(tokens=(str(path),), dtype="uint16"), 64, cache)
    facts, data = facts_of(kept), TokenData.load(kept)
    assert facts.corpus == 10_000 * MEGABYTE
    assert len(data.train) + len(data.validation) == 2**26
    assert peak() < 25 * MEGABYTE
    assert sum(file.stat().st_size for file in cache.rglob("*") if file.is_file()) < MEGABYTE
