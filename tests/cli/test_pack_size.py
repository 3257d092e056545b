"""`pack_size: auto`: measured once, kept with the study, and no crash where memory ends."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from proxytune.errors import PackTooLarge
from proxytune.home import Home
from proxytune.packs.calibration import Calibration
from proxytune.packs.pack import Evaluation
from proxytune.training import pack
from proxytune.training.pack import PackTrainer
from tests.commands import TINY, proxytune, write_yaml

pytestmark = pytest.mark.slow


class Limited(PackTrainer):
    """Stands for a device that holds one member."""

    def advance(self) -> Sequence[Evaluation]:
        if self.model.members > 1:
            raise PackTooLarge("does not fit into memory")
        return super().advance()


@pytest.fixture
def auto_file(tmp_path: Path, text_file: Path) -> Path:
    search = {name: value for name, value in TINY["search"].items() if name != "pack_size"}
    study = TINY | {"data": {"text": str(text_file)}, "search": search}
    return write_yaml(tmp_path / "tiny.yaml", study)


def kept(home: Path) -> Calibration:
    (file,) = Home(home).calibrations.iterdir()
    return Calibration.model_validate_json(file.read_bytes())


def test_the_size_is_measured_once_and_kept(auto_file: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    first = proxytune("study", "create", auto_file, "--json", "--home", home)
    assert first.exit_code == 0
    size = json.loads(first.stdout)["pack_size"]
    assert f"packs of {size} (measured)" in first.stderr.splitlines()
    measured = kept(home)
    again = proxytune("study", "run", "tiny", "--json", "--home", home)
    assert json.loads(again.stdout)["pack_size"] == size
    assert "(measured)" not in again.stderr
    assert kept(home).speeds == measured.speeds


def test_memory_that_ends_is_no_crash_and_is_remembered(
    auto_file: Path, text_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack, "start_pack", Limited)
    home = tmp_path / "home"
    explicit = TINY | {"name": "explicit", "data": {"text": str(text_file)}}
    study = write_yaml(tmp_path / "explicit.yaml", explicit)
    result = proxytune("study", "create", study, "--json", "--home", home)
    assert result.exit_code == 0
    shown = json.loads(result.stdout)
    assert [trial["state"] for trial in shown["trials"]] == ["complete"] * 4
    assert shown["pack_size"] == 1
    told = "a pack of 2 does not fit into memory: it goes on in halves"
    assert result.stderr.splitlines().count(told) == 1
    assert kept(home).too_large == 2
    # The next study of this shape does not try again.
    after = proxytune("study", "create", auto_file, "--json", "--home", home)
    assert json.loads(after.stdout)["pack_size"] == 1
    assert "does not fit" not in after.stderr


def test_what_tuning_cost_is_told(home: Path, tmp_path: Path) -> None:
    shown = json.loads(proxytune("study", "show", "tiny", "--json", "--home", home).stdout)
    flops, trials = shown["flops"], shown["trials"]
    assert flops["trials"] == pytest.approx(sum(trial["flops"] for trial in trials))
    # Two candidates on one fresh seed, each as long as a trial.
    assert flops["confirmation"] == pytest.approx(2 * trials[0]["flops"])
    assert "FLOPs of trials" in proxytune("study", "show", "tiny", "--home", home).stdout
