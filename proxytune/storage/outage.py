"""A database that is away: waited for before anything is asked of it, StorageLost where it was.

What was being executed when a connection broke may have been done or not: who asked has to look.
"""

import time
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection, Dialect, ExceptionContext
from sqlalchemy.exc import IntegrityError

from proxytune.errors import StorageLost

PATIENCE_SECONDS = 60.0
"""How long a database may be away."""
PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 2.0
"""From one attempt to connect to the next, doubled each time."""


def outlast(engine: Engine) -> None:
    """From now on, has the engine wait for its database, and raise StorageLost for its errors."""
    event.listen(engine, "do_connect", _Connector())
    event.listen(engine, "handle_error", _lost)


class _Connector:
    """Connects, as soon as that can be done. Called by several threads."""

    def __init__(self) -> None:
        self._away_since: float | None = None
        """For all threads: what one has waited for in vain, the next need not."""

    def __call__(
        self, dialect: Dialect, _record: object, arguments: list[Any], options: dict[str, Any]
    ) -> DBAPIConnection:
        pause = PAUSE_SECONDS
        while True:
            try:
                connection = dialect.connect(*arguments, **options)
            except dialect.loaded_dbapi.OperationalError as error:
                if _refuses(error) or self._seconds_away() > PATIENCE_SECONDS:
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
    """Whether a PostgreSQL is there that does not want us: one that starts asks no password."""
    return getattr(getattr(error, "pgconn", None), "used_password", False)


def _lost(context: ExceptionContext) -> StorageLost | None:
    error = context.sqlalchemy_exception
    # Optuna lives on violated constraints, and a connection that fails the ping is replaced.
    if error is None or isinstance(error, IntegrityError) or context.is_pre_ping:
        return None
    # Its message may hold parameters; its class says what went wrong.
    return StorageLost(f"the storage cannot be used ({type(error).__name__})")
