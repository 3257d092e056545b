"""Optuna's storage: a journal file, or a database by URL."""

import fcntl
import os
from pathlib import Path
from typing import BinaryIO

import optuna
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from proxytune.errors import InputError
from proxytune.records.uri import masked

optuna.logging.set_verbosity(optuna.logging.ERROR)


def open_storage(journal: Path, url: str | None) -> BaseStorage:
    """The journal, made if need be, or the database at `url`.

    Raises InputError for a database that cannot be used; the message holds no password.
    """
    if url is None:
        journal.parent.mkdir(parents=True, exist_ok=True)
        return JournalStorage(JournalFileBackend(str(journal), _JournalLock(journal)))
    try:
        return RDBStorage(url)
    except Exception as error:
        # SQLAlchemy's message would print the URL; its class says what went wrong.
        raise InputError.of_field(
            "storage", masked(url), f"cannot be used ({type(error).__name__})"
        ) from None


def empty_storage() -> BaseStorage:
    """A storage that holds no study, and leaves no trace."""
    return InMemoryStorage()


class _JournalLock(JournalFileOpenLock):
    """Held on the journal itself, so that the system frees it when its holder is killed.

    Optuna's own locks are files: one that is left behind stops everybody for half a minute.
    """

    def __init__(self, journal: Path) -> None:
        super().__init__(str(journal))
        self._journal = journal
        self._held: BinaryIO | None = None

    def acquire(self) -> bool:
        self._held = self._journal.open("rb+")
        fcntl.flock(self._held, fcntl.LOCK_EX)
        _cut_torn_line(self._held)
        return True

    def release(self) -> None:
        assert self._held is not None
        self._held.close()


def _cut_torn_line(journal: BinaryIO) -> None:
    """Cuts what a killed writer left of a line: the next one would be written right behind it."""
    end = journal.seek(0, os.SEEK_END)
    while end and not _ends_line(journal, end):
        end -= 1
    journal.truncate(end)


def _ends_line(journal: BinaryIO, end: int) -> bool:
    journal.seek(end - 1)
    return journal.read(1) == b"\n"
