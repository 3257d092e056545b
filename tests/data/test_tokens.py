"""Files of token ids, as their own programs write them: mapped, sampled, split, refused."""

import shutil
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from proxytune.config.data import DataSpec
from proxytune.data.prepare import prepare
from proxytune.data.sources import DataSource
from proxytune.data.sources.tokens import Source
from proxytune.data.tokens import TokenData, facts_of, portable
from proxytune.errors import InputError
from proxytune.packs.corpus import CorpusFacts
from proxytune.testing import DataSourceContract

Ids = npt.NDArray[np.integer]
END = 0
"""Between documents."""


def nanogpt(path: Path, documents: Sequence[Ids], dtype: str = "<u2") -> Path:
    """Bare ids, and an end after every document."""
    np.concatenate([[*ids, END] for ids in documents]).astype(dtype).tofile(path)
    return path


def llmc(path: Path, documents: Sequence[Ids], magic: int = 20240520) -> Path:
    """256 int32, and an end before every document."""
    ids = np.concatenate([[END, *ids] for ids in documents])
    header = np.zeros(256, "<i4")
    header[:3] = magic, {20240520: 1, 20240801: 7}[magic], len(ids)
    dtype = {20240520: "<u2", 20240801: "<u4"}[magic]
    path.write_bytes(header.tobytes() + ids.astype(dtype).tobytes())
    return path


def megatron(path: Path, documents: Sequence[Ids], code: int = 8) -> Path:
    """A pair of .bin and .idx; every document is one sequence."""
    dtype = np.dtype({4: "<i4", 8: "<u2"}[code])
    np.concatenate(documents).astype(dtype).tofile(path)
    lengths = np.array([len(ids) for ids in documents], "<i4")
    places = (np.cumsum(lengths) - lengths).astype("<i8") * dtype.itemsize
    head = b"MMIDIDX\0\0" + struct.pack("<QBQQ", 1, code, len(documents), len(documents) + 1)
    numbers = np.arange(len(documents) + 1, dtype="<i8")
    index = head + lengths.tobytes() + places.tobytes() + numbers.tobytes()
    path.with_suffix(".idx").write_bytes(index)
    return path


def npy(path: Path, documents: Sequence[Ids]) -> Path:
    """NumPy's own."""
    np.save(path, np.concatenate([[*ids, END] for ids in documents]).astype(np.int32))
    return path


def datatrove(path: Path, documents: Sequence[Ids]) -> Path:
    """Bare ids, and the ends of documents beside them."""
    np.concatenate(documents).astype("<u4").tofile(path)
    ends = np.cumsum([len(ids) for ids in documents]).astype("<u8")
    ends.tofile(path.with_name(f"{path.name}.index"))
    return path


Write = Callable[..., Path]
FORMATS: dict[str, tuple[Write, str, dict[str, Any]]] = {
    "nanogpt": (nanogpt, "a.bin", {"dtype": "uint16", "end_of_text": END}),
    "llmc": (llmc, "a.bin", {"end_of_text": END}),
    "megatron": (megatron, "a.bin", {}),
    "npy": (npy, "a.npy", {"end_of_text": END}),
    "datatrove": (datatrove, "a.ds", {}),
}
"""Format -> how it is written, under which name, and what the data block says."""


class TokensContract(DataSourceContract):
    """A format of which the contract is asked; its documents are bytes, one file each half."""

    format: str

    def source(self, folder: Path, documents: Sequence[bytes]) -> DataSource:
        write, name, keys = FORMATS[self.format]
        ids = [np.frombuffer(document, np.uint8) for document in documents]
        half = len(ids) // 2
        paths = [
            write(folder / f"{number}{name}", part)
            for number, part in enumerate((ids[:half], ids[half:]))
            if part
        ]
        data = DataSpec(tokens=tuple(map(str, paths)), **keys)
        return Source(data, "data.tokens", data.tokens or ())


class TestNanoGPT(TokensContract):
    format = "nanogpt"


class TestLlmC(TokensContract):
    format = "llmc"


class TestMegatron(TokensContract):
    format = "megatron"


class TestNpy(TokensContract):
    format = "npy"


class TestDatatrove(TokensContract):
    format = "datatrove"


class TestWithoutBounds(TokensContract):
    format = "bare"


FORMATS["bare"] = (megatron, "a.bin", {})


@pytest.fixture
def documents() -> list[Ids]:
    """Of different lengths, without END, below 32,000."""
    rng = np.random.default_rng(1)
    return [rng.integers(1, 32_000, size=rng.integers(20, 90)) for _ in range(300)]


def read(folder: Path, **data: Any) -> tuple[TokenData, CorpusFacts]:
    """The tokens of a data block."""
    kept = prepare(DataSpec(**data), 16, folder / "cache", vocab_size=32_000)
    return TokenData.load(kept), facts_of(kept)


def files_in(folder: Path) -> set[str]:
    return {path.name for path in (folder / "cache").rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["nanogpt", "llmc", "npy"])
