"""MLflow's embedded store: one file, made whole before it has its name.

MLflow makes its tables one by one, for seconds. Where it was killed amid that, or where two
processes did it at once, it refuses the file for ever.
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
    """Makes the file of a `sqlite:///` URI, unless it is there; other stores make themselves.

    Raises RunError if it cannot be written, and what MLflow and SQLAlchemy raise.
    """
    file = database_file(tracking_uri)
    if file is None:
        return

    def make(new: Path) -> None:
        # Not before it is needed: it takes a while to import.
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        store = SqlAlchemyStore(f"sqlite:///{new}", str(file.parent / "artifacts"))
        store.engine.dispose()

    write_once(file, make)
