"""Trainers' own classes take the exports, and train each parameter as projected.

Their released wheels are installed into folders of their own, without all that they depend on:
the torch of these tests stays. Megatron-core's is for Python 3.12, and runs on others.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import proxytune
from tests.exports.examples import export

ROOT = Path(__file__).parents[2]
WHEELS = {
    "torchtitan": "torchtitan==0.3.0 tyro==1.0.17 docstring-parser==0.18.0 typeguard==4.6.1 "
    "spmd_types==0.2.3 triton==3.9.0",
    "olmo-core": "ai2-olmo-core==3.0.0 cached_path==1.8.10 dataclass-extensions==0.5.0 "
    "bettermap==1.3.1 dill==0.4.1 boto3==1.44.8 botocore jmespath s3transfer "
    "google-api-core==2.44.0 google-cloud-core==2.8.0 google-cloud-storage==3.17.1 "
    "google-crc32c==1.9.0 google-resumable-media==2.11.0 "
    "googleapis-common-protos==1.76.0 triton==3.9.0",
    "megatron": "megatron-core==0.19.2 triton==3.9.0",
}
"""Library -> its wheel, and those of what it imports."""


def install(library: str, folder: Path) -> None:
    """Skips the test where a wheel cannot be had."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
    own, *rest = WHEELS[library].split()
    newer = (
        ["--ignore-requires-python", "--python-version=3.12", "--only-binary=:all:"]
        if library == "megatron"
        else []
    )
    for words in ([*newer, own], rest):
        ran = subprocess.run([*pip, *words], capture_output=True, text=True, timeout=400)
        if ran.returncode != 0:
            pytest.skip(f"{own} cannot be installed: {ran.stderr[-500:]}")


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "library",
    [
        "megatron",
        *(pytest.param(name, marks=pytest.mark.long) for name in ("torchtitan", "olmo-core")),
    ],
)
def test_a_library_s_own_groups_are_those_projected(library: str, tmp_path: Path) -> None:
    export(library, tmp_path / "export")
    install(library, tmp_path / "wheels")
    ran = subprocess.run(
        [sys.executable, "-m", "tests.exports.libraries", library, str(tmp_path / "export")],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{tmp_path / 'wheels'}:{ROOT}"},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    taken = json.loads(ran.stdout.splitlines()[-1])
    report = proxytune.run_verify(taken, tmp_path / "export")
    assert report.findings == ()
    assert report.parameters > 20
