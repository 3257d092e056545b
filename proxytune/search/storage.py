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
        # A server that was restarted is found again: its old connections are tried before use.
        return RDBStorage(url, engine_kwargs={"pool_pre_ping": True})
    except ImportError as error:
        raise InputError.of_field(
            "storage", masked(url), f"cannot be used: {_missing_driver(error)}"
        ) from None
    except Exception as error:
        # SQLAlchemy's message would print the URL; its class says what went wrong.
        raise InputError.of_field(
            "storage", masked(url), f"cannot be used ({type(error).__name__})"
        ) from None


def _missing_driver(error: ImportError) -> str:
    # Optuna wraps what Python raised, which knows the driver's name.
    driver = getattr(error.__cause__, "name", None) or error.name
    if driver == "psycopg":
        return "psycopg is not installed; pip install 'proxytune[postgres]'"
    return f"its driver {driver} is not installed"


def empty_storage() -> BaseStorage:
    """A storage that holds no study, and leaves no trace."""
    return InMemoryStorage()


def batch(storage: BaseStorage) -> AbstractContextManager[None]:
    """Within it, what a journal is told is written at once; a database has its own way."""
    return storage.batch() if isinstance(storage, Journal) else nullcontext()
