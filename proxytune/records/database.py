"""MLflow's embedded store: one file, complete before it gets its name.

MLflow takes seconds to make its tables, one by one. If it is killed in the middle, or two
processes do it at the same time, it refuses the file from then on.
"""

from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from proxytune.files import write_once


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

        store = SqlAlchemyStore(f"sqlite:///{new}", str(file.parent / "artifacts"))
        store.engine.dispose()

    write_once(file, make)
