"""The default corpus: the source code of the running Python's standard library."""

import os
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from proxytune.config.data import DataSpec
from proxytune.data.documents import Documents
from proxytune.data.sampling import Sample
from proxytune.data.sources import Tell
from proxytune.data.sources.text import TextFiles
from proxytune.data.texts import read_texts
from proxytune.data.tokenizers import Tokenizer, open_tokenizer

NOT_LIBRARY = frozenset({"site-packages", "test", "tests", "idlelib", "lib2to3", "__pycache__"})
"""Folders of the standard library to leave out: third-party packages and tests."""


class Source:
    """The standard library; see DataSource."""

    def __init__(self, data: DataSpec) -> None:
        self._end = data.end_of_text
        self.files: Sequence[Path] = standard_library()
        self.tokenizer: Tokenizer = open_tokenizer(data)

    def read(self, sample: Sample, file: Path, tell: Tell) -> Documents:
        """Cuts and tokenizes."""
        end = self.tokenizer.end(self._end)
        return read_texts(TextFiles(self.files), self.tokenizer, end, sample, file, tell)


def standard_library() -> list[Path]:
    """The source files of the running Python's standard library."""
    files = []
    for folder, folders, names in os.walk(sysconfig.get_paths()["stdlib"]):
        folders[:] = [name for name in folders if name not in NOT_LIBRARY]
        files += [Path(folder, name) for name in names if name.endswith(".py")]
    return sorted(files)
