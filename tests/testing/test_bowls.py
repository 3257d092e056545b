"""The packs that stand for training in other tests keep the contract of those that train."""

from pathlib import Path

from proxytune.packs.pack import PackSpec
from proxytune.packs.ports import PackRunner
from proxytune.testing import PackRunnerContract
from proxytune.testing.bowls import bowl_pack, start_bowl


class TestBowl(PackRunnerContract):
    def start(self, pack: PackSpec) -> PackRunner:
        return start_bowl(pack)

    def pack(self, folder: Path) -> PackSpec:
        return bowl_pack("first", folder)
