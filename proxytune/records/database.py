"""MLflow's embedded store: one file, complete before it gets its name.

MLflow takes seconds to make its tables, one by one. If it is killed in the middle, or two
processes do it at the same time, it refuses the file from then on.
"""

import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from proxytune.files import write_once
from proxytune.home import sqlite_url

PLACES = {
    "experiments": "artifact_location",
    "runs": "artifact_uri",
    "logged_models": "artifact_location",
}
"""The tables of MLflow that hold absolute addresses of artifacts, and their columns."""


def database_file(tracking_uri: str) -> Path | None:
    """The file of a `sqlite:///` URI; None for stores of another kind."""
    try:
        url = make_url(tracking_uri)
    except ArgumentError:
        return None
    in_file = url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:")
    return Path(str(url.database)) if in_file else None


def make_database(tracking_uri: str) -> None:
    """Makes the file of a `sqlite:///` URI if it does not exist; other stores make themselves.

    Raises RunError if the file cannot be written, and whatever MLflow and SQLAlchemy raise.
    """
    file = database_file(tracking_uri)
    if file is None:
        return

    def make(new: Path) -> None:
        # Imported only when needed: it takes a while.
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        store = SqlAlchemyStore(sqlite_url(new), artifacts_of(file).as_uri())
        store.engine.dispose()

    write_once(file, make)


def artifacts_of(file: Path) -> Path:
    """The folder of an embedded store's artifacts: beside it, so that both move together."""
    return file.absolute().parent / "artifacts"


def move_artifacts(file: Path) -> None:
    """Has a store that was copied or moved keep its artifacts beside it, not where it was made.

    MLflow writes down where they are by absolute addresses. A store that cannot be read or
    written is left as it is: whoever uses it is told.
    """
    if not file.exists():
        return
    with suppress(sqlite3.Error), closing(sqlite3.connect(file)) as store, store:
        found = store.execute("SELECT artifact_location FROM experiments WHERE experiment_id = 0")
        before = Path(unquote(urlsplit(*found.fetchone() or ["/"]).path)).parent
        now = artifacts_of(file)
        if before.name != now.name or before == now:
            return
        for old, new in ((before.as_uri(), now.as_uri()), (str(before), str(now))):
            for table, column in PLACES.items():
                store.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
                    f"WHERE substr({column}, 1, ?) = ?",
                    (new, len(old) + 1, len(old) + 1, f"{old}/"),
                )
