"""How much memory and time does a study need before it trains, on corpora of any size?

`study create --no-run`, each time in a process of its own: on a small text, on gigabytes of text
by bytes and by a tokenizer, on a large file of token ids, and once more on what is cached.
The large files are written into a temporary folder; that of ids is sparse.

    python benchmarks/corpus_memory.py --json
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import yaml
from machine import machine
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from proxytune.data.sources.library import standard_library

VOCABULARY = 8192
STUDY: dict[str, Any] = {
    "name": "corpus",
    "proxy": {"d_model": 32, "n_layers": 2, "n_heads": 4, "seq_len": 64},
    "search": {"space": {"learning_rate": {"low": 0.002, "high": 0.1, "log": True}}},
}
COMMAND = """
import sys
from pathlib import Path
from proxytune.cli import start
try:
    start()
finally:
    status = Path("/proc/self/status").read_text().splitlines()
    print(next(line for line in status if line.startswith("VmHWM")), file=sys.stderr)
"""
"""The command, and then the most memory that it had; the system's own count has its parent's."""


@click.command()
@click.option("--text-gigabytes", default=2.0, show_default=True)
@click.option("--token-gigabytes", default=20.0, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(text_gigabytes: float, token_gigabytes: float, as_json: bool) -> None:
    """Peak memory and seconds of defining a study on each corpus."""
    with tempfile.TemporaryDirectory(prefix="proxytune-corpora-") as name:
        folder = Path(name)
        _write_text(folder / "small.txt", 1e6)
        _write_text(folder / "large.txt", text_gigabytes * 1e9)
        with (folder / "large.bin").open("wb") as file:
            file.truncate(int(token_gigabytes * 1e9) // 2 * 2)
        _train_tokenizer(folder / "small.txt", folder / "tokenizer.json")
        by_tokenizer = {"tokenizer": "tokenizer.json"}
        rows = [
            _created(folder, "a small text", {"text": "small.txt"}),
            _created(folder, "text, by bytes", {"text": "large.txt"}),
            _created(folder, "the same, again", {"text": "large.txt"}),
            _created(folder, "text, by a tokenizer", {"text": "large.txt"} | by_tokenizer),
            _created(folder, "token ids", {"tokens": "large.bin", "dtype": "uint16"}),
        ]
    least = rows[0]["peak_megabytes"]
    for row in rows:
        row["above_small"] = round(row["peak_megabytes"] - least, 1)
    result = {
        "text_gigabytes": text_gigabytes,
        "token_gigabytes": token_gigabytes,
        "rows": rows,
        "machine": machine(),
    }
    if as_json:
        print(json.dumps(result, indent=2))
        return
    for row in rows:
        print(f"{row['corpus']:24}{row['peak_megabytes']:8.0f} MB {row['seconds']:8.1f} s")


def _created(folder: Path, corpus: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """Peak memory and time of a process that defines a study on a corpus."""
    name = corpus.replace(",", "").replace(" ", "-")
    file = folder / "study.yaml"
    file.write_text(yaml.safe_dump(STUDY | {"name": name, "data": dict(data)}))
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, "study", "create", file, "--no-run", "--home", "home"],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    told = process.stderr.read().splitlines()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit("\n".join(told))
    return {
        "corpus": corpus,
        "seconds": round(time.perf_counter() - began, 2),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_megabytes": round(int(told[-1].split()[1]) * 1.024 / 1000, 1),
        "told": told[-2] if len(told) > 1 else "",
    }


def _write_text(path: Path, size: float) -> None:
    """Python's library over and over, each time with another first line."""
    library = b"\n".join(file.read_bytes() for file in standard_library())
    with path.open("wb") as file:
        copy = 0
        while file.tell() < size:
            file.write(f"# copy {copy:09}\n".encode() + library[: int(size) - file.tell()])
            copy += 1


def _train_tokenizer(text: Path, path: Path) -> None:
    """Byte-level BPE."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train([str(text)], trainer)
    tokenizer.save(str(path))


if __name__ == "__main__":
    main()
