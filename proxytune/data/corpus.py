"""The documents of a corpus, and their split into training and validation."""

import glob
import hashlib
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from proxytune.config.data import DataSpec
from proxytune.errors import InputError

DOCUMENT_BYTES = 64 * 1024
"""Longest document. A longer file is cut into several, so that one file can be split too."""
FEWEST_DOCUMENTS = 40
"""A corpus smaller than this many longest documents is cut into smaller ones."""
NOT_LIBRARY = frozenset({"site-packages", "test", "tests", "idlelib", "lib2to3", "__pycache__"})
"""Folders of the standard library to leave out: third-party packages and tests."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """The documents of each split; no document, nor a copy of it, is in both."""

    train: tuple[bytes, ...]
    validation: tuple[bytes, ...]

    @property
    def digest(self) -> str:
        """A hash of all documents and their split."""
        whole = hashlib.sha256()
        for documents in (self.train, self.validation):
            whole.update(len(documents).to_bytes(8, "big"))
            for document in documents:
                whole.update(hashlib.sha256(document).digest())
        return whole.hexdigest()


def read_corpus(data: DataSpec) -> Corpus:
    """Reads and splits the corpus.

    Raises an InputError that names the field if a file is missing, unreadable or empty.
    """
    files = standard_library() if data.text is None else _text_files(data.text)
    contents = [content for path in files if (content := _read(path, data))]
    if not contents:
        raise InputError.of_field("data.text", _given(data), "holds no text")
    return divide(cut(contents), data.validation_fraction)


def standard_library() -> list[Path]:
    """The source files of the running Python's standard library."""
    folder = Path(sysconfig.get_paths()["stdlib"])
    files = (path for path in folder.rglob("*.py"))
    return sorted(f for f in files if NOT_LIBRARY.isdisjoint(f.relative_to(folder).parts))


def cut(contents: Iterable[bytes]) -> list[bytes]:
    """Cuts long texts into documents, at the end of a line if there is one."""
    texts = list(contents)
    longest = max(1, min(DOCUMENT_BYTES, sum(map(len, texts)) // FEWEST_DOCUMENTS))
    documents = []
    for text in texts:
        start = 0
        while start < len(text):
            end = start + longest
            line_end = text.rfind(b"\n", start, end) + 1
            end = line_end if line_end > start and end < len(text) else end
            documents.append(text[start:end])
            start = end
    return documents


def divide(documents: Iterable[bytes], validation_fraction: float) -> Corpus:
    """Splits documents at random, by their content alone; order and file names do not matter."""
    by_digest = {hashlib.sha256(document).digest(): document for document in documents}
    ordered = [by_digest[digest] for digest in sorted(by_digest)]
    wanted = validation_fraction * sum(map(len, ordered))
    taken = count = 0
    while count < len(ordered) and taken < wanted:
        taken += len(ordered[count])
        count += 1
    return Corpus(train=tuple(ordered[count:]), validation=tuple(ordered[:count]))


def _text_files(patterns: tuple[str, ...]) -> list[Path]:
    files: set[Path] = set()
    for pattern in patterns:
        found = [Path(name) for name in glob.glob(pattern, recursive=True)]
        found = [path for path in found if path.is_file()]
        if not found:
            raise InputError.of_field("data.text", pattern, "no such file; give a path or a glob")
        files.update(found)
    return sorted(files)


def _read(path: Path, data: DataSpec) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError.of_field(
            "data.text", str(path), f"cannot be read: {error.strerror}"
        ) from None


def _given(data: DataSpec) -> object:
    return list(data.text) if data.text else "the standard library"
