"""Ray's executor keeps the contract on a cluster that it joins, and survives workers and nodes."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from proxytune.config.execution import ExecutionSpec
from proxytune.data.tokens import SPLITS, save_arrays
from proxytune.errors import Interrupted
from proxytune.execution.ray.quiet import hush
from proxytune.packs.pack import Evaluation, Job, MemberDetails, PackSpec
from proxytune.packs.ports import Executor
from proxytune.testing.bowls import bowl_pack
from proxytune.testing.executor import FIRST, STEPS, ExecutorContract
from proxytune.testing.recording import Recording
from tests.clusters import Cluster
from tests.execution.workers import start_on_cluster
from tests.selection.test_race import race_of
from tests.transfer.examples import candidates

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where nodes keep what they fetch."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def cluster(cache: Path) -> Iterator[Cluster]:
    """A cluster, and one node more or less as tests go on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(cache))
        with Cluster(nodes=2) as running:
            yield running


def joined(cluster: Cluster, execution: ExecutionSpec) -> Executor:
    """The executor that joins the cluster when it is entered."""
    hush()
    from proxytune.execution.ray.executor import RayExecutor

    return RayExecutor(start_on_cluster, execution, cluster.address)


@pytest.fixture(scope="module")
def member(cluster: Cluster) -> Iterator[Executor]:
    """An executor that has joined."""
    with joined(cluster, ExecutionSpec()) as executor:
        yield executor


class TestRayExecutor(ExecutorContract):
    @pytest.fixture(scope="class")
    @classmethod
    def executor(cls, member: Executor) -> Executor:
        return member

    @pytest.fixture(scope="class")
    @classmethod
    def bereft(
        cls, cluster: Cluster, executor: Executor, tmp_path_factory: pytest.TempPathFactory
    ) -> tuple[Recording, Path]:
        """A run that loses workers, and its folder."""
        folder = tmp_path_factory.mktemp("packs")
        source = Recording([bowl_pack(name, folder) for name in ("killed", "deadly", "spared")])
        joined(cluster, ExecutionSpec(max_failures=2)).run(source)
        return source, folder

    def test_a_pack_whose_worker_is_killed_goes_on_from_its_checkpoint(
        self, bereft: tuple[Recording, Path]
    ) -> None:
        source, folder = bereft
        assert (folder / "killed.killed").exists()
        assert "killed" in source.finished
        trained = [int(step) for step in (folder / "killed.trained").read_text().split()]
        assert trained == STEPS
        # What was told before is told again.
        assert source.steps("killed", 0) == [FIRST, *STEPS]

    def test_a_pack_that_loses_every_worker_fails_alone(
        self, bereft: tuple[Recording, Path]
    ) -> None:
        source, _ = bereft
        assert source.failed == [("deadly", "its worker was lost 3 times in a row")]
        assert sorted(source.finished) == ["killed", "spared"]

    @pytest.mark.long
    def test_a_pack_that_gets_further_may_lose_any_number_of_workers(
        self, cluster: Cluster, executor: Executor, tmp_path: Path
    ) -> None:
        source = Recording([bowl_pack("frail", tmp_path)])
        joined(cluster, ExecutionSpec(max_failures=1)).run(source)
        assert (source.finished, source.failed) == (["frail"], [])
        deaths = (tmp_path / "frail.deaths").read_text().split()
        assert [int(step) for step in deaths] == STEPS


class Telling(Recording):
    """Does something at the first evaluation of each pack."""

    def __init__(self, packs: Sequence[PackSpec], act: Callable[[PackSpec], object]) -> None:
        super().__init__(packs)
        self._act = act

    def report(self, pack: PackSpec, evaluations: Sequence[Evaluation]) -> frozenset[int]:
        if pack.name not in self.heard:
            self._act(pack)
        return super().report(pack, evaluations)


def placed(folder: Path, count: int, together: int) -> list[PackSpec]:
    """Packs that note their nodes, and go on only when so many of them train at once."""
    return [bowl_pack(f"placed-{index}-of-{together}", folder) for index in range(count)]


def nodes_of(folder: Path, pack: str) -> list[str]:
    """Where a pack was at each step."""
    return (folder / f"{pack}.nodes").read_text().split()


def test_packs_train_on_all_nodes_at_once(
    cluster: Cluster, member: Executor, tmp_path: Path
) -> None:
    count = len(cluster.nodes)
    source = Recording(placed(tmp_path, count, together=count))
    member.run(source)
    assert member.slots == source.most_in_training == count
    homes = [set(nodes_of(tmp_path, name)) for name in source.given]
    assert set().union(*homes) == {node.node_id for node in cluster.nodes}
    assert [len(home) for home in homes] == [1] * count


