"""A study loses nothing to whatever is killed under it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.commanded import Commanded
from tests.faults.deployed import Deployed
from tests.faults.embedded import Embedded
from tests.faults.growing import Growing
from tests.faults.stage import Stage

ROOT = Path(__file__).parents[2]
ROUNDS = 3


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("stage", [Deployed, Embedded, Commanded, Growing])
def test_studies_under_kills_of_every_kind_end_as_if_nothing_had_been_killed(
    stage: type[Stage],
) -> None:
    # A process of its own: what was told to one cluster, Ray would not forget in this one.
    command = [sys.executable, "-m", "tests.faults", "--rounds", str(ROUNDS), "--json"]
    flags = {Embedded: "--embedded", Commanded: "--command", Growing: "--growing"}
    command += [flags[stage]] if stage in flags else []
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ran.stdout, ran.stderr
    report = json.loads(ran.stdout)
    assert report["wrong"] == []
    assert all(report["kills"][kind] >= ROUNDS for kind in stage.kinds)
    assert ran.returncode == 0
