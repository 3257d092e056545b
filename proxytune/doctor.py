"""What this machine has, what is missing, and the command that fixes it."""

import importlib.metadata
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from proxytune.config.base import Report
from proxytune.home import Home
from proxytune.libraries import INSTALL, LIBRARIES

OLDEST_PYTHON = (3, 11)
LEAST_FREE_GB = 2.0


@dataclass(frozen=True, slots=True)
class Finding:
    """The result for one thing that was examined."""

    name: str
    """What was examined."""
    ok: bool
    """Whether it is there, and new enough or large enough."""
    found: str
    """What was found, in words."""
    mend: str | None = None
    """The command that fixes it, if it is not ok."""


class DoctorReport(Report):
    """What this machine has, and what is missing."""

    ok: bool
    """Whether nothing is missing."""
    findings: tuple[Finding, ...]
    """One for each thing that was examined."""


def examine(home: Path) -> DoctorReport:
    """Examines Python, packages, devices, and the folder where everything is stored."""
    place = Home(home.absolute())
    findings = (_python(), *_packages(), *_devices(), _cores(), _disk(place), _home(place))
    return DoctorReport(ok=all(finding.ok for finding in findings), findings=findings)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", sys.version_info >= OLDEST_PYTHON, version, "install Python 3.11")


def _packages() -> Iterator[Finding]:
    for name in LIBRARIES.values():
        try:
            yield Finding(name, True, importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield Finding(name, False, "not installed", INSTALL)


def _devices() -> Iterator[Finding]:
    try:
        import torch
    except ImportError:
        return
    for index in range(torch.cuda.device_count()):
        card = torch.cuda.get_device_properties(index)
        yield Finding(f"gpu {index}", True, f"{card.name}, {card.total_memory / 2**30:.0f} GiB")
    if not torch.cuda.is_available():
        yield Finding("gpu", True, "none: packs train on the CPU")


def _cores() -> Finding:
    return Finding("cpu cores", True, str(os.cpu_count()))


def _disk(home: Home) -> Finding:
    folder = home.nearest
    free = shutil.disk_usage(folder).free / 1e9
    return Finding(
        "disk", free >= LEAST_FREE_GB, f"{free:.0f} GB free at {folder}", f"df {folder}"
    )


def _home(home: Home) -> Finding:
    obstacle = home.obstacle
    found = f"{home.folder}: {obstacle or 'can be written'}"
    return Finding("home", obstacle is None, found, "proxytune … --home A/WRITABLE/FOLDER")
