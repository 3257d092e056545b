"""Optuna's storage: a journal file, or a database by URL."""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import optuna
from optuna.storages import BaseStorage, InMemoryStorage, RDBStorage

from proxytune.errors import InputError
from proxytune.records.uri import masked
from proxytune.search.journal import Journal

optuna.logging.set_verbosity(optuna.logging.ERROR)


def open_storage(journal: Path, url: str | None) -> BaseStorage:
    """The journal, made if need be, or the database at `url`.

    Raises InputError for a database that cannot be used; the message holds no password.
    """
    if url is None:
        journal.parent.mkdir(parents=True, exist_ok=True)
        return Journal(journal)
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


def batch(storage: BaseStorage) -> AbstractContextManager[None]:
    """Within it, what a journal is told is written at once; a database has its own way."""
    return storage.batch() if isinstance(storage, Journal) else nullcontext()
