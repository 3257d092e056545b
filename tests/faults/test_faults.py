"""A study loses nothing to whatever is killed under it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.plan import KINDS

ROUNDS = 3
ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_three_studies_under_kills_of_every_kind_end_as_if_nothing_had_been_killed() -> None:
    # A process of its own: what was told to one cluster, Ray would not forget in this one.
    command = [sys.executable, "-m", "tests.faults", "--rounds", str(ROUNDS), "--json"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ran.stdout, ran.stderr
    report = json.loads(ran.stdout)
    assert report["wrong"] == []
    assert all(report["kills"][kind] >= ROUNDS for kind in KINDS)
    assert ran.returncode == 0
