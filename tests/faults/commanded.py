"""A laptop again, where a shell script of the user's own trains: it is killed, too."""

import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import psutil

from tests.faults.embedded import Embedded
from tests.faults.plan import Fault
from tests.faults.processes import left_running, processes_of
from tests.faults.stage import Driver

SCRIPT = r"""
rate=$(sed -n 's/.*"learning_rate": \([^,]*\),.*/\1/p' "$PROXYTUNE_SETTINGS")
sleep 1000 &  # what it leaves behind
setsid sleep 1000 &
done=$(cat "$PROXYTUNE_RUN/checkpoint" 2>/dev/null || echo 0)
for step in 20 40 60 80 100 120; do
    [ "$step" -gt "$done" ] || continue
    sleep 0.3
    awk -v rate="$rate" -v step="$step" 'BEGIN {
        octaves = log(rate / 0.002) / log(2)
        loss = 1 + 0.1 * octaves * octaves + 1 / step
        printf "{\"step\": %d, \"validation_loss\": %.9f, \"train_loss\": %.9f, ", step, loss, loss
        printf "\"grad_norm\": 0.5}\n"
    }' >> "$PROXYTUNE_METRICS"
    echo "$step" > "$PROXYTUNE_RUN/new"
    mv "$PROXYTUNE_RUN/new" "$PROXYTUNE_RUN/checkpoint"
done
"""
"""A bowl in the learning rate. Killed between metrics and checkpoint, it reports a step twice."""


class Commanded(Embedded):
    """Processes of the driver's own, and their trainers."""

    kinds = ("driver", "trainer", "worker")

    def __enter__(self) -> Self:
        (self._folder / "train.sh").write_text(SCRIPT)
        return self

    @property
    def changes(self) -> Mapping[str, Any]:
        return {
            "trainer": {"command": ["sh", "train.sh"], "folder": str(self._folder)},
            "search": {
                "trials": 12,
                "sampler": "random",
                "space": {"learning_rate": {"low": 0.0005, "high": 0.008, "log": True}},
            },
        }

    def left_running(self, home: Path) -> list[str]:
        return [f"{p.pid}: {p.name()}" for p in left_running(home)]

    def _kill_trainer(self, fault: Fault, driver: Driver) -> bool:
        trainers = [p for p in processes_of(self._folder) if _is_script(p)]
        for trainer in trainers[:1]:
            with suppress(psutil.NoSuchProcess):
                trainer.send_signal(signal.SIGKILL)
        return bool(trainers)


def _is_script(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return process.cmdline() == ["sh", "train.sh"]
    return False
