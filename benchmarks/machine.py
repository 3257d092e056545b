"""What a benchmark's numbers depend on: the machine, the versions, the commit, and how busy."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

LIBRARIES = ("torch", "ray", "optuna", "mlflow")


def machine() -> dict[str, Any]:
    """To be kept beside what was measured."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        **{library: version(library) for library in LIBRARIES},
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }


def _cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def _commit() -> str:
    """The commit of this checkout, marked if files differ from it."""
    described = subprocess.run(
        ["git", "describe", "--always", "--abbrev=12", "--dirty"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=True,
    )
    return described.stdout.strip()
