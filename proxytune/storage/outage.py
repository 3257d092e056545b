"""Outages of a database: connecting waits until it is back; a broken connection is StorageLost.

A write that was in flight may or may not have committed, so the caller has to re-read.
"""

import time
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection, Dialect, ExceptionContext
from sqlalchemy.exc import IntegrityError

from proxytune.errors import StorageLost

PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 2.0
"""Pause between attempts to connect: the first, doubled each time, and the longest."""


def outlast(engine: Engine, patience: float) -> None:
    """Makes the engine wait for its database, and raise StorageLost for errors.

    `patience` is how many seconds the database may be unreachable.
    """
    event.listen(engine, "do_connect", _Connector(patience))
    event.listen(engine, "handle_error", _lost)


class _Connector:
    """Connects as soon as the database is reachable. Called by several threads."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._away_since: float | None = None
        """Shared by all threads, so that they wait once and not one after another."""

    def __call__(
        self, dialect: Dialect, _record: object, arguments: list[Any], options: dict[str, Any]
    ) -> DBAPIConnection:
        pause = PAUSE_SECONDS
        while True:
            try:
                connection = dialect.connect(*arguments, **options)
            except dialect.loaded_dbapi.OperationalError as error:
                if _refuses(error) or self._seconds_away() > self._patience:
                    raise
            else:
                self._away_since = None
                return connection
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _seconds_away(self) -> float:
        now = time.monotonic()
        since = self._away_since = self._away_since or now
        return now - since


def _refuses(error: Exception) -> bool:
    """Whether PostgreSQL refused the login; while it starts up, it asks for no password."""
    return getattr(getattr(error, "pgconn", None), "used_password", False)


def _lost(context: ExceptionContext) -> StorageLost | None:
    error = context.sqlalchemy_exception
    # Optuna relies on violated constraints, and a failed ping only replaces the connection.
    if error is None or isinstance(error, IntegrityError) or context.is_pre_ping:
        return None
    # The message may hold parameters; the class is enough.
    return StorageLost(f"the storage cannot be used ({type(error).__name__})")
