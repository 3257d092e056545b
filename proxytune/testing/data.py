"""What every source of a corpus promises to the splitting of its documents."""

import pickle
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from proxytune.data.documents import Documents, survey
from proxytune.data.sampling import Sample
from proxytune.data.sources import DataSource
from proxytune.errors import InputError

DOCUMENTS = tuple(
    f"document {number}\n".encode() + f"line {number % 7} of it\n".encode() * (number % 11 + 1)
    for number in range(120)
)
"""Different ones, of a few lines each."""
ALL = 10**9
"""More tokens than there are."""
WHOLE = Sample(ALL, divided=True)
"""The whole corpus, to be split."""


class DataSourceContract(ABC):
    """Subclassed with a source whose tokens are bytes, so that they can be read here."""

    @abstractmethod
    def source(self, folder: Path, documents: Sequence[bytes]) -> DataSource:
        """A corpus of these documents, in files below the folder."""

    def test_every_document_is_there_once(self, tmp_path: Path) -> None:
        found = read(self.source(tmp_path, DOCUMENTS), tmp_path)
        assert sorted(b"".join(contents(found))) == sorted(b"".join(DOCUMENTS))
        assert found.exact
        assert found.corpus >= sum(map(len, DOCUMENTS))

    def test_a_corpus_that_is_not_divided_keeps_its_order(self, tmp_path: Path) -> None:
        found = read(self.source(tmp_path, DOCUMENTS), tmp_path, Sample(ALL, divided=False))
        assert b"".join(contents(found)) == b"".join(DOCUMENTS)

    def test_reading_again_gives_the_same(self, tmp_path: Path) -> None:
        source = self.source(tmp_path, DOCUMENTS)
        sample = Sample(2000, divided=True)
        assert contents(read(source, tmp_path, sample)) == contents(read(source, tmp_path, sample))

    def test_a_sample_is_small_and_spread_over_the_corpus(self, tmp_path: Path) -> None:
        documents = [
            f"half {number // 400}, document {number}\n".encode() for number in range(800)
        ]
        source = self.source(tmp_path, documents)
        total = sum(map(len, documents))
        found = read(source, tmp_path, Sample(total // 10, divided=True))
        text = b"\n".join(contents(found))
        assert total / 20 < len(text) < total / 5
        halves = text.count(b"half 0"), text.count(b"half 1")
        assert 0.5 < halves[0] / halves[1] < 2
        assert 0.8 < found.corpus / total < 1.3

    def test_long_documents_are_cut_so_that_they_can_be_split(self, tmp_path: Path) -> None:
        lines = b"".join(f"line {number}\n".encode() for number in range(2000))
        found = read(self.source(tmp_path, [lines]), tmp_path)
        assert len(found.pieces_P) >= 40
        assert b"".join(contents(found)) == lines

    def test_nothing_is_written_but_the_one_file(self, tmp_path: Path) -> None:
        source = self.source(tmp_path, DOCUMENTS)
        before = sorted(tmp_path.rglob("*"))
        read(source, tmp_path)
        assert set(tmp_path.rglob("*")) - set(before) <= {tmp_path / "read.bin"}

    def test_it_names_the_files_that_it_reads(self, tmp_path: Path) -> None:
        files = self.source(tmp_path, DOCUMENTS).files
        assert files
        assert all(path.exists() and tmp_path in path.parents for path in files)

    def test_it_tells_how_far_it_is(self, tmp_path: Path) -> None:
        told: list[float] = []
        self.source(tmp_path, DOCUMENTS).read(WHOLE, tmp_path / "read.bin", told.append)
        assert told == sorted(told)
        assert 0.5 < told[-1] <= 1

    def test_a_pickle_is_refused_and_not_loaded(self, tmp_path: Path) -> None:
        source = self.source(tmp_path, DOCUMENTS)
        for path in source.files:
            path.write_bytes(pickle.dumps([*range(1000)]))
        with pytest.raises(InputError, match="pickle"):
            read(source, tmp_path)


def read(source: DataSource, folder: Path, sample: Sample = WHOLE) -> Documents:
    """What a source reads."""
    return source.read(sample, folder / "read.bin", lambda share: None)


def contents(documents: Documents) -> list[bytes]:
    """The pieces, as the bytes that their tokens are."""
    survey(documents)  # sees every token
    mapped = [file.map() for file in documents.files]
    return [
        mapped[file][start : start + length].astype(np.uint8).tobytes()
        for file, start, length, *_ in documents.pieces_P.tolist()
    ]
