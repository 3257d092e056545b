"""A real Ray cluster of several nodes, all on this machine, that can be lost one by one."""

import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import psutil

from proxytune.execution.ray.quiet import hush

NODES = 3
OPTIONS: dict[str, Any] = {"include_dashboard": False, "object_store_memory": 80 * 2**20}
TRAINS = "Trainable"
"""In the title of a process that trains packs, as Tune calls what it runs."""


class Cluster:
    """A head that trains nothing, and nodes with two CPUs and, by default, a GPU each.

    The GPUs are none: training looks for CUDA itself. Drivers attach to the head, as Ray prefers
    it, so that none of them dies with a node. Used as a context manager.
    """

    def __init__(self, folder: Path | None = None, nodes: int = NODES, gpus: int = 1) -> None:
        """`folder` is for Ray's own files; short, as there are sockets in it."""
        self._first_nodes, self._gpus = nodes, gpus
        hush()
        from ray._common.utils import get_default_ray_temp_dir
        from ray.cluster_utils import Cluster as RayCluster

        # Ray notes there which cluster came last, also if that has a folder of its own.
        Path(get_default_ray_temp_dir()).mkdir(exist_ok=True)
        place = {} if folder is None else {"temp_dir": str(folder)}
        head = OPTIONS | place | {"num_cpus": 0, "num_gpus": 0}
        self._cluster = RayCluster(initialize_head=True, head_node_args=head)
        self.nodes: list[Any] = []
        """Those that are there."""

    def __enter__(self) -> Self:
        for _ in range(self._first_nodes):
            self.add()
        self.wait()
        return self

    def __exit__(self, *exception: object) -> None:
        self._cluster.shutdown()

    @property
    def address(self) -> str:
        """Where drivers join."""
        return str(self._cluster.address)

    def add(self) -> Any:
        """Starts a node, which joins by itself. Ray wants it done in the main thread."""
        node = self._cluster.add_node(wait=False, num_cpus=2, num_gpus=self._gpus, **OPTIONS)
        self.nodes.append(node)
        return node

    def wait(self) -> None:
        """Returns when the head knows who is there, and who is not."""
        self._cluster.wait_for_nodes()

    def wait_for(self, nodes: int) -> None:
        """Returns when so many nodes are there, the head and those of other processes included."""
        for _ in range(300):
            if len(self._cluster.global_state._live_node_ids()) == nodes:
                return
            time.sleep(0.1)
        raise TimeoutError(f"{nodes} nodes do not join")

    def lose(self, node: Any) -> None:
        """Kills everything that runs on a node, as if its machine were switched off."""
        self.nodes.remove(node)
        kill_tree(_raylet(node).pid)
        self._cluster.remove_node(node, allow_graceful=False)

    def trainers(self) -> list[psutil.Process]:
        """The processes that train packs, node by node."""
        return [trainer for node in self.nodes for trainer in _trainers(node)]

    def busiest(self) -> Any:
        """A node that trains if there is one, any other if not; None if all are lost."""
        return max(self.nodes, key=lambda node: len(_trainers(node)), default=None)


def trainers_below(process: psutil.Process) -> list[psutil.Process]:
    """The processes that train packs among those that a process started, in a steady order."""
    found = []
    for child in process.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if TRAINS in " ".join(child.cmdline()):
                found.append(child)
    return sorted(found, key=lambda child: child.pid)


def kill_tree(pid: int) -> None:
    """SIGKILL for a process and all that it started; returns when they are gone."""
    root = psutil.Process(pid)
    # Else it might start one more, or mourn those that go before it.
    root.suspend()
    processes = [root, *root.children(recursive=True)]
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=10)


def _raylet(node: Any) -> psutil.Process:
    return psutil.Process(node.all_processes["raylet"][0].process.pid)


def _trainers(node: Any) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return trainers_below(_raylet(node))
    return []
