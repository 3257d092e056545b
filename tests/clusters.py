"""A real Ray cluster of several nodes, all on this machine."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psutil

from proxytune.search.quiet import hush

OBJECT_STORE = {"object_store_memory": 80 * 2**20}


class Cluster:
    """A head that takes no packs, and nodes with two CPUs and what looks like a GPU each."""

    def __init__(self, nodes: int) -> None:
        hush()
        from ray.cluster_utils import Cluster as RayCluster

        head = {"num_cpus": 0, "include_dashboard": False, **OBJECT_STORE}
        self._cluster = RayCluster(initialize_head=True, head_node_args=head)
        self.nodes: list[Any] = []
        for _ in range(nodes):
            self.add()

    @property
    def address(self) -> str:
        """Where a driver joins it; drivers are then on the head."""
        return str(self._cluster.address)

    def add(self) -> Any:
        """A node more."""
        node = self._cluster.add_node(num_cpus=2, num_gpus=1, **OBJECT_STORE)
        self.nodes.append(node)
        return node

    def kill(self, node: Any) -> None:
        """SIGKILL to all of a node's processes, as if its machine were switched off."""
        workers = workers_of(node)
        self.nodes.remove(node)
        self._cluster.remove_node(node, allow_graceful=False)
        # They would end by themselves, a step or so later.
        for worker in workers:
            with suppress(psutil.NoSuchProcess):
                worker.kill()

    def shutdown(self) -> None:
        """Ends it."""
        self._cluster.shutdown()


def workers_of(node: Any) -> list[psutil.Process]:
    """The processes that a node has started for packs, or keeps ready for them."""
    (raylet,) = node.all_processes["raylet"]
    children = psutil.Process(raylet.process.pid).children(recursive=True)
    return [child for child in children if child.name().startswith("ray::")]


@contextmanager
def running_cluster(nodes: int) -> Iterator[Cluster]:
    """A cluster that is ended afterwards."""
    cluster = Cluster(nodes)
    try:
        yield cluster
    finally:
        cluster.shutdown()
