"""A laptop, in one process: a study that is extended and given points once it is through."""

import time
from collections.abc import Mapping
from typing import Any

from tests.faults.embedded import Embedded
from tests.faults.plan import Fault
from tests.faults.stage import Driver, Growth
from tests.faults.study import STUDY


class Growing(Embedded):
    """Half of the trials at first, then the others but one in a wider space, then a point."""

    kinds = ("driver", "grower")
    start_seconds = 4.0

    @property
    def changes(self) -> Mapping[str, Any]:
        return {
            "search": {**STUDY["search"], "trials": 6},
            "training": {**STUDY["training"], "steps": 60},
            "execution": {"executor": "local"},
        }

    @property
    def growth(self) -> tuple[Growth, ...]:
        space = self._folder / "space.yaml"
        space.write_text("learning_rate: {low: 0.0005, high: 0.012, log: true}\n")
        longer = ("extend", "--trials", "5", "--space", str(space), "--no-run")
        return (Growth(longer, 11), Growth(("enqueue", "--set", "learning_rate=0.001"), 12))

    def _kill_grower(self, fault: Fault, driver: Driver) -> bool:
        """Kills what makes the study grow, at some moment of it."""
        time.sleep(fault.outage / 3)
        return self._kill_driver(fault, driver)
