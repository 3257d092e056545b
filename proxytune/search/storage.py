"""Optuna's storage: a journal file, or a database by URL."""

from pathlib import Path

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend

from proxytune.errors import InputError
from proxytune.records.uri import masked

optuna.logging.set_verbosity(optuna.logging.ERROR)


def open_storage(journal: Path, url: str | None) -> BaseStorage:
    """The journal, made if need be, or the database at `url`.

    Raises InputError for a database that cannot be used; the message holds no password.
    """
    if url is None:
        journal.parent.mkdir(parents=True, exist_ok=True)
        return JournalStorage(JournalFileBackend(str(journal)))
    try:
        return RDBStorage(url)
    except Exception as error:
        # SQLAlchemy's message would print the URL; its class says what went wrong.
        raise InputError.of_field(
            "storage", masked(url), f"cannot be used ({type(error).__name__})"
        ) from None
