"""What every trainer of a pack promises to the executor that drives it."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from proxytune.packs.pack import Evaluation, PackSpec
from proxytune.packs.ports import PackRunner

Told = list[dict[str, Any]]


class PackRunnerContract(ABC):
    """Subclassed with what starts a pack, and a pack of three members and two evaluations or more.

    The pack keeps a checkpoint, and none of its members diverges. For a runner that takes packs of
    one only, the pack has one member.
    """

    @abstractmethod
    def start(self, pack: PackSpec) -> PackRunner:
        """Starts the pack, from its checkpoint if there is one."""

    @abstractmethod
    def pack(self, folder: Path) -> PackSpec:
        """The pack; its checkpoint is in the folder."""

    def test_every_member_is_evaluated_at_every_evaluation_in_order(self, tmp_path: Path) -> None:
        pack = self.pack(tmp_path)
        runner, numbers = self.start(pack), [member.number for member in pack.members]
        for step in pack.training.evaluation_steps():
            assert not runner.done
            told = runner.advance()
            assert [(e.step, e.number) for e in told] == [(step, number) for number in numbers]
        assert runner.done

    def test_a_pack_that_was_cut_off_tells_what_was_before_and_ends_the_same(
        self, tmp_path: Path
    ) -> None:
        whole = told_by(self.start(self.pack(folder_in(tmp_path, "whole"))))
        pack = self.pack(folder_in(tmp_path, "cut off"))
        self.start(pack).advance()
        assert told_by(self.start(pack)) == whole

    def test_a_pack_that_ended_unheard_is_told_whole(self, tmp_path: Path) -> None:
        pack = self.pack(tmp_path)
        whole = told_by(self.start(pack))
        again = self.start(pack)
        assert plain(again.advance()) == whole
        assert again.done

    def test_who_is_dropped_is_out_and_the_others_train_to_the_end(self, tmp_path: Path) -> None:
        pack = self.pack(tmp_path)
        runner, numbers = self.start(pack), [member.number for member in pack.members]
        if len(numbers) == 1:
            pytest.skip("packs of one have no others")
        runner.advance()
        runner.drop([numbers[0], numbers[2]])
        told = told_by(runner)
        steps = pack.training.evaluation_steps()[1:]
        assert [(e["step"], e["number"]) for e in told] == [(step, numbers[1]) for step in steps]

    def test_a_pack_without_members_left_is_done(self, tmp_path: Path) -> None:
        pack = self.pack(tmp_path)
        runner = self.start(pack)
        runner.advance()
        runner.drop([member.number for member in pack.members])
        assert runner.done

    def test_details_are_of_members_and_only_if_they_are_asked_for(self, tmp_path: Path) -> None:
        for asked in (False, True):
            pack = self.pack(folder_in(tmp_path, str(asked))).model_copy(update={"details": asked})
            runner = self.start(pack)
            told_by(runner)
            numbers = {member.number for member in runner.details()}
            assert numbers <= ({member.number for member in pack.members} if asked else set())


def told_by(runner: PackRunner) -> Told:
    """What it tells until it is done."""
    told: Told = []
    while not runner.done:
        told += plain(runner.advance())
    return told


def plain(evaluations: Sequence[Evaluation]) -> Told:
    """Evaluations without the time they took, which is never the same."""
    return [evaluation.model_dump(exclude={"seconds"}) for evaluation in evaluations]


def folder_in(folder: Path, name: str) -> Path:
    """A new folder in another."""
    (folder / name).mkdir()
    return folder / name
