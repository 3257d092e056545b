"""Starts Ray on this machine, or joins it elsewhere; what prevents it is told in words."""

import os
import socket
import tempfile
from typing import Any

import ray

import proxytune
from proxytune.errors import InputError, RunError
from proxytune.execution.ray.stop import kept_handlers

OBJECT_STORE_BYTES = 80 * 2**20
"""For a local cluster, where only evaluations are exchanged."""
SOCKET_BYTES = 107
"""The longest path of a socket that Linux allows."""
SOCKET = "/ray/session_2026-01-01_00-00-00_000000_1234567/sockets/plasma_store"
"""Below the folder for temporary files: the longest of Ray's sockets."""
SHORT_FOLDER = "/tmp"


def start_here() -> None:
    """Starts a cluster of this machine alone. Raises RunError if it cannot."""
    folder = _folder()
    try:
        # Not None, with which Ray would join any cluster that an old file names.
        _connect(
            "local",
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_BYTES,
            **({} if folder is None else {"_temp_dir": folder}),
        )
    except Exception as error:
        # Of no common class: Ray raises what its parts raise, and Exception itself.
        ray.shutdown()
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise RunError(
            f"Ray cannot start here ({reason}); its logs are in {folder or _usual_folder()}/ray; "
            "on a busy machine, try again, or train in this process: execution: {executor: local}"
        ) from None


def join(address: str) -> None:
    """Joins the cluster at an address. Raises InputError if there is none."""
    try:
        _require_listening(address)
        _connect(address, runtime_env={"py_modules": [proxytune]})
    except (ConnectionError, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError.of_field(
            "--address", address, f"cannot join a Ray cluster there ({reason})"
        ) from None


def _folder() -> str | None:
    """Where Ray keeps its files, if its usual folder is too long for sockets; else None.

    Raises InputError where there is no shorter one.
    """
    usual = _usual_folder()
    if len(os.fsencode(usual + SOCKET)) <= SOCKET_BYTES:
        return None
    if os.access(SHORT_FOLDER, os.W_OK | os.X_OK):
        return f"{SHORT_FOLDER}/ray"
    raise InputError.of_field(
        "TMPDIR",
        usual,
        f"is too long for Ray's sockets; name a folder of {SOCKET_BYTES - len(SOCKET)} characters "
        "at most",
    )


def _usual_folder() -> str:
    return os.path.realpath(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir())


def _connect(address: str, **options: Any) -> None:
    # No public setting keeps raylets' messages about lost nodes off stdout.
    ray._private.worker._worker_logs_enabled = False
    with kept_handlers():
        try:
            ray.init(address=address, log_to_driver=False, logging_level="critical", **options)
        except SystemExit:
            # Ray's own handler of SIGTERM, which it has already put in place.
            raise KeyboardInterrupt from None


def _require_listening(address: str) -> None:
    """Raises OSError if nothing listens there; Ray would retry for more than a minute."""
    host, colon, port = address.rpartition(":")
    if colon and "//" not in host:
        socket.create_connection((host, int(port)), timeout=10).close()
