"""Optuna's storage: a journal file, or a database by URL."""

import json
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, InMemoryStorage, RDBStorage

from proxytune.errors import InputError, masked_url
from proxytune.libraries import not_installed
from proxytune.patience import Patience
from proxytune.storage.journal import Journal

optuna.logging.set_verbosity(optuna.logging.ERROR)


def open_storage(journal: Path, url: str | None, patience: Patience = Patience()) -> BaseStorage:
    """The journal, which is made if it does not exist, or the database at `url`.

    Raises InputError for a database that cannot be used; the message holds no password. If the
    database is unreachable later, calls wait for it, and raise StorageLost in the end.
    """
    if url is None:
        journal.parent.mkdir(parents=True, exist_ok=True)
        return Journal(journal)
    try:
        storage = RDBStorage(url, engine_kwargs=_engine_options(url))
    except ImportError as error:
        raise InputError.of_field(
            "storage", masked_url(url), f"cannot be used: {_missing_driver(error)}"
        ) from None
    except Exception as error:
        # SQLAlchemy's message would show the URL; the class is enough.
        raise InputError.of_field(
            "storage", masked_url(url), f"cannot be used ({type(error).__name__})"
        ) from None
    # Not with a journal: SQLAlchemy takes about as long to import as Optuna.
    from proxytune.storage.outage import outlast

    outlast(storage.engine, patience.storage)
    return storage


def _engine_options(url: str) -> dict[str, Any]:
    # Connections are tested before use, so a restarted server is found again.
    options: dict[str, Any] = {"pool_pre_ping": True}
    if url.startswith("postgresql"):
        # If the server's machine is gone, do not wait as long as TCP would.
        options["connect_args"] = {
            "connect_timeout": 10,
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
        }
    return options


def _missing_driver(error: ImportError) -> str:
    # Optuna wraps Python's error, which has the driver's name.
    driver = getattr(error.__cause__, "name", None) or error.name
    return f"its driver {not_installed(str(driver))}"


def empty_storage() -> BaseStorage:
    """A storage in memory, without studies."""
    return InMemoryStorage()


def batch(storage: BaseStorage) -> AbstractContextManager[None]:
    """Inside, a journal collects everything for one write; a database works as usual."""
    return storage.batch() if isinstance(storage, Journal) else nullcontext()


def exchange(storage: BaseStorage, study_id: int, key: str, old: str | None, new: str) -> bool:
    """Sets a study's user attribute to `new` if it is `old` (None: if it is not set).

    Atomic: of several processes that try the same exchange, one gets True.
    """
    if isinstance(storage, RDBStorage):
        return _exchange_in_database(storage, study_id, key, old, new)
    with batch(storage):
        found = storage.get_study_user_attrs(study_id).get(key)
        if found == old:
            storage.set_study_user_attr(study_id, key, new)
    return bool(found == old)


def _exchange_in_database(
    storage: RDBStorage, study_id: int, key: str, old: str | None, new: str
) -> bool:
    """The same in SQL, since Optuna's setter would overwrite any value."""
    from sqlalchemy import column, insert, table, update
    from sqlalchemy.exc import IntegrityError

    # As Optuna defines it; a study has each key once.
    attributes = table(
        "study_user_attributes", column("study_id"), column("key"), column("value_json")
    )
    place, value = {"study_id": study_id, "key": key}, {"value_json": json.dumps(new)}
    try:
        with storage.engine.begin() as database:
            if old is None:
                database.execute(insert(attributes).values(**place, **value))
                return True
            found = update(attributes).filter_by(**place, value_json=json.dumps(old))
            return database.execute(found.values(**value)).rowcount == 1
    except IntegrityError:
        return False
