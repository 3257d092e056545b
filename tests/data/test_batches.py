"""Laws of the data: batches are pure functions, and no document is on both sides."""

from pathlib import Path

import numpy as np
import pytest

from proxytune.config.data import DataSpec
from proxytune.data.batches import training_batch, validation_batches
from proxytune.data.corpus import cut, divide, read_corpus, standard_library
from proxytune.data.tokens import TokenData, prepare
from proxytune.errors import InputError
from tests.conftest import TEXT


def test_a_batch_is_a_pure_function_of_seed_and_step(tokens: Path) -> None:
    data = TokenData.load(tokens)
    again = TokenData.load(tokens)
    for step in (5, 0, 3):
        one = training_batch(data.train, 1, step, 4, 16)
        assert one.shape == (4, 17)
        assert (one == training_batch(again.train, 1, step, 4, 16)).all()
    assert (
        training_batch(data.train, 1, 0, 4, 16) != training_batch(data.train, 2, 0, 4, 16)
    ).any()
    assert (
        training_batch(data.train, 1, 0, 4, 16) != training_batch(data.train, 1, 1, 4, 16)
    ).any()


def test_batches_are_windows_of_the_text(tokens: Path) -> None:
    data = TokenData.load(tokens)
    text = data.train.tobytes()
    for row in training_batch(data.train, 0, 0, 8, 16):
        assert bytes(row.astype(np.uint8)) in text


def test_every_window_can_be_drawn(tokens: Path) -> None:
    few = np.arange(20, dtype=np.uint8)
    starts = {int(row[0]) for step in range(60) for row in training_batch(few, 0, step, 4, 16)}
    assert starts == {0, 1, 2, 3}


def test_validation_covers_its_tokens_evenly(tokens: Path) -> None:
    held_out = TokenData.load(tokens).validation
    exam = validation_batches(held_out, 2, 4, 16)
    assert exam.shape == (2, 4, 17)
    assert (exam[0, 0] == held_out[:17]).all()
    assert (exam[-1, -1] == held_out[-17:]).all()


def test_documents_are_divided_without_overlap_or_loss() -> None:
    documents = [f"document {i % 80}".encode() for i in range(100)]
    corpus = divide(documents, 0.25)
    assert set(corpus.train) | set(corpus.validation) == set(documents)
    assert set(corpus.train).isdisjoint(corpus.validation)
    assert len(corpus.train) + len(corpus.validation) == 80
    assert 0.2 < len(corpus.validation) / 80 < 0.3


def test_the_division_depends_on_content_alone() -> None:
    documents = [f"document {i}".encode() for i in range(50)]
    assert divide(documents, 0.1) == divide(documents[::-1], 0.1)


def test_cutting_loses_nothing_and_ends_at_lines() -> None:
    documents = cut([TEXT.encode(), b"a last line without its end"])
    assert b"".join(documents) == TEXT.encode() + b"a last line without its end"
    assert len(documents) >= 40
    assert all(document.endswith(b"\n") for document in documents[:-1])


def test_tokens_are_cached_by_content(tmp_path: Path) -> None:
    text = tmp_path / "a.txt"
    text.write_text(TEXT)
    spec = DataSpec(text=(str(tmp_path / "*.txt"),))
    first = prepare(spec, 16, tmp_path / "cache")
    written = (first / "train.bin").stat().st_mtime_ns
    text.rename(tmp_path / "b.txt")
    assert prepare(spec, 16, tmp_path / "cache") == first
    assert (first / "train.bin").stat().st_mtime_ns == written
    (tmp_path / "b.txt").write_text(TEXT + "one more line\n")
    assert prepare(spec, 16, tmp_path / "cache") != first
    assert not list((tmp_path / "cache").glob(".*"))


def test_several_files_are_one_corpus(tmp_path: Path) -> None:
    half = len(TEXT) // 2
    (tmp_path / "one.txt").write_text(TEXT[:half])
    (tmp_path / "two.md").write_text(TEXT[half:])
    spec = DataSpec(text=(str(tmp_path / "one.txt"), str(tmp_path / "*.md")))
    corpus = read_corpus(spec)
    assert sum(map(len, corpus.train + corpus.validation)) == len(TEXT)


@pytest.mark.parametrize(
    ("content", "named", "says"),
    [
        (None, "missing.txt", "no such file"),
        ("", "empty.txt", "holds no text"),
        ("short", "short.txt", "one sequence needs 17"),
    ],
)
def test_a_useless_corpus_is_refused(
    tmp_path: Path, content: str | None, named: str, says: str
) -> None:
    path = tmp_path / named
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=says) as refusal:
        prepare(DataSpec(text=(str(path),)), 16, tmp_path / "cache")
    assert "data.text" in str(refusal.value)
    assert named in str(refusal.value)
    assert not (tmp_path / "cache").exists()


def test_the_default_corpus_is_on_every_machine() -> None:
    files = standard_library()
    assert sum(path.stat().st_size for path in files) > 5_000_000
    assert not any("site-packages" in path.parts for path in files)
