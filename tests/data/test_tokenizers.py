"""Tokenizers, trained here by their own libraries."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentencepiece
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from proxytune.config.data import DataSpec
from proxytune.data.prepare import prepare
from proxytune.data.sampling import LEAST, Sample
from proxytune.data.tokenizers import open_tokenizer
from proxytune.data.tokens import TokenData, facts_of
from proxytune.errors import InputError
from tests.conftest import TEXT
from tests.data.test_rows import DOCUMENTS, FORMATS

VOCABULARY = 400
END = "<|endoftext|>"


def byte_level(path: Path, vocabulary: int = VOCABULARY, special: list[str] | None = None) -> Path:
    """A tokenizer.json of byte-level BPE, as GPT-2's."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END] if special is None else special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([TEXT], trainer)
    tokenizer.save(str(path))
    return path


@pytest.fixture(scope="module")
def hugging_face(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer.json."""
    return byte_level(tmp_path_factory.mktemp("hf") / "tokenizer.json")


@pytest.fixture(scope="module")
def sentence_piece(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A .model."""
    folder = tmp_path_factory.mktemp("spm")
    (folder / "text.txt").write_text(TEXT)
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "text.txt"),
        model_prefix=str(folder / "spm"),
        vocab_size=VOCABULARY,
        hard_vocab_limit=False,
        byte_fallback=True,
        minloglevel=2,
    )
    return folder / "spm.model"


def splits(folder: Path, **data: Any) -> list[np.ndarray[Any, Any]]:
    """The tokens to train on, and those to validate on."""
    read = TokenData.load(prepare(DataSpec.model_validate(data), 16, folder / "cache"))
    return [read.train.whole(), read.validation.whole()]


@pytest.fixture
def texts(tmp_path: Path) -> dict[str, str]:
    """The data block of some documents, one per file."""
    for number, document in enumerate(DOCUMENTS):
        (tmp_path / f"{number}.txt").write_bytes(document)
    return {"text": str(tmp_path / "*.txt")}


def test_the_ids_are_those_of_the_library(
    hugging_face: Path, sentence_piece: Path, tmp_path: Path
) -> None:
    library = Tokenizer.from_file(str(hugging_face))
    processor = sentencepiece.SentencePieceProcessor(model_file=str(sentence_piece))
    texts = ["", "one\n\ntwo", "ünï€😀", " leading", TEXT[:3000]]
    packed = [text.encode() for text in texts]
    ours = open_tokenizer(DataSpec(tokenizer=str(hugging_face)))
    assert [ids.tolist() for ids in ours.encode(packed)] == [
        library.encode(text, add_special_tokens=False).ids for text in texts
    ]
    assert ours.vocabulary == library.get_vocab_size()
    ours = open_tokenizer(DataSpec(tokenizer=str(sentence_piece)))
    assert [ids.tolist() for ids in ours.encode(packed)] == [processor.encode(t) for t in texts]
    assert ours.vocabulary == processor.get_piece_size()


@pytest.mark.parametrize("name", ["parquet", "arrow", "jsonl", "jsonl.gz", "jsonl.zst"])
def test_the_same_text_is_the_same_tokens_in_every_format(
    name: str, texts: dict[str, str], hugging_face: Path, tmp_path: Path
) -> None:
    write, key, file = FORMATS[name]
    write(tmp_path / file, DOCUMENTS)
    spec = {key: str(tmp_path / file), "tokenizer": str(hugging_face)}
    ours = splits(tmp_path, tokenizer=str(hugging_face), **texts)
    for one, other in zip(ours, splits(tmp_path, **spec), strict=True):
        assert (one == other).all()


@pytest.mark.parametrize("dtype", ["uint16", "uint32"])
def test_text_is_the_tokens_that_somebody_made_of_it_before(
    dtype: str, texts: dict[str, str], hugging_face: Path, tmp_path: Path
) -> None:
    """Split by documents, whose order does not matter."""
    library = Tokenizer.from_file(str(hugging_face))
    end = library.token_to_id(END)
    ids = [[*library.encode(d.decode()).ids, end] for d in reversed(DOCUMENTS)]
    np.concatenate(ids).astype(dtype).tofile(tmp_path / "a.bin")
    spec = {"tokens": str(tmp_path / "a.bin"), "dtype": dtype, "end_of_text": end}
    ours = splits(tmp_path, tokenizer=str(hugging_face), **texts)
    for one, other in zip(ours, splits(tmp_path, **spec), strict=True):
        assert (one == other).all()
    kept = prepare(
        DataSpec.model_validate(spec | {"end_of_text": END, "tokenizer": str(hugging_face)}),
        16,
        tmp_path / "cache",
    )
    assert facts_of(kept).vocab_size == VOCABULARY
    assert (TokenData.load(kept).train.whole() == ours[0]).all()


def test_ids_take_two_bytes_or_four_as_the_vocabulary_needs(
    texts: dict[str, str], hugging_face: Path, tmp_path: Path
) -> None:
    many = byte_level(
        tmp_path / "tokenizer.json", 2**16 + 300, [END, *(f"<{n}>" for n in range(2**16))]
    )
    for path, bytes_each in ((hugging_face, 2), (many, 4)):
        kept = prepare(
            DataSpec.model_validate(texts | {"tokenizer": str(path)}), 16, tmp_path / "cache"
        )
        facts, size = facts_of(kept), (kept / "0.bin").stat().st_size
        assert size == (facts.corpus + 1) * bytes_each
    assert facts.vocab_size > 2**16


