"""What all tests share: small shapes, and tokens prepared once."""

from pathlib import Path

import pytest
import torch

from proxytune.data.tokens import prepare
from proxytune.spec.shape import Shape
from proxytune.spec.training import DataSpec

TEXT = "".join(f"line {i} of {i * i % 97} is not line {i + 1}.\n" for i in range(2000))


# Models of these sizes gain nothing from a second thread, and lose much where cores are shared.
torch.set_num_threads(1)


@pytest.fixture
def shape() -> Shape:
    """A decoder small enough for milliseconds, with repeat factor 2."""
    return Shape(d_model=16, n_layers=2, n_heads=4, n_kv_heads=2, seq_len=16)


@pytest.fixture(scope="session")
def text_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some 50 kB of text."""
    path = tmp_path_factory.mktemp("corpus") / "text.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture(scope="session")
def tokens(text_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The token cache of `text_file`."""
    return prepare(DataSpec(text=(str(text_file),)), 16, tmp_path_factory.mktemp("tokens"))
