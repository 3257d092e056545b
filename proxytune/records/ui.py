"""The MLflow UI over a store, on this machine only."""

import os
import signal
import socket
import subprocess
import sys

from proxytune.errors import InputError, masked
from proxytune.records.database import database_file

HOST = "127.0.0.1"


def serve(tracking_uri: str, port: int) -> int:
    """Serves until stopped; returns the server's exit code.

    Raises InputError if the port is in use or the store does not exist.
    """
    require_store(tracking_uri)
    require_free(port)
    # MLflow opens on its pages for LLM calls, and has no setting for that.
    print(
        f"MLflow UI on http://{HOST}:{port} "
        "(choose Model training at the top left; stop with Ctrl-C)",
        flush=True,
    )
    server = subprocess.Popen(command(tracking_uri, port), env=environment())
    signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    try:
        return server.wait()
    except KeyboardInterrupt:
        server.terminate()
        server.wait()
        return 0


def command(tracking_uri: str, port: int) -> list[str]:
    """The command line of MLflow's server, with one worker, bound to 127.0.0.1."""
    return [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--backend-store-uri", tracking_uri),
        *("--host", HOST, "--port", str(port), "--workers", "1"),
        *("--uvicorn-opts", "--log-level error"),
    ]


def environment() -> dict[str, str]:
    """The server's environment: no telemetry, and no job runner, which the UI does not need."""
    return os.environ | {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }


def require_store(tracking_uri: str) -> None:
    """Refuses an embedded store that does not exist yet, and a server, which has its own UI."""
    if tracking_uri.startswith(("http://", "https://")):
        raise InputError(
            f"{masked(tracking_uri)}: is a server with its own UI; open it in a browser"
        )
    file = database_file(tracking_uri)
    if file is not None and not file.exists():
        raise InputError(
            f"{file}: does not exist; make one with: proxytune study create STUDY.yaml"
        )


def require_free(port: int) -> None:
    """Refuses a port that is in use."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            raise InputError.of_field("--port", port, "is in use; choose another") from None