def test_the_same_documents_are_the_same_tokens_in_every_format(
    name: str, documents: list[Ids], tmp_path: Path
) -> None:
    one, _ = read(tmp_path, tokens=str(datatrove_of(tmp_path, documents)), end_of_text=END)
    write, file, keys = FORMATS[name]
    other, _ = read(tmp_path, tokens=str(write(tmp_path / file, documents)), **keys)
    for split in ("train", "validation"):
        ours, theirs = getattr(one, split).whole(), getattr(other, split).whole()
        assert (ours == theirs).all()


def datatrove_of(folder: Path, documents: list[Ids]) -> Path:
    """With an end in every document, as datatrove is usually told to write."""
    return datatrove(folder / "d.ds", [np.append(ids, END) for ids in documents])


@pytest.mark.parametrize("name", ["nanogpt", "llmc", "megatron", "npy", "datatrove"])
def test_tokens_are_mapped_where_they_lie(name: str, documents: list[Ids], tmp_path: Path) -> None:
    write, file, keys = FORMATS[name]
    path = write(tmp_path / file, documents)
    data, facts = read(tmp_path, tokens=str(path), **keys)
    assert files_in(tmp_path) - {"tokens.json", "train.npy", "validation.npy"} == {
        path.name for path in (tmp_path / "cache" / "keys").iterdir()
    }
    assert facts.largest == max(ids.max() for ids in documents)
    assert facts.bytes_per_token is None
    both = np.concatenate([data.train.whole(), data.validation.whole()])
    kept = np.concatenate(documents)
    assert (np.sort(both[both != END]) == np.sort(kept)).all()


def test_no_document_is_on_both_sides(documents: list[Ids], tmp_path: Path) -> None:
    path = megatron(tmp_path / "a.bin", [*documents, *documents])
    data, _ = read(tmp_path, tokens=str(path))
    train = data.train.whole().astype("<u2").tobytes()
    held_out = data.validation.whole().astype("<u2").tobytes()
    sides = {
        (ids.astype("<u2").tobytes() in train, ids.astype("<u2").tobytes() in held_out)
        for ids in documents
    }
    assert sides == {(True, False), (False, True)}
    assert len(train) + len(held_out) == 2 * sum(map(len, documents))


def test_without_bounds_the_split_is_by_position(tmp_path: Path) -> None:
    ids = np.arange(20_000, dtype="<u2")
    ids.tofile(tmp_path / "a.bin")
    data, facts = read(tmp_path, tokens=str(tmp_path / "a.bin"), dtype="uint16")
    train, held_out = data.train.whole(), data.validation.whole()
    assert (np.sort(np.concatenate([train, held_out])) == ids).all()
    assert (np.diff(train) > 0).all()
    assert (np.diff(held_out) > 0).all()
    assert len(held_out) == 2000
    assert facts.corpus == 20_000
    # Equal stretches are no copies: a file of one token is split as well.
    np.full(20_000, 7, "<u2").tofile(tmp_path / "b.bin")
    same, _ = read(tmp_path, tokens=str(tmp_path / "b.bin"), dtype="uint16")
    assert (len(same.train), len(same.validation)) == (18_000, 2000)


def test_files_to_validate_on_keep_both_in_order(documents: list[Ids], tmp_path: Path) -> None:
    train = nanogpt(tmp_path / "train.bin", documents[:200])
    held_out = nanogpt(tmp_path / "val.bin", documents[200:])
    data, _ = read(tmp_path, tokens=str(train), validation=str(held_out), dtype="uint16")
    assert (data.train.whole() == np.fromfile(train, "<u2")).all()
    assert (data.validation.whole() == np.fromfile(held_out, "<u2")).all()


def test_a_sample_travels_without_its_files(documents: list[Ids], tmp_path: Path) -> None:
    path = nanogpt(tmp_path / "a.bin", documents * 3)
    spec = DataSpec(tokens=str(path), dtype="uint16", sample=4000)
    kept = prepare(spec, 16, tmp_path / "cache")
    facts, data = facts_of(kept), TokenData.load(kept)
    assert 2000 < facts.train + facts.validation < 6000
    assert facts.corpus == path.stat().st_size // 2
    with portable(kept) as folder:
        assert folder.stat().st_dev
        size = sum(file.stat().st_size for file in folder.iterdir())
        here = data.train.whole()
        path.unlink()
        assert (TokenData.load(folder).train.whole() == here).all()
        assert facts_of(folder) == facts
    assert size < 20_000


def test_changed_tokens_are_read_again(documents: list[Ids], tmp_path: Path) -> None:
    path = nanogpt(tmp_path / "a.bin", documents)
    before, _ = read(tmp_path, tokens=str(path), dtype="uint16")
    whole = before.train.whole()
    nanogpt(path, [ids + 1 for ids in documents])
    after, _ = read(tmp_path, tokens=str(path), dtype="uint16")
    assert (after.train.whole() == np.where(whole == END, END + 0, whole + 1)).mean() > 0.9