def test_a_gpu_is_shared_and_bounded_as_told(
    cluster: Cluster, member: Executor, tmp_path: Path
) -> None:
    count = len(cluster.nodes)
    assert joined(cluster, ExecutionSpec(gpus_per_pack=0.5)).slots == 2 * count
    most = count + 1
    executor = joined(cluster, ExecutionSpec(gpus_per_pack=0.5, max_packs=most))
    source = Recording(placed(tmp_path, most + 1, together=most))
    executor.run(source)
    assert executor.slots == source.most_in_training == most


def test_one_command_has_the_resources_of_all_its_workers(
    cluster: Cluster, member: Executor, tmp_path: Path
) -> None:
    job = Job(workers=2, one_command=True, gpus=0)
    alone, command = (bowl_pack(name, tmp_path) for name in ("granted-alone", "granted-all"))
    source = Recording([alone, command.model_copy(update={"job": job})])
    member.run(source)
    cpus = [(tmp_path / f"{name}.cpus").read_text() for name in source.given]
    assert [float(number) for number in cpus] == [1, 2]


def test_a_node_that_joins_is_used(cluster: Cluster, member: Executor, tmp_path: Path) -> None:
    count = len(cluster.nodes)
    added: list[Any] = []
    packs = placed(tmp_path, count + 1, together=count + 1)
    source = Telling(packs, lambda _: added or added.append(cluster.add()))
    member.run(source)
    assert any(added[0].node_id in nodes_of(tmp_path, name) for name in source.given)


def test_a_pack_whose_node_is_lost_goes_on_elsewhere(
    cluster: Cluster, member: Executor, tmp_path: Path
) -> None:
    lost: list[str] = []

    def lose_node(pack: PackSpec) -> None:
        if not lost:
            home = nodes_of(tmp_path, pack.name)[0]
            (node,) = (node for node in cluster.nodes if node.node_id == home)
            cluster.lose(node)
            lost.append(pack.name)

    source = Telling(placed(tmp_path, len(cluster.nodes), together=1), lose_node)
    member.run(source)
    assert (sorted(source.finished), source.failed) == (sorted(source.given), [])
    (name,) = lost
    assert len(set(nodes_of(tmp_path, name))) == 2
    # From its checkpoint: what was told before is told again.
    assert source.steps(name, 0) == [FIRST, *STEPS]


def test_a_node_without_the_tokens_is_sent_them(
    member: Executor, cache: Path, tmp_path: Path
) -> None:
    tokens = tmp_path / "0123abcd"
    tokens.mkdir()
    save_arrays(tokens, dict.fromkeys(SPLITS, np.frombuffer(b"to be or not", np.uint8)))
    packs = [
        bowl_pack(name, tmp_path).model_copy(update={"tokens": tokens})
        for name in ("fed-before", "fed-after", "fed-again")
    ]

    class Vanishing(Recording):
        def finish(self, pack: PackSpec, details: Sequence[MemberDetails]) -> None:
            shutil.rmtree(tokens, ignore_errors=True)
            super().finish(pack, details)

    source = Vanishing(packs)
    member.run(source)
    assert source.failed == []
    told = {pack.name: (tmp_path / f"{pack.name}.tokens").read_text() for pack in packs}
    fetched = cache / "proxytune" / "tokens" / tokens.name
    assert told["fed-again"] == f"{fetched} to be or not"


DRIVER = """
import sys
from proxytune.execution.ray.executor import RayExecutor
from proxytune.config.execution import ExecutionSpec

def package():
    import proxytune
    return proxytune.__file__

with RayExecutor(None, ExecutionSpec(), sys.argv[1]) as executor:
    print(executor.call(package))
"""


def test_nodes_run_the_driver_s_version_of_the_package(cluster: Cluster, tmp_path: Path) -> None:
    # A process of its own, elsewhere: Ray has workers look where a driver was started.
    command = [sys.executable, "-c", DRIVER, cluster.address]
    there = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "py_modules_files" in Path(there.stdout.strip()).parts


ASKING = """
import sys
from proxytune.execution.ray.quiet import hush
hush()
from proxytune.config.execution import ExecutionSpec
from proxytune.execution.ray.executor import RayExecutor

try:
    with RayExecutor(None, ExecutionSpec(cpus_per_pack=4096), *sys.argv[1:], remark=print):
        print("entered")
except Exception as error:
    print(f"{type(error).__name__}: {error}")
"""


