"""Which addresses MLflow can record at; those that can never work are refused before training."""

from proxytune.errors import InputError, masked_url
from proxytune.libraries import not_installed
from proxytune.records.database import database_file

DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
"""What MLflow keeps its records in, besides a server."""
ALLOWED = (
    "must be an address of MLflow, such as http://HOST:PORT, postgresql://USER@HOST/NAME or "
    "sqlite:///FILE"
)


def require_tracking_uri(uri: str) -> None:
    """Refuses, with InputError, an address at which MLflow can record nothing.

    Nothing is connected to: a server may be away for a while.
    """
    scheme = uri.partition(":")[0].lower()
    if scheme in ("http", "https"):
        return
    obstacle = _of_database(uri) if scheme.partition("+")[0] in DATABASES else _of_other(uri)
    if obstacle is not None:
        raise InputError.of_field("--tracking-uri", masked_url(uri), obstacle)


def _of_database(uri: str) -> str | None:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(uri)
        url.get_dialect().import_dbapi()
    except ModuleNotFoundError as error:
        return f"its driver {not_installed(str(error.name))}"
    except (ArgumentError, ValueError):
        return ALLOWED
    if url.get_backend_name() == "sqlite" and database_file(uri) is None:
        return "names no file; write sqlite:///FILE with three slashes, or four for /FILE"
    return None


def _of_other(uri: str) -> str | None:
    """Of a folder, or of what a plugin of MLflow takes."""
    from mlflow.exceptions import MlflowException
    from mlflow.tracking._tracking_service.utils import _tracking_store_registry

    try:
        build = _tracking_store_registry.get_store_builder(uri)
    except MlflowException:
        return ALLOWED
    try:
        build(store_uri=uri, artifact_uri=None)
    except MlflowException as error:
        return f"{ALLOWED}; MLflow says: {str(error).split('. ')[0]}"
    return None
