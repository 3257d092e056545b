"""Text files, read as they are."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from proxytune.config.data import DataSpec
from proxytune.data.documents import Documents
from proxytune.data.kinds import kind_of_binary
from proxytune.data.paths import found, require_files, without_copies
from proxytune.data.sampling import Sample, Stretch, stretches
from proxytune.data.sources import Tell
from proxytune.data.texts import Text, read_texts, whole_characters
from proxytune.data.tokenizers import Tokenizer, open_tokenizer
from proxytune.errors import InputError

CHUNK = 2**20
"""Bytes that are read at once."""
AHEAD = 2**14
"""Bytes after a stretch in which a line may end."""


class Source:
    """Text files; see DataSource."""

    def __init__(self, data: DataSpec, field: str, patterns: Sequence[str]) -> None:
        self._field, self._end = field, data.end_of_text
        self.files: Sequence[Path] = found(field, patterns)
        require_files(field, self.files, ".txt")
        self.tokenizer: Tokenizer = open_tokenizer(data)

    def read(self, sample: Sample, file: Path, tell: Tell) -> Documents:
        """Cuts and tokenizes."""
        for path in self.files:
            if (kind := kind_of_binary(path)) is not None:
                raise InputError.of_field(self._field, str(path), f"{kind.found}; {kind.instead}")
        end = self.tokenizer.end(self._end)
        texts = TextFiles(without_copies(self.files))
        return read_texts(texts, self.tokenizer, end, sample, file, tell)


class TextFiles:
    """The texts of files; see Texts."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = files
        self._sizes = [path.stat().st_size for path in files]

    def size(self) -> int:
        """Of all files."""
        return sum(self._sizes)

    def texts(self, share: float) -> Iterator[Text]:
        """Whole files, or lines from all over them."""
        if share >= 1:
            for path in self._files:
                yield Text(str(path), _chunks(path))
        else:
            for part in stretches(self._sizes, share * self.size()):
                path = self._files[part.file]
                yield Text(str(path), [_lines(path, part)])


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def _lines(path: Path, part: Stretch) -> bytes:
    """The lines that begin in a stretch; if it holds none, the stretch itself."""
    length = part.stop - part.start
    with path.open("rb") as file:
        file.seek(part.start)
        text = file.read(length + AHEAD)
    begin = text.find(b"\n", 0, length) + 1 if part.start else 0
    end = text.find(b"\n", length) + 1 or length
    while begin < end and text[begin] & 0b1100_0000 == 0b1000_0000:
        begin += 1
    return whole_characters(text[begin:end])
