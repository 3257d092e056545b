"""The tokens of a corpus on disk: a folder that says where both splits are."""

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from proxytune.data.stream import SPAN, Ids, Spans, TokenFile, TokenStream
from proxytune.errors import RunError
from proxytune.packs.corpus import CorpusFacts

SPLITS = ("train", "validation")
INDEX = "tokens.json"
"""Facts, and the files of each split; its spans are in `train.npy` and `validation.npy`."""


def facts_of(folder: Path) -> CorpusFacts:
    """What is known about the tokens in a folder that `save` wrote."""
    return CorpusFacts.model_validate(_index(folder)["facts"])


@dataclass(frozen=True, slots=True)
class Split:
    """The tokens of one split: spans of files."""

    files: Sequence[TokenFile]
    spans_S: Spans


@dataclass(frozen=True, slots=True)
class TokenData:
    """The tokens of both splits."""

    train: TokenStream
    validation: TokenStream

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Maps the files of a folder that `save` wrote.

        Raises RunError if one of them is not there any more.
        """
        return cls(*(_mapped(folder, split) for split in SPLITS))


def save(folder: Path, splits: Mapping[str, Split], facts: CorpusFacts) -> None:
    """Writes the index of a folder; files that lie in the folder move along with it."""
    files = {name: [_as_saved(file, folder) for file in splits[name].files] for name in SPLITS}
    for name in SPLITS:
        np.save(folder / f"{name}.npy", splits[name].spans_S, allow_pickle=False)
    document = {"facts": facts.model_dump(), "files": files}
    (folder / INDEX).write_text(json.dumps(document), encoding="utf-8")


def save_arrays(folder: Path, arrays: Mapping[str, Ids], facts: CorpusFacts | None = None) -> None:
    """Writes the tokens of both splits themselves."""
    splits, largest = {}, 0
    for name in SPLITS:
        array, path = arrays[name], folder / f"{name}.bin"
        path.write_bytes(array.tobytes())
        file = TokenFile(path, array.dtype.str, 0, len(array))
        splits[name] = Split([file], np.array([(0, 0, len(array))], SPAN))
        largest = max(largest, int(array.max()))
    own = CorpusFacts(
        **{name: len(arrays[name]) for name in SPLITS},
        corpus=sum(len(arrays[name]) for name in SPLITS),
        exact=True,
        vocabulary=None,
        largest=largest,
        largest_at="",
        bytes_per_token=None,
        digest="",
    )
    save(folder, splits, facts or own)


def is_here(folder: Path) -> bool:
    """Whether this machine sees the folder and all files that it names."""
    return folder.is_dir() and all(file.is_here for file in _named(folder))


@contextmanager
def portable(folder: Path) -> Iterator[Path]:
    """A folder of the same tokens that needs no file outside it: this one, or one for a while."""
    if all(file.path.parent == folder for file in _named(folder)):
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="proxytune-tokens-") as new:
        data = TokenData.load(folder)
        arrays = {name: getattr(data, name).whole() for name in SPLITS}
        save_arrays(Path(new), arrays, facts_of(folder))
        yield Path(new)


def _mapped(folder: Path, split: str) -> TokenStream:
    files = _files(folder, split)
    try:
        mapped = [file.map() for file in files]
    except (OSError, ValueError) as error:
        raise RunError(f"{folder}: its tokens cannot be read ({error})") from None
    return TokenStream(mapped, np.load(folder / f"{split}.npy", allow_pickle=False))


def _files(folder: Path, split: str) -> list[TokenFile]:
    # Joined to an absolute path, the folder is no part of it.
    saved = _index(folder)["files"][split]
    return [TokenFile(**file | {"path": folder / file["path"]}) for file in saved]


def _named(folder: Path) -> list[TokenFile]:
    if not (folder / INDEX).is_file():
        return []
    return [file for split in SPLITS for file in _files(folder, split)]


def _as_saved(file: TokenFile, folder: Path) -> dict[str, Any]:
    inside = file.path.parent == folder
    return asdict(file) | {"path": file.path.name if inside else str(file.path.absolute())}


def _index(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    return document
