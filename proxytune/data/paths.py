"""The files that a user names, by paths or globs; told apart without reading all of them."""

import glob
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from proxytune.errors import InputError

BLOCKS, BLOCK_BYTES = 16, 64 * 1024
"""What is read of a file to tell it from others: so many blocks, evenly spaced."""
MOST_FILES = 256
"""Files of a corpus that are read for its key; of the others, size and time are enough."""


def found(field: str, patterns: Sequence[str]) -> list[Path]:
    """The files of paths and globs, sorted; a folder only where it was named itself.

    A path that exists is that path, whatever is in its name. Raises an InputError that names
    `field` if there is no such file.
    """
    files: set[Path] = set()
    for pattern in patterns:
        if Path(pattern).exists():
            files.add(Path(pattern))
            continue
        matches = [Path(name) for name in glob.glob(pattern, recursive=True)]
        matches = [path for path in matches if path.is_file()]
        if not matches:
            raise InputError.of_field(field, pattern, "no such file; give a path or a glob")
        files.update(matches)
    return sorted(files)


def require_files(field: str, paths: Sequence[Path], ending: str) -> None:
    """Refuses a folder; `ending` is that of files which may be in it."""
    for path in paths:
        if path.is_dir():
            raise InputError.of_field(
                field, str(path), f"is a folder; name its files: {path / f'**/*{ending}'}"
            )


def without_copies(paths: Iterable[Path]) -> list[Path]:
    """The same without files that are copies of one before: as long, with the same blocks."""
    by_size: dict[int, list[Path]] = defaultdict(list)
    for path in paths:
        by_size[path.stat().st_size].append(path)
    kept: set[Path] = set()
    for same_size in by_size.values():
        by_content = {}
        for path in reversed(same_size):
            by_content[fingerprint(path) if len(same_size) > 1 else ""] = path
        kept.update(by_content.values())
    return sorted(kept)


def fingerprint(path: Path) -> str:
    """A hash of a file's length and of evenly spaced blocks: all of it, up to 1 MiB."""
    size = path.stat().st_size
    digest = hashlib.sha256(size.to_bytes(8, "little"))
    with path.open("rb") as file:
        for block in range(BLOCKS):
            file.seek(max(0, size - BLOCK_BYTES) * block // (BLOCKS - 1))
            digest.update(file.read(BLOCK_BYTES))
            if size <= BLOCK_BYTES:
                break
    return digest.hexdigest()


def key_of(paths: Sequence[Path]) -> str:
    """Changes when a file does: of paths, sizes, times, and blocks of evenly spaced files."""
    every = -(-len(paths) // MOST_FILES)
    digest = hashlib.sha256()
    for number, path in enumerate(paths):
        status = path.stat()
        read = fingerprint(path) if number % max(1, every) == 0 and path.is_file() else ""
        told = (str(path.absolute()), status.st_size, status.st_mtime_ns, read)
        digest.update(repr(told).encode())
    return digest.hexdigest()