def test_tokens_do_not_change_with_the_file_that_they_were_copied_from(
    documents: list[Ids], tmp_path: Path
) -> None:
    original = nanogpt(tmp_path / "a.bin", documents)
    copy = Path(shutil.copy(original, tmp_path / "b.bin"))
    read(tmp_path, tokens=str(original), dtype="uint16")
    before = read(tmp_path, tokens=str(copy), dtype="uint16")[0].train.whole()
    nanogpt(original, [ids + 1 for ids in documents])
    after = read(tmp_path, tokens=str(copy), dtype="uint16")[0].train.whole()
    assert (after == before).all()


def truncated(path: Path, by: int) -> None:
    path.write_bytes(path.read_bytes()[:-by])


def bad(folder: Path, name: str) -> DataSpec:
    """A data block that cannot be used."""
    ids = [np.arange(1, 500)]
    path = folder / "a.bin"
    match name:
        case "no dtype":
            return DataSpec(tokens=str(nanogpt(path, ids)))
        case "odd size":
            truncated(nanogpt(path, ids), 1)
        case "text":
            path.write_text("once upon a time there was a text\n" * 40)
        case "pickle":
            path.with_name("meta.pkl").write_bytes(b"anything")
            return DataSpec(tokens=str(path.with_name("meta.pkl")), dtype="uint16")
        case "objects":
            np.save(folder / "a.npy", np.array([{}], object), allow_pickle=True)
            return DataSpec(tokens=str(folder / "a.npy"))
        case "floats":
            np.save(folder / "a.npy", np.ones(9))
            return DataSpec(tokens=str(folder / "a.npy"))
        case "parquet":
            path.write_bytes(b"PAR1" * 99)
        case "truncated idx":
            truncated(megatron(path, ids).with_suffix(".idx"), 8)
        case "truncated pair":
            truncated(megatron(path, ids), 2)
        case "truncated llm.c":
            truncated(llmc(path, ids), 2)
        case "truncated npy":
            truncated(npy(folder / "a.npy", ids), 4)
            return DataSpec(tokens=str(folder / "a.npy"))
        case "truncated index":
            path = datatrove(folder / "a.ds", ids)
            truncated(path.with_name("a.ds.index"), 1)
        case "a folder":
            return DataSpec(tokens=str(folder), dtype="uint16")
        case "a word for an end":
            return DataSpec(tokens=str(nanogpt(path, ids)), dtype="uint16", end_of_text="</s>")
    return DataSpec(tokens=str(path), dtype="uint16")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("no dtype", "data.dtype: uint16 or uint32"),
        ("odd size", "data.dtype = 'uint16' does not divide its 999 bytes"),
        ("text", "is text; write data.text"),
        ("pickle", "is a pickle"),
        ("objects", "never loaded"),
        ("floats", "integers are needed"),
        ("parquet", "write data.parquet"),
        ("truncated idx", "a.idx.*truncated"),
        ("truncated pair", "a.bin: has 996 bytes; a.idx says 998"),
        ("truncated llm.c", "truncated"),
        ("truncated npy", "truncated"),
        ("truncated index", "a.ds.index.*truncated"),
        ("a folder", "is a folder"),
        ("a word for an end", "data.end_of_text = '</s>'"),
    ],
)
def test_wrong_files_are_refused(name: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=says) as refusal:
        prepare(bad(tmp_path, name), 16, tmp_path / "cache")
    assert "data." in str(refusal.value)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(("dtype", "vocabulary"), [("uint16", 32_000), ("uint32", 70_000)])
def test_a_token_out_of_range_is_refused_with_its_place(
    dtype: str, vocabulary: int, tmp_path: Path
) -> None:
    ids = np.random.default_rng(0).integers(vocabulary, size=5000)
    ids[[1234, 4000]] = vocabulary - 1, vocabulary
    path = tmp_path / "a.bin"
    ids.astype(np.dtype(dtype).newbyteorder("<")).tofile(path)
    spec = DataSpec.model_validate({"tokens": str(path), "dtype": dtype})
    cache = tmp_path / "cache"
    kept = prepare(spec, 16, cache, vocab_size=vocabulary + 1)
    assert facts_of(kept).vocab_size == vocabulary + 1
    for _ in range(2):  # the second time from the cache
        with pytest.raises(InputError, match=f"token {vocabulary} .*a.bin, position 4000"):
            prepare(spec, 16, cache, vocab_size=vocabulary)


def test_a_negative_token_is_in_no_vocabulary(tmp_path: Path) -> None:
    ids = np.arange(5000, dtype=np.int64)
    ids[77] = -100
    np.save(tmp_path / "a.npy", ids)
    with pytest.raises(InputError, match=r"token -100 .*position 77"):
        prepare(DataSpec(tokens=str(tmp_path / "a.npy")), 16, tmp_path / "cache")


def test_a_header_and_a_dtype_that_differ_are_refused(tmp_path: Path) -> None:
    path = llmc(tmp_path / "a.bin", [np.arange(1, 500)])
    with pytest.raises(InputError, match=r"data.dtype = 'uint32'.*uint16"):
        prepare(DataSpec(tokens=str(path), dtype="uint32"), 16, tmp_path / "cache")
