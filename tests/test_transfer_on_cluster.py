"""A check trains on a cluster's workers as it does at home, also when it loses them."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from proxytune.config.load import load_study
from proxytune.execution.local import LocalExecutor
from proxytune.targets.load import load_target
from proxytune.training.pack import start_pack
from proxytune.transfer.check import check_packs, check_run, fixed_packs, runs_of
from proxytune.workflows.studies import find_study
from proxytune.workflows.workspace import Workspace
from tests.clusters import Cluster
from tests.commands import COMMAND, ENVIRONMENT, TARGET, TINY, write_yaml

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(240)]

Hear = Callable[[str], object]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A head without CPUs, and one node with two."""
    with Cluster(nodes=1, gpus=0) as running:
        yield running


@pytest.fixture(scope="module")
def folder(cluster: Cluster, text_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that was run on the cluster, and a target whose check takes seconds."""
    folder = tmp_path_factory.mktemp("transfer")
    tiny = TINY | {"data": {"text": str(text_file)}, "execution": {"executor": "ray"}}
    training = TINY["training"] | {"evaluations": 8}
    write_yaml(folder / "tiny.yaml", tiny | {"training": training})
    write_yaml(folder / "wide.yaml", TARGET | {"check": {"steps": 400}})
    assert run(folder, cluster, "study", "create", "tiny.yaml", "--json")["state"] == "complete"
    return folder


def run(folder: Path, cluster: Cluster, *arguments: str, hear: Hear = lambda line: None) -> Any:
    """What a command printed; `hear` is called with every line of progress."""
    running = subprocess.Popen(
        [*COMMAND, *arguments, "--home", "home", "--address", cluster.address],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
        cwd=folder,
        text=True,
    )
    assert running.stderr is not None
    told = []
    for line in running.stderr:
        told.append(line)
        hear(line)
    out, _ = running.communicate()
    assert out, "".join(told)
    return json.loads(out)


def transfer(folder: Path, cluster: Cluster, hear: Hear) -> dict[str, Any]:
    """The document of a transfer."""
    return run(folder, cluster, "transfer", "--target", "wide.yaml", "--json", hear=hear)


@pytest.fixture(scope="module")
def at_home(folder: Path) -> list[dict[str, float]]:
    """The losses of the same check, trained in this process."""
    workspace, target = Workspace(folder / "home"), load_target(folder / "wide.yaml")
    spec = load_study(folder / "tiny.yaml")
    stored = find_study(workspace, "tiny").selection
    assert stored is not None
    best = stored.best.hyperparameters
    tokens, checkpoints = workspace.tokens(spec), folder / "checkpoints"
    packs = fixed_packs(check_packs(spec, target, best, tokens, checkpoints), lambda *_: None)
    LocalExecutor(start_pack).run(packs)
    ends = check_run(*runs_of(packs))
    return [
        {"step": one.step, "proxy": one.validation_loss, "target": other.validation_loss}
        for one, other in zip(ends.proxy.evaluations, ends.target.evaluations, strict=True)
    ]


def assert_same(losses: list[dict[str, float]], others: list[dict[str, float]]) -> None:
    assert len(losses) == len(others) == 8
    for ours, theirs in zip(losses, others, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-5)


def test_proxy_and_target_train_together_on_a_worker_as_they_do_at_home(
    cluster: Cluster, folder: Path, at_home: list[dict[str, float]]
) -> None:
    trainers: list[int] = []
    found = transfer(folder, cluster, lambda line: trainers.append(len(cluster.trainers())))
    assert max(trainers) == 2
    assert_same(found["check"]["losses"], at_home)
    assert not list((folder / "home" / "packs" / "tiny").iterdir())


def test_a_node_that_is_lost_changes_nothing(
    cluster: Cluster, folder: Path, at_home: list[dict[str, float]]
) -> None:
    lost: list[str] = []

    def lose(line: str) -> None:
        if line.startswith("check: target") and not lost:
            lost.append(line)
            cluster.lose(cluster.nodes[0])
            cluster.add()

    found = transfer(folder, cluster, lose)
    assert lost
    assert_same(found["check"]["losses"], at_home)
    assert {criterion["passed"] for criterion in found["check"]["criteria"]} <= {True, False}
