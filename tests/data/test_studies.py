"""Studies on every source: through the command, as users run them."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from tokenizers import Tokenizer

from proxytune.data.prepare import prepare
from proxytune.data.tokens import facts_of
from proxytune.home import Home
from proxytune.search.study import Study
from proxytune.storage.open import open_storage
from tests.commands import TARGET, TINY, proxytune, write_yaml
from tests.conftest import TEXT
from tests.data.test_rows import DOCUMENTS, jsonl_zst, parquet
from tests.data.test_tokenizers import END, VOCABULARY, byte_level

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


def create(folder: Path, data: dict[str, Any], **changes: Any) -> Result:
    """`study create` of a study that trains in a second."""
    file = write_yaml(folder / "tiny.yaml", TINY | {"data": data} | changes)
    return proxytune("study", "create", file, "--home", folder / "home", "--json")


def report(folder: Path, data: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """What it printed."""
    made = create(folder, data, **changes)
    assert made.exit_code == 0, made.stderr
    found: dict[str, Any] = json.loads(made.stdout)
    assert found["state"] == "complete"
    return found


@pytest.mark.parametrize(("dtype", "vocabulary"), [("uint16", 32_000), ("uint32", 70_000)])
def test_token_ids_train_and_one_out_of_range_is_refused(
    dtype: str, vocabulary: int, tmp_path: Path
) -> None:
    ids = np.random.default_rng(0).integers(vocabulary, size=5000).astype(dtype)
    ids[4321] = vocabulary - 1
    ids.tofile(tmp_path / "train.bin")
    data = {"tokens": "train.bin", "dtype": dtype}
    found = report(tmp_path, data)
    assert found["spec"]["proxy"]["vocab_size"] == vocabulary
    assert found["spec"]["base"]["vocab_size"] == vocabulary
    smaller = {"name": "smaller", "proxy": TINY["proxy"] | {"vocab_size": vocabulary - 1}}
    refused = create(tmp_path, data, **smaller)
    assert refused.exit_code == 2
    assert refused.stderr.count("Error: ") == 1
    assert f"token {vocabulary - 1} ({tmp_path}/train.bin, position 4321)" in refused.stderr


def test_the_same_bytes_as_text_and_as_ids_give_the_same_losses(tmp_path: Path) -> None:
    held_out = TEXT[-9000:]
    for name, text in {"train": TEXT[:-9000], "validation": held_out}.items():
        (tmp_path / f"{name}.txt").write_text(text)
        np.frombuffer(text.encode(), np.uint8).astype("<u2").tofile(tmp_path / f"{name}.bin")
    text = {"text": "train.txt", "validation": "validation.txt"}
    ids = {"tokens": "train.bin", "validation": "validation.bin", "dtype": "uint16"}
    first = report(tmp_path, text)
    proxy = first["spec"]["proxy"]
    assert proxy["vocab_size"] == 256
    ours, theirs = first["trials"], report(tmp_path, ids, name="ids", proxy=proxy)["trials"]
    assert [t["value"] for t in ours] == pytest.approx([t["value"] for t in theirs], abs=1e-6)


def test_the_same_text_in_every_format_gives_the_same_losses(tmp_path: Path) -> None:
    """As text, as tables of text, and as ids that somebody made of it, with one tokenizer."""
    tokenizer = byte_level(tmp_path / "tokenizer.json")
    library = Tokenizer.from_file(str(tokenizer))
    end = library.token_to_id(END)
    for number, document in enumerate(DOCUMENTS):
        (tmp_path / f"{number}.txt").write_bytes(document)
    parquet(tmp_path / "a.parquet", DOCUMENTS)
    jsonl_zst(tmp_path / "a.jsonl.zst", DOCUMENTS)
    ids = [[*library.encode(document.decode()).ids, end] for document in DOCUMENTS]
    np.concatenate(ids).astype("<u2").tofile(tmp_path / "a.bin")
    blocks: dict[str, dict[str, Any]] = {
        "text": {"text": "*.txt"},
        "parquet": {"parquet": "a.parquet"},
        "jsonl": {"jsonl": "a.jsonl.zst"},
        "tokens": {"tokens": "a.bin", "dtype": "uint16", "end_of_text": END},
    }
    losses = {}
    for name, block in blocks.items():
        found = report(tmp_path, block | {"tokenizer": "tokenizer.json"}, name=name)
        assert found["spec"]["proxy"]["vocab_size"] == VOCABULARY
        losses[name] = [trial["value"] for trial in found["trials"]]
        bits = [trial["bits_per_byte"] for trial in found["trials"]]
        per_token = found["corpus"]["bytes_per_token"]
        if name == "tokens":
            assert (bits, per_token) == ([None] * 4, None)
        else:
            expected = [loss / math.log(2) / per_token for loss in losses[name]]
            assert bits == pytest.approx(expected)
    for name in blocks:
        assert losses[name] == pytest.approx(losses["text"], abs=1e-6)


def test_a_study_does_not_go_on_with_another_corpus(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(TEXT)
    report(tmp_path, {"text": "a.txt"})
    file = write_yaml(tmp_path / "more.yaml", TINY | {"name": "more", "data": {"text": "a.txt"}})
    home = ("--home", tmp_path / "home")
    assert proxytune("study", "create", file, "--no-run", *home).exit_code == 0
    study = Study(open_storage(Home(tmp_path / "home").journal, None), "more")
    study.require_corpus(facts_of(prepare(study.spec.data, 16, tmp_path / "cache")))
    (tmp_path / "a.txt").write_text(TEXT + "and more\n")
    refused = proxytune("study", "run", "more", *home)
    assert refused.exit_code == 2
    assert f"data.text = ['{tmp_path}/a.txt']: has changed since study 'more'" in refused.stderr
    (tmp_path / "a.txt").write_text(TEXT)
    assert proxytune("study", "run", "more", *home).exit_code == 0


def test_a_sample_is_told(tmp_path: Path) -> None:
    ids = np.random.default_rng(0).integers(256, size=50_000).astype("<u2")
    ids.tofile(tmp_path / "a.bin")
    data = {"tokens": "a.bin", "dtype": "uint16", "sample": 5000}
    made = create(tmp_path, data)
    (line,) = [line for line in made.stderr.splitlines() if line.startswith("corpus: ")]
    assert line == "corpus: 4,992 of 50,000 tokens"
    corpus = json.loads(made.stdout)["corpus"]
    assert (corpus["train"] + corpus["validation"], corpus["corpus"]) == (4992, 50_000)
    shown = proxytune("study", "show", "tiny", "--home", tmp_path / "home")
    assert line.removeprefix("corpus: ") in " ".join(shown.stdout.split())


def test_evidence_and_transfer_take_the_vocabulary_of_the_tokens(tmp_path: Path) -> None:
    ids = np.random.default_rng(0).integers(999, size=9000)
    ids[5] = 998
    ids.astype("<u4").tofile(tmp_path / "a.bin")
    data = {"tokens": "a.bin", "dtype": "uint32"}
    report(tmp_path, data)
    home = ("--home", tmp_path / "home", "--json")
    target = write_yaml(tmp_path / "wide.yaml", TARGET)
    moved = proxytune("transfer", "--target", target, *home)
    assert moved.exit_code in (0, 1), moved.stderr
    assert len(json.loads(moved.stdout)["check"]["losses"]) > 0
    shared = {name: TINY[name] for name in ("proxy", "training", "execution")}
    grid = {"axis": "width", "values": [1, 2], "seeds": 2}
    grid |= {"grid": {"low": 0.01, "high": 0.1, "points": 3}}
    evidence = write_yaml(tmp_path / "evidence.yaml", shared | grid | {"data": data})
    found = proxytune("evidence", "run", evidence, *home)
    assert found.exit_code == 0, found.stderr
    assert json.loads(found.stdout)["spec"]["proxy"]["vocab_size"] == 999


def test_a_coordinate_check_takes_the_vocabulary_of_its_study_s_tokens(tmp_path: Path) -> None:
    np.random.default_rng(0).integers(999, size=5000).astype("<u4").tofile(tmp_path / "a.bin")
    tiny = TINY | {"data": {"tokens": "a.bin", "dtype": "uint32"}}
    file = write_yaml(tmp_path / "tiny.yaml", tiny)
    words = ("coord-check", "--axis", "width", "--values", "1,2", "--steps", "1", "--seeds", "2")
    made = proxytune(*words, "--study", file, "--home", tmp_path / "home", "--json")
    assert made.exit_code in (0, 1), made.stderr
    assert json.loads(made.stdout)["spec"]["proxy"]["vocab_size"] == 999
