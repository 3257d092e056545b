"""optuna-dashboard over our own storage, really served."""

import json
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from proxytune.errors import InputError
from proxytune.records.dashboard import serve_dashboard
from proxytune.records.ui import HOST
from proxytune.search.study import Study
from proxytune.storage.open import empty_storage, open_storage
from proxytune.testing.records import study
from tests.commands import COMMAND
from tests.servers import free_port


def test_studies_are_shown_on_this_machine_only_until_it_is_stopped(tmp_path: Path) -> None:
    storage = open_storage(tmp_path / "optuna.journal", None)
    Study.create(storage, study("shown"))
    words = ["ui", "--dashboard", "--home", str(tmp_path), "--port", str(free_port())]
    with subprocess.Popen([*COMMAND, *words], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().split()[-1]
            parts = urlsplit(address)
            assert (parts.hostname, parts.path) == (HOST, "/dashboard")
            assert urllib.request.urlopen(address).status == 200
            listed = json.load(urllib.request.urlopen(f"http://{parts.netloc}/api/studies"))
            assert [one["study_name"] for one in listed["study_summaries"]] == ["shown"]
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.2", parts.port or 0), timeout=5)
            # It has the journal open, but holds no lock on it: a run can go on.
            Study.create(storage, study("another"))
            process.send_signal(signal.SIGTERM)
            assert "stopped by SIGTERM" in process.stdout.read()
            assert process.wait() == 0
        finally:
            process.kill()


def test_without_a_study_there_is_nothing_to_serve() -> None:
    with pytest.raises(InputError, match="no study yet; make one with: proxytune study create"):
        serve_dashboard(empty_storage(), free_port())


def test_a_missing_library_is_told_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    with pytest.raises(InputError, match=r"pip install 'proxytune\[dashboard\]'"):
        serve_dashboard(empty_storage(), free_port())
