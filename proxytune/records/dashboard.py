"""optuna-dashboard over Optuna's storage, on this machine only."""

import signal
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, NoReturn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from proxytune.errors import InputError
from proxytune.libraries import require
from proxytune.records.ui import HOST, on_stop, require_free

if TYPE_CHECKING:
    from optuna.storages import BaseStorage


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    """Prints no line for each request."""

    def log_message(self, format: str, *args: object) -> None:
        pass


def serve_dashboard(storage: "BaseStorage", port: int) -> None:
    """Serves the dashboard until stopped.

    It gets the storage itself: by a journal's path it would open the file with a lock of Optuna's,
    which does not exclude ours. Raises InputError if the library is missing, the port is in use,
    or there is no study.
    """
    dashboard = require("optuna_dashboard")
    require_free(port)
    if not storage.get_all_studies():
        raise InputError("there is no study yet; make one with: proxytune study create STUDY.yaml")
    app = dashboard.wsgi(storage)
    with make_server(HOST, port, app, server_class=_Server, handler_class=_Quiet) as server:
        on_stop(_stop)
        print(f"optuna-dashboard: http://{HOST}:{port}/dashboard\nstop with Ctrl-C", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt as stopped:
            print(f"stopped by {stopped}", flush=True)


def _stop(number: int, _: object) -> NoReturn:
    raise KeyboardInterrupt(signal.Signals(number).name)
