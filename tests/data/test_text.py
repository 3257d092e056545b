"""Text: cut into documents, split by content, and cached until a file changes."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from proxytune.config.data import DataSpec
from proxytune.data.documents import PIECE, Documents, divide, survey
from proxytune.data.prepare import Reading, prepare
from proxytune.data.sources import DataSource
from proxytune.data.sources.library import standard_library
from proxytune.data.sources.text import Source
from proxytune.data.stream import TokenFile
from proxytune.data.texts import cut
from proxytune.data.tokens import TokenData, facts_of
from proxytune.errors import InputError
from proxytune.testing import DataSourceContract
from tests.conftest import TEXT

OLD = {"train": "bb28dbc79733f8c2", "validation": "6fec5581311f3101"}
"""SHA-256 of the tokens of `text_file`, as proxytune 0.1 wrote them."""


class TestTextFiles(DataSourceContract):
    def source(self, folder: Path, documents: Sequence[bytes]) -> DataSource:
        width = len(str(len(documents)))
        for number, document in enumerate(documents):
            (folder / f"{number:0{width}}.txt").write_bytes(document)
        return Source(DataSpec(text="*"), "data.text", (str(folder / "*.txt"),))


def pieces(texts: Sequence[bytes], folder: Path) -> Documents:
    """Documents of these texts, a byte a token."""
    file = folder / "texts"
    file.write_bytes(b"".join(texts))
    rows = np.zeros(len(texts), PIECE)
    rows["length"] = [len(text) for text in texts]
    rows["start"] = np.cumsum(rows["length"]) - rows["length"]
    size = file.stat().st_size
    return Documents((TokenFile(file, "|u1", 0, size),), rows, True, size, True, None)


def divided(texts: Sequence[bytes], folder: Path, share: float) -> tuple[list[bytes], list[bytes]]:
    documents = pieces(texts, folder)
    train, held_out = divide(documents, survey(documents).digests, share)
    return [texts[i] for i in train], [texts[i] for i in held_out]


def test_documents_are_divided_without_overlap_or_loss(tmp_path: Path) -> None:
    documents = [f"document {i % 80}".encode() for i in range(100)]
    train, held_out = divided(documents, tmp_path, 0.25)
    assert {*train, *held_out} == set(documents)
    assert set(train).isdisjoint(held_out)
    assert len(train) + len(held_out) == 80
    assert 0.2 < len(held_out) / 80 < 0.3


def test_the_division_depends_on_content_alone(tmp_path: Path) -> None:
    documents = [f"document {i}".encode() for i in range(50)]
    assert divided(documents, tmp_path, 0.1) == divided(documents[::-1], tmp_path, 0.1)


def test_cutting_loses_nothing_and_ends_at_lines() -> None:
    text = TEXT.encode() + b"a last line without its end"
    halves = [text[:777], text[777:]]
    documents = list(cut(halves, len(text) // 40))
    assert b"".join(documents) == text
    assert len(documents) >= 40
    assert all(document.endswith(b"\n") for document in documents[:-1])


def test_cutting_keeps_characters_whole_where_there_are_no_lines() -> None:
    text = ("aé€😀" * 50).encode()
    for longest in range(4, 30):
        parts = list(cut([text], longest, characters=True))
        assert b"".join(parts) == text
        assert max(map(len, parts)) <= longest
        assert "".join(part.decode() for part in parts) == text.decode()


def test_text_has_the_tokens_and_the_split_that_it_always_had(tokens: Path) -> None:
    """Studies from before there were other sources go on with it."""
    data = TokenData.load(tokens)
    found = {
        split: hashlib.sha256(getattr(data, split).whole().tobytes()).hexdigest()[:16]
        for split in ("train", "validation")
    }
    assert found == OLD


def test_tokens_are_cached_by_content(tmp_path: Path) -> None:
    text = tmp_path / "a.txt"
    text.write_text(TEXT)
    spec = DataSpec(text=(str(tmp_path / "*.txt"),))
    first = prepare(spec, 16, tmp_path / "cache")
    written = (first / "0.bin").stat().st_mtime_ns
    text.rename(tmp_path / "b.txt")
    assert prepare(spec, 16, tmp_path / "cache") == first
    assert (first / "0.bin").stat().st_mtime_ns == written
    (tmp_path / "b.txt").write_text(TEXT + "one more line\n")
    assert prepare(spec, 16, tmp_path / "cache") != first
    assert not list((tmp_path / "cache").glob(".*"))


def test_a_corpus_that_has_not_changed_is_not_read_again(tmp_path: Path, text_file: Path) -> None:
    spec, told = DataSpec(text=str(text_file)), list[Reading]()
    first = prepare(spec, 16, tmp_path / "cache", observe=told.append)
    assert told[0].facts is None
    assert told[-1] == Reading(1.0, facts_of(first))
    told.clear()
    assert prepare(spec, 16, tmp_path / "cache", observe=told.append) == first
    assert not told
    (first / "0.bin").unlink()
    assert prepare(spec, 16, tmp_path / "cache", observe=told.append) == first
    assert TokenData.load(first).train.whole().any()


def test_several_files_are_one_corpus(tmp_path: Path) -> None:
    half = len(TEXT) // 2
    (tmp_path / "one.txt").write_text(TEXT[:half])
    (tmp_path / "two.md").write_text(TEXT[half:])
    spec = DataSpec(text=(str(tmp_path / "one.txt"), str(tmp_path / "*.md")))
    assert facts_of(prepare(spec, 16, tmp_path / "cache")).corpus == len(TEXT)


def test_copies_of_a_file_count_once(tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / f"{number}.txt").write_text(TEXT)
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone" / "0.txt").write_text(TEXT)
    copies = DataSpec(text=str(tmp_path / "*.txt"))
    alone = DataSpec(text=str(tmp_path / "alone" / "*.txt"))
    cache = tmp_path / "cache"
    assert prepare(copies, 16, cache) == prepare(alone, 16, cache)


@pytest.mark.parametrize("name", ["notes [v2].txt", "exp [v2]/notes.txt", "what?.txt", "a*.txt"])
def test_a_path_that_exists_is_that_path(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(TEXT)
    (tmp_path / "notes v.txt").write_text("another")
    (tmp_path / "ab.txt").write_text("another")
    folder = prepare(DataSpec(text=str(path)), 16, tmp_path / "cache")
    assert facts_of(folder).corpus == len(TEXT)


def test_files_to_validate_on_are_not_trained_on(tmp_path: Path) -> None:
    train, held_out = TEXT[:5000], TEXT[5000:9000]
    (tmp_path / "train.txt").write_text(train)
    (tmp_path / "held_out.txt").write_text(held_out)
    spec = DataSpec(text=str(tmp_path / "train.txt"), validation=str(tmp_path / "held_out.txt"))
    data = TokenData.load(prepare(spec, 16, tmp_path / "cache"))
    assert data.train.whole().tobytes().decode() == train
    assert data.validation.whole().tobytes().decode() == held_out


def test_a_text_that_keeps_its_order_is_whole_however_long(tmp_path: Path) -> None:
    text = "".join(f"line {number}\n" for number in range(250_000))
    (tmp_path / "train.txt").write_text(text)
    (tmp_path / "held_out.txt").write_text(TEXT)
    spec = DataSpec(text=str(tmp_path / "train.txt"), validation=str(tmp_path / "held_out.txt"))
    data = TokenData.load(prepare(spec, 16, tmp_path / "cache"))
    assert data.train.whole().tobytes().decode() == text


@pytest.mark.parametrize(
    ("content", "named", "says"),
    [
        (None, "missing.txt", "no such file"),
        (None, "x" * 300, "File name too long"),
        (b"", "empty.txt", "holds no text"),
        (b"short", "short.txt", "one sequence needs 17"),
        (np.arange(999, dtype="<u2").tobytes(), "ids.bin", "data.tokens"),
        (np.full(999, 31000, "<u4").tobytes(), "ids.bin", "data.dtype: uint16 or uint32"),
        (" ".join(map(str, range(2000))).encode(), "ids.txt", "whole numbers"),
        (b"\x93NUMPY" + TEXT.encode(), "a.npy", "write data.tokens"),
        (b"PAR1" + TEXT.encode(), "a.parquet", "write data.parquet"),
        (b"\x1f\x8b\x08" + TEXT.encode(), "a.jsonl.gz", "data.jsonl"),
        (b"\x80\x04\x95" + TEXT.encode() + b".", "a.txt", "is a pickle"),
    ],
)
def test_a_useless_corpus_is_refused(
    tmp_path: Path, content: bytes | None, named: str, says: str
) -> None:
    path = tmp_path / named
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=says) as refusal:
        prepare(DataSpec(text=(str(path),)), 16, tmp_path / "cache")
    assert "data.text" in str(refusal.value)
    assert named in str(refusal.value)
    assert not (tmp_path / "cache").exists()


def test_the_default_corpus_is_on_every_machine() -> None:
    files = standard_library()
    assert sum(path.stat().st_size for path in files) > 5_000_000
    assert not any("site-packages" in path.parts for path in files)