def asking(*address: str, **environment: str) -> list[str]:
    """What a driver prints that asks for packs of 4096 CPUs."""
    command = [sys.executable, "-c", ASKING, *address]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_pack_that_this_machine_cannot_hold_is_refused_at_once(tmp_path: Path) -> None:
    # Ray's sockets have too long paths in this folder, so it is not used.
    long = tmp_path / ("long" * 20)
    long.mkdir()
    (refused,) = asking(TMPDIR=str(long))
    assert refused.startswith("InputError: execution.cpus_per_pack = 4096")
    assert " CPUs and 0 GPUs; " in refused
    assert not list(long.iterdir())


def test_a_pack_that_no_node_of_a_cluster_can_hold_waits_for_one_that_can(
    cluster: Cluster,
) -> None:
    remark, entered = asking(cluster.address)
    assert remark.startswith("execution.cpus_per_pack = 4096: no node of the cluster has so many")
    assert "2 CPUs and 1 GPUs" in remark
    assert entered == "entered"


def test_what_keeps_ray_from_starting_is_told_in_words() -> None:
    (told,) = asking(RAY_TMPDIR="/proc/none")
    assert told.startswith("RunError: Ray cannot start here (")
    assert "/proc/none" in told


def test_a_node_that_cannot_train_at_all_ends_the_run_and_fails_nobody(
    cluster: Cluster, member: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "onlyhere.py").write_text("def start(pack): ...")
    monkeypatch.syspath_prepend(tmp_path)
    from onlyhere import start  # type: ignore[import-not-found]

    from proxytune.execution.ray.executor import RayExecutor

    source = Recording([bowl_pack("first", tmp_path), bowl_pack("second", tmp_path)])
    with pytest.raises(Interrupted, match=r"^no worker can train: .*No module named 'onlyhere'$"):
        RayExecutor(start, ExecutionSpec(), cluster.address).run(source)
    assert (source.failed, source.finished) == ([], [])


def test_a_cluster_of_our_own_refuses_what_it_has_no_room_for_and_its_loss_fails_nobody(
    tmp_path: Path,
) -> None:
    # Placed for two: it trains until the cluster is gone.
    command = [sys.executable, "-c", LONELY, str(tmp_path)]
    # Ray looks for a node for half a minute, where it is not told otherwise.
    impatient = {"RAY_health_check_failure_threshold": "2", "RAY_health_check_period_ms": "500"}
    lonely = subprocess.run(
        command, cwd=ROOT, env=os.environ | impatient, capture_output=True, text=True
    )
    no_room, *after = lonely.stdout.splitlines()
    assert no_room.startswith("InputError: many: needs 1000 CPUs, and Ray on this machine has ")
    assert after == ["Interrupted: the Ray cluster is gone", "failed: []"]


LONELY = """
import sys, threading, time
from pathlib import Path
import psutil
from proxytune.execution.ray.quiet import hush
hush()
from proxytune.execution.ray.executor import RayExecutor
from proxytune.config.execution import ExecutionSpec
from proxytune.errors import InputError
from proxytune.packs.pack import Job
from proxytune.testing.bowls import bowl_pack
from tests.execution.workers import start_on_cluster
from proxytune.testing.recording import Recording

folder = Path(sys.argv[1])

def kill():
    while not [*folder.glob("*.nodes")]:
        time.sleep(0.1)
    for process in psutil.Process().children(recursive=True):
        if "gcs_server" not in process.name():
            process.kill()

threading.Thread(target=kill, daemon=True).start()
source = Recording([bowl_pack("placed-of-2", folder)])
try:
    with RayExecutor(start_on_cluster, ExecutionSpec()) as executor:
        many = bowl_pack("many", folder).model_copy(update={"job": Job(workers=1000)})
        try:
            executor.run(Recording([many]))
        except InputError as error:
            print(f"InputError: {error}")
        executor.run(source)
except Exception as error:
    print(f"{type(error).__name__}: {error}")
print("failed:", source.failed)
"""


def test_a_race_goes_through_its_rounds(member: Executor, tmp_path: Path) -> None:
    race = race_of(candidates(3.0, 3.1), tmp_path, tokens=tmp_path)
    member.run(race)
    assert race.exhausted
    assert [len(losses) for losses in race.losses.values()] == [4, 4]