def test_the_end_of_text_is_named_or_known(
    texts: dict[str, str], hugging_face: Path, sentence_piece: Path, tmp_path: Path
) -> None:
    def ends(path: Path, **data: Any) -> int:
        train, _ = splits(tmp_path, tokenizer=str(path), **texts, **data)
        end = open_tokenizer(DataSpec(tokenizer=str(path))).end(data.get("end_of_text"))
        return 0 if end is None else int((train == end).sum())

    assert ends(hugging_face) > 300
    assert ends(sentence_piece) > 300
    bare = byte_level(tmp_path / "bare.json", special=[])
    assert ends(bare) == 0
    assert ends(bare, end_of_text=7) > 300
    told = byte_level(tmp_path / "tokenizer.json", special=["<stop>"])
    settings = tmp_path / "tokenizer_config.json"
    assert ends(told) == 0
    settings.write_text(json.dumps({"eos_token": {"content": "<stop>"}}))
    assert ends(told) > 300
    for wrong in (VOCABULARY, "<none>"):
        with pytest.raises(InputError, match=r"data\.end_of_text"):
            ends(hugging_face, end_of_text=wrong)


def test_bytes_per_token_are_known_of_text(
    texts: dict[str, str], hugging_face: Path, tmp_path: Path
) -> None:
    spec = DataSpec.model_validate(texts | {"tokenizer": str(hugging_face)})
    kept = prepare(spec, 16, tmp_path / "cache")
    _, held_out = splits(tmp_path, **texts, tokenizer=str(hugging_face))
    text = Tokenizer.from_file(str(hugging_face)).decode(held_out.tolist())
    assert facts_of(kept).bytes_per_token == pytest.approx(len(text) / len(held_out))


def test_a_vocabulary_that_the_proxy_does_not_hold_is_refused_before_reading(
    hugging_face: Path, texts: dict[str, str], tmp_path: Path
) -> None:
    spec = DataSpec.model_validate(texts | {"tokenizer": str(hugging_face)})
    with pytest.raises(InputError, match=rf"proxy\.vocab_size = 256: .*{VOCABULARY} tokens"):
        prepare(spec, 16, tmp_path / "cache", vocab_size=256)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("gpt2", None, "no such file"),
        ("a.json", "{}", "is not a tokenizer.json"),
        ("a.model", "text", "is not a model of SentencePiece"),
    ],
)
def test_no_tokenizer_is_refused(
    name: str, content: str | None, says: str, texts: dict[str, str], tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=f"data.tokenizer.*{says}"):
        splits(tmp_path, tokenizer=str(tmp_path / name), **texts)


@pytest.mark.parametrize("library", ["tokenizers", "sentencepiece"])
def test_a_missing_library_says_what_to_install(
    library: str, texts: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / ("a.json" if library == "tokenizers" else "a.model")
    path.touch()
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(InputError, match=r"pip install 'proxytune\[tokenizers\]'"):
        splits(tmp_path, tokenizer=str(path), **texts)


def test_text_that_is_not_utf_8_is_named(hugging_face: Path, tmp_path: Path) -> None:
    (tmp_path / "good.txt").write_text(TEXT)
    (tmp_path / "latin.txt").write_bytes("naïve\n".encode("latin-1") * 99)
    with pytest.raises(InputError, match=r"latin.txt: is not UTF-8 text"):
        splits(tmp_path, text=str(tmp_path / "*.txt"), tokenizer=str(hugging_face))


def test_a_text_without_lines_is_cut_between_characters(
    hugging_face: Path, tmp_path: Path
) -> None:
    text = "".join(f"a€{number}" for number in range(20_000))
    (tmp_path / "a.txt").write_text(text)
    both = splits(tmp_path, text=str(tmp_path / "a.txt"), tokenizer=str(hugging_face))
    decoded = Tokenizer.from_file(str(hugging_face)).decode(np.concatenate(both).tolist())
    # Pieces are joined by the end of a text, which is not decoded.
    assert sorted(decoded) == sorted(text)


def test_a_sample_of_text_is_as_large_as_asked_whatever_the_tokenizer(
    hugging_face: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("".join(f"{n} {TEXT[:2000]}" for n in range(300)))
    kept = prepare(
        DataSpec(text=(str(tmp_path / "a.txt"),), tokenizer=str(hugging_face), sample=50_000),
        16,
        tmp_path / "cache",
    )
    facts = facts_of(kept)
    assert 40_000 < facts.train + facts.validation < 65_000
    whole = len(
        Tokenizer.from_file(str(hugging_face)).encode((tmp_path / "a.txt").read_text()).ids
    )
    assert not facts.exact
    assert 0.9 < facts.corpus / whole < 1.1


def test_a_sample_is_four_times_what_a_run_reads_and_never_tiny() -> None:
    assert Sample.of(DataSpec(), 1000).tokens == LEAST
    assert Sample.of(DataSpec(), LEAST).tokens == 4 * LEAST
    assert Sample.of(DataSpec(sample=7), LEAST).tokens == 7
