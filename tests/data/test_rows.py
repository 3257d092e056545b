"""Parquet, Arrow and JSON lines, written by their own libraries."""

import gzip
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from proxytune.config.data import DataSpec
from proxytune.data.prepare import prepare
from proxytune.data.sources import DataSource, open_sources
from proxytune.data.tokens import TokenData, facts_of
from proxytune.errors import InputError
from proxytune.testing import DataSourceContract
from tests.conftest import TEXT

Write = Callable[[Path, Sequence[bytes]], None]


def parquet(path: Path, documents: Sequence[bytes]) -> None:
    """A column of text beside another, in row groups."""
    texts = [document.decode() for document in documents]
    table = pa.table({"id": range(len(texts)), "text": texts})
    pq.write_table(table, path, row_group_size=50, compression="zstd")


def parquet_ids(path: Path, documents: Sequence[bytes]) -> None:
    """A column of ids."""
    ids = pa.array([list(document) for document in documents], pa.list_(pa.int32()))
    pq.write_table(pa.table({"input_ids": ids}), path)


def arrow(path: Path, documents: Sequence[bytes]) -> None:
    """A folder as Hugging Face's save_to_disk leaves it: an Arrow stream, and which files."""
    path.mkdir()
    texts = pa.table({"text": [document.decode() for document in documents]})
    with pa.ipc.new_stream(str(path / "data-00000-of-00001.arrow"), texts.schema) as stream:
        stream.write_table(texts, max_chunksize=100)
    state = {"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}
    (path / "state.json").write_text(json.dumps(state))


def lines(documents: Sequence[bytes]) -> bytes:
    """JSON lines of texts."""
    return b"".join(
        json.dumps({"text": document.decode(), "n": n}).encode() + b"\n"
        for n, document in enumerate(documents)
    )


def jsonl(path: Path, documents: Sequence[bytes]) -> None:
    path.write_bytes(lines(documents))


def jsonl_gz(path: Path, documents: Sequence[bytes]) -> None:
    path.write_bytes(gzip.compress(lines(documents)))


def jsonl_zst(path: Path, documents: Sequence[bytes]) -> None:
    with pa.CompressedOutputStream(str(path), "zstd") as packed:
        packed.write(lines(documents))


def jsonl_ids(path: Path, documents: Sequence[bytes]) -> None:
    path.write_text("".join(json.dumps({"tokens": list(d)}) + "\n" for d in documents))


FORMATS: dict[str, tuple[Write, str, str]] = {
    "parquet": (parquet, "parquet", "a.parquet"),
    "parquet ids": (parquet_ids, "parquet", "ids.parquet"),
    "arrow": (arrow, "parquet", "saved"),
    "jsonl": (jsonl, "jsonl", "a.jsonl"),
    "jsonl.gz": (jsonl_gz, "jsonl", "a.jsonl.gz"),
    "jsonl.zst": (jsonl_zst, "jsonl", "a.jsonl.zst"),
    "jsonl ids": (jsonl_ids, "jsonl", "ids.jsonl"),
}
"""Format -> how it is written, the key of its source, and a name."""


class RowsContract(DataSourceContract):
    """A format of which the contract is asked."""

    format: str

    def source(self, folder: Path, documents: Sequence[bytes]) -> DataSource:
        return next(iter(open_sources(written(self.format, folder, documents)).values()))


def written(name: str, folder: Path, documents: Sequence[bytes]) -> DataSpec:
    """The data block of documents in a format."""
    write, key, file = FORMATS[name]
    write(folder / file, documents)
    return DataSpec.model_validate({key: str(folder / file)})


class TestParquet(RowsContract):
    format = "parquet"


class TestParquetIds(RowsContract):
    format = "parquet ids"


class TestArrow(RowsContract):
    format = "arrow"


class TestJsonl(RowsContract):
    format = "jsonl"


class TestJsonlGz(RowsContract):
    format = "jsonl.gz"


class TestJsonlZst(RowsContract):
    format = "jsonl.zst"


class TestJsonlIds(RowsContract):
    format = "jsonl ids"


DOCUMENTS = [line.encode() * 3 for line in TEXT.splitlines(keepends=True)[:400]]


@pytest.mark.parametrize("name", [*FORMATS])
def test_the_same_documents_are_the_same_tokens(name: str, tmp_path: Path) -> None:
    for number, document in enumerate(DOCUMENTS):
        (tmp_path / f"{number}.txt").write_bytes(document)
    text = DataSpec(text=(str(tmp_path / "*.txt"),))
    data = written(name, tmp_path, DOCUMENTS)
    if name.endswith("ids"):
        data = data.model_copy(update={"end_of_text": 0})
    kept = [prepare(data, 16, tmp_path / "cache") for data in (text, data)]
    ours, theirs = map(TokenData.load, kept)
    if name.endswith("ids"):
        # Ids of four bytes are hashed as such, so that their order is another.
        assert sorted(split(theirs)) == sorted(split(ours))
        assert facts_of(kept[1]).vocab_size == max(map(max, DOCUMENTS)) + 1
    else:
        assert kept[0] == kept[1]


def split(data: TokenData) -> list[bytes]:
    """The documents of both splits."""
    both = (data.train.whole(), data.validation.whole())
    return [one for ids in both for one in ids.astype(np.uint8).tobytes().split(b"\0")]


def bad(folder: Path, name: str) -> dict[str, Any]:
    """A data block that cannot be used."""
    path = folder / "a.jsonl"
    match name:
        case "no JSON":
            path.write_text('{"text": "x"}\n\n{"text": "y"\n')
        case "a list":
            path.write_text("[1, 2]\n")
        case "no column":
            path.write_text('{"txt": "x"}\n')
        case "another column":
            path.write_text('{"text": "x"}\n')
            return {"jsonl": str(path), "column": "body"}
        case "a number":
            path.write_text('{"text": "x"}\n{"text": 5}\n')
        case "a negative id":
            path.write_text('{"tokens": [1, 2]}\n{"tokens": [3, -1]}\n')
        case "an id that is a word":
            path.write_text('{"tokens": [1, 2]}\n{"tokens": [3, "a"]}\n')
        case "a damaged gz":
            jsonl_gz(folder / "a.jsonl.gz", DOCUMENTS)
            (folder / "a.jsonl.gz").write_bytes((folder / "a.jsonl.gz").read_bytes()[:-99])
            return {"jsonl": str(folder / "a.jsonl.gz")}
        case "parquet as jsonl":
            parquet(path, DOCUMENTS)
        case "jsonl as parquet":
            jsonl(path, DOCUMENTS)
            return {"parquet": str(path)}
        case "truncated parquet":
            parquet(path, DOCUMENTS)
            path.write_bytes(path.read_bytes()[:-9])
            return {"parquet": str(path)}
        case "floats":
            pq.write_table(pa.table({"text": [0.5]}), path)
            return {"parquet": str(path)}
        case "a folder":
            return {"parquet": str(folder)}
        case "several data sets":
            (folder / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
            return {"parquet": str(folder)}
    return {"jsonl": str(path)}


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("no JSON", "a.jsonl, line 3: is not JSON"),
        ("a list", "line 1: holds list where an object is needed"),
        ("no column", "data.column.*has the columns txt"),
        ("another column", "data.column = 'body'.*has the columns text"),
        ("a number", "line 2: text is 5 where it must be text"),
        ("a negative id", "line 2: holds -1"),
        ("an id that is a word", "line 2: tokens must be a list of whole numbers"),
        ("a damaged gz", "damaged"),
        ("parquet as jsonl", "write data.parquet"),
        ("jsonl as parquet", "is not a Parquet or Arrow file"),
        ("truncated parquet", "truncated or damaged"),
        ("floats", "data.column = 'text'.*text or lists of ids"),
        ("a folder", "is a folder; name its files"),
        ("several data sets", "name one: .*train.*test"),
    ],
)
def test_wrong_files_are_refused(name: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=says):
        prepare(DataSpec.model_validate(bad(tmp_path, name)), 4, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_an_id_out_of_range_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(f'{{"tokens": [{n}, {n + 1}, {n}]}}\n' for n in range(300)))
    spec = DataSpec(jsonl=(str(path),))
    with pytest.raises(InputError, match=r"token 300 .*a.jsonl, line 300, position 1\)"):
        prepare(spec, 16, tmp_path / "cache", vocab_size=300)


def test_missing_values_are_no_documents(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["abc" * 30, None, "", "def" * 30]}), tmp_path / "a.parquet")
    (tmp_path / "a.jsonl").write_text(
        '{"text": null}\n'.join(f'{{"text": "{text}"}}\n' for text in ("abc" * 30, "", "def" * 30))
    )
    specs = [
        DataSpec.model_validate({key: str(tmp_path / f"a.{key}")}) for key in ("parquet", "jsonl")
    ]
    kept = {prepare(spec, 4, tmp_path / "cache") for spec in specs}
    assert len(kept) == 1
    assert facts_of(kept.pop()).corpus == 180
