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

    Raises InputError if the port is taken or the store is not there.
    """
    require_store(tracking_uri)
    require_free(port)
    # MLflow begins with its pages for LLM calls, and offers no setting for that.
    print(
        f"MLflow UI on http://{HOST}:{port} "
        "(choose Model training at the top left; Ctrl-C ends it)",
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
    """What is run: MLflow's server with one worker, bound to 127.0.0.1."""
    return [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--backend-store-uri", tracking_uri),
        *("--host", HOST, "--port", str(port), "--workers", "1"),
        *("--uvicorn-opts", "--log-level error"),
    ]


def environment() -> dict[str, str]:
    """Without telemetry, and without the job runner that the UI does not need."""
    return os.environ | {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }


def require_store(tracking_uri: str) -> None:
    """Refuses an embedded store that no study has made yet, and a server, which has its own UI."""
    if tracking_uri.startswith(("http://", "https://")):
        raise InputError(f"{masked(tracking_uri)}: has a UI of its own; open it in a browser")
    file = database_file(tracking_uri)
    if file is not None and not file.exists():
        raise InputError(
            f"{file}: there is no such store; make one with: proxytune study create STUDY.yaml"
        )


def require_free(port: int) -> None:
    """Refuses a port that something listens on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            raise InputError.of_field("--port", port, "is taken; name another") from None
