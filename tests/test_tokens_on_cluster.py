"""A node that does not see the files of tokens trains on the sample that is sent to it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.clusters import Cluster, kill_tree
from tests.commands import COMMAND, ENVIRONMENT, TINY, write_yaml

CAN_HIDE = shutil.which("unshare") and not subprocess.run(["unshare", "-m", "true"]).returncode
pytestmark = [
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not CAN_HIDE, reason="needs the right to mount, to hide a folder"),
]
RAY = "from ray.scripts.scripts import main; main()"
"""What the script `ray` does."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Token ids in a folder of their own, and a study that reads a sample of them."""
    (tmp_path / "tokens").mkdir()
    ids = np.random.default_rng(0).integers(300, size=200_000).astype("<u2")
    ids.tofile(tmp_path / "tokens" / "train.bin")
    data = {"tokens": "tokens/train.bin", "dtype": "uint16", "sample": 20_000}
    execution = {"executor": "ray", "cpus_per_pack": 2}
    for name, changes in {"far": {"execution": execution}, "here": {}}.items():
        write_yaml(tmp_path / f"{name}.yaml", TINY | {"name": name, "data": data} | changes)
    return tmp_path


@pytest.fixture
def cluster(folder: Path) -> Iterator[Cluster]:
    """A head, which sees everything and trains nothing, and a node that sees no tokens."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        with Cluster(nodes=0, gpus=0) as running:
            start = [sys.executable, "-c", RAY, "start", f"--address={running.address}"]
            options = ["--num-cpus=2", "--object-store-memory=80000000", "--block"]
            hide = f"mount -t tmpfs none '{folder / 'tokens'}' && exec \"$@\""
            node = subprocess.Popen(
                ["unshare", "-m", "sh", "-c", hide, "sh", *start, *options],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=dict(os.environ),
            )
            running.wait_for(2)
            yield running
            kill_tree(node.pid)


def losses(folder: Path, name: str, *more: str) -> list[float]:
    """Of a study's trials, by number."""
    ran = subprocess.run(
        [*COMMAND, "study", "create", f"{name}.yaml", "--home", "home", "--json", *more],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    return [trial["value"] for trial in json.loads(ran.stdout)["trials"]]


def test_a_node_that_does_not_see_the_tokens_trains_on_the_sample(
    cluster: Cluster, folder: Path
) -> None:
    far = losses(folder, "far", "--address", cluster.address)
    (sent,) = (folder / "cache" / "proxytune" / "tokens").iterdir()
    size = sum(file.stat().st_size for file in sent.iterdir())
    assert 2 * 18_000 < size < 2 * 25_000
    assert far == pytest.approx(losses(folder, "here"), rel=1e-5)
