"""Packs that do to a worker what happens on clusters."""

import os
import signal
import time
from collections.abc import Mapping

from proxytune.data.tokens import TokenData
from proxytune.packs.pack import PackSpec
from proxytune.testing.bowls import Bowl, start_bowl


class Killed(Bowl):
    """Takes its worker with it once, after its first evaluation; notes what it has trained."""

    def train(self, step: int) -> None:
        marker = self._file.with_suffix(".killed")
        if step > self._pack.training.evaluation_steps()[0] and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        with self._file.with_suffix(".trained").open("a") as file:
            file.write(f"{step}\n")


class Frail(Bowl):
    """Takes its worker with it once at every step, before it gets any further."""

    def train(self, step: int) -> None:
        deaths = self._file.with_suffix(".deaths")
        seen = deaths.read_text().split() if deaths.exists() else []
        if str(step) not in seen:
            deaths.write_text(" ".join([*seen, str(step)]))
            os.kill(os.getpid(), signal.SIGKILL)


class Deadly(Bowl):
    """Takes its worker with it, always."""

    def train(self, step: int) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class Placed(Bowl):
    """Takes its time, and notes the node that it is on.

    After its first evaluation it waits for as many packs as its name says to be there.
    """

    def train(self, step: int) -> None:
        import ray

        with self._file.with_suffix(".nodes").open("a") as file:
            file.write(f"{ray.get_runtime_context().get_node_id()}\n")
        together = int(self._pack.name.rpartition("-of-")[2])
        if step > self._pack.training.evaluation_steps()[0]:
            while len([*self._file.parent.glob("*.nodes")]) < together:
                time.sleep(0.1)
        time.sleep(0.5)


class Granted(Bowl):
    """Notes the CPUs that it has."""

    def train(self, step: int) -> None:
        import ray

        granted = ray.get_runtime_context().get_assigned_resources()
        self._file.with_suffix(".cpus").write_text(str(granted["CPU"]))


class Fed(Bowl):
    """Notes where its tokens are, and what they say."""

    def train(self, step: int) -> None:
        train = TokenData.load(self._pack.tokens).train.whole()
        told = f"{self._pack.tokens} {train.tobytes().decode()}"
        self._file.with_suffix(".tokens").write_text(told)


OF_CLUSTERS: Mapping[str, type[Bowl]] = {
    "killed": Killed,
    "frail": Frail,
    "deadly": Deadly,
    "placed": Placed,
    "granted": Granted,
    "fed": Fed,
}


def start_on_cluster(pack: PackSpec) -> Bowl:
    """Starts a pack of the kind that its name says, those of the contract among them."""
    kind = OF_CLUSTERS.get(pack.name.partition("-")[0])
    return kind(pack) if kind else start_bowl(pack)
