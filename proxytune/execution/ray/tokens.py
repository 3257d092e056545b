"""Sends tokens to nodes that do not see the driver's disk, through Ray's object store."""

import os
from collections.abc import Mapping
from pathlib import Path

import ray

from proxytune.data.tokens import is_here, portable
from proxytune.files import write_once
from proxytune.packs.pack import PackSpec

Files = Mapping[str, "ray.ObjectRef[bytes]"]
"""The contents of a folder in the object store, by file name."""


class TokenTransfer:
    """Puts folders of tokens into the object store, each once."""

    def __init__(self) -> None:
        self._folders: dict[Path, Files] = {}

    def of(self, folder: Path) -> Files:
        """The folder's files; they stay in the object store as long as this object exists."""
        if folder not in self._folders:
            # Tokens that lie in the user's files go along: the sample, not all of the files.
            with portable(folder) as whole:
                self._folders[folder] = {
                    file.name: ray.put(file.read_bytes()) for file in sorted(whole.iterdir())
                }
        return self._folders[folder]


def unpack(pack: PackSpec, files: Files | None) -> PackSpec:
    """The pack with tokens that are on this node; they are fetched if needed.

    A folder's name stands for its contents, so tokens fetched for another study are reused.
    """
    if files is None or is_here(pack.tokens):
        return pack
    folder = _cache() / pack.tokens.name

    def fetch(new: Path) -> None:
        new.mkdir()
        for name, contents in files.items():
            (new / name).write_bytes(ray.get(contents))

    write_once(folder, fetch)
    return pack.model_copy(update={"tokens": folder})


def _cache() -> Path:
    # The user's own cache, since nobody else can write there.
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "proxytune" / "tokens"
