"""The MLflow UI over a store, on this machine only."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from proxytune.errors import InputError, masked_url
from proxytune.records.database import database_file
from proxytune.records.view import study_address

HOST = "127.0.0.1"
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that stop a server."""
POLL_SECONDS = 0.2


def serve(tracking_uri: str, port: int) -> int:
    """Serves until stopped; returns the server's exit code, or 0 if it was asked to stop.

    Says where the newest study is as soon as the server answers. Raises InputError if the port is
    in use or the store does not exist.
    """
    require_store(tracking_uri)
    require_free(port)
    server = subprocess.Popen(command(tracking_uri, port), env=environment())
    stopped: list[int] = []

    def stop(number: int, _: object) -> None:
        stopped.append(number)
        server.terminate()

    on_stop(stop)
    print("starting MLflow's server; it takes 10 to 20 seconds", flush=True)
    address = f"http://{HOST}:{port}"
    if _answers(server, address) and not stopped:
        print(_where(address), flush=True)
    code = server.wait()
    if stopped:
        print(f"stopped by {signal.Signals(stopped[0]).name}", flush=True)
        return 0
    return code


def on_stop(handler: Callable[[int, object], object]) -> None:
    """Has signals to stop handled.

    SIGINT, too, where a shell ignores it for a command in the background; but not the end of the
    terminal if it is ignored, as by nohup.
    """
    for number in STOPS:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)


def _answers(server: subprocess.Popen[bytes], address: str) -> bool:
    """Waits until the server answers; False if it has ended instead."""
    while server.poll() is None:
        with suppress(OSError):
            urllib.request.urlopen(f"{address}/health", timeout=5).close()
            return True
        time.sleep(POLL_SECONDS)
    return False


def _where(address: str) -> str:
    """What to open in a browser."""
    lines = [f"all studies: {address}/#/experiments?workflowType=machine_learning"]
    if newest := newest_study(address):
        name, experiment = newest
        lines.insert(0, f"study {name}: {study_address(address, experiment)}")
    return "\n".join([*lines, "stop with Ctrl-C"])


def newest_study(address: str) -> tuple[str, str] | None:
    """Name and experiment of the study that began last; None if the server has none.

    Asked of the server itself: MLflow's own client takes seconds to import.
    """
    experiments = _post(address, "experiments/search", {"max_results": 1000})
    names = {one["experiment_id"]: one["name"] for one in experiments.get("experiments", [])}
    query = {
        "experiment_ids": list(names),
        "filter": "tags.`proxytune.kind` = 'study'",
        "order_by": ["attributes.start_time DESC"],
        "max_results": 1,
    }
    for run in _post(address, "runs/search", query).get("runs", []):
        experiment = run["info"]["experiment_id"]
        return names[experiment], experiment
    return None


def _post(address: str, what: str, query: dict[str, Any]) -> dict[str, Any]:
    """An answer of MLflow's REST API; empty if it has none."""
    request = urllib.request.Request(
        f"{address}/api/2.0/mlflow/{what}",
        json.dumps(query).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
            return found
    except (OSError, ValueError):
        return {}


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
            f"{masked_url(tracking_uri)}: is a server with its own UI; open it in a browser"
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
