"""What every source of packs promises to whoever trains them."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

from proxytune.packs.pack import PackSpec
from proxytune.packs.ports import PackSource
from proxytune.testing.bowls import bowl, evaluation


class PackSourceContract(ABC):
    """Subclassed with a source of two packs or more, of two members or more each."""

    @abstractmethod
    def source(self, folder: Path) -> PackSource:
        """One that nobody has asked yet; what it writes goes below the folder."""

    def test_it_is_exhausted_once_its_last_pack_is_out(self, tmp_path: Path) -> None:
        source = self.source(tmp_path)
        assert not source.exhausted
        packs = list(trained(source))
        assert len(packs) >= 2
        assert source.exhausted
        assert source.next_pack() is None

    def test_packs_have_names_and_members_numbers_of_their_own(self, tmp_path: Path) -> None:
        packs = list(trained(self.source(tmp_path)))
        assert len({pack.name for pack in packs}) == len(packs)
        for pack in packs:
            assert len({member.number for member in pack.members}) == len(pack.members) >= 2

    def test_only_members_are_dropped_and_evaluations_may_be_told_again(
        self, tmp_path: Path
    ) -> None:
        source = self.source(tmp_path)
        pack = taken(source)
        numbers = {member.number for member in pack.members}
        for step in pack.training.evaluation_steps():
            told = [evaluation(number, step, bowl(0.02, step)) for number in sorted(numbers)]
            dropped = source.report(pack, told)
            assert dropped <= numbers
            assert source.report(pack, told) <= numbers
        source.finish(pack, ())

    def test_halves_of_a_pack_that_does_not_fit_come_next(self, tmp_path: Path) -> None:
        source = self.source(tmp_path)
        whole = taken(source)
        source.too_large(whole)
        assert not source.exhausted
        halves = [taken(source), taken(source)]
        assert [*halves[0].members, *halves[1].members] == [*whole.members]
        assert len({whole.name, *(half.name for half in halves)}) == 3
        for half in halves:
            train(source, half)
        assert whole.name not in [pack.name for pack in trained(source)]
        assert source.exhausted

    def test_a_lost_pack_does_not_come_again_and_the_others_do(self, tmp_path: Path) -> None:
        source = self.source(tmp_path)
        lost = taken(source)
        source.fail(lost, "its worker was lost")
        others = [pack.name for pack in trained(source)]
        assert others
        assert lost.name not in others
        assert source.exhausted

    def test_divergence_is_heard_like_any_other_result(self, tmp_path: Path) -> None:
        source = self.source(tmp_path)
        pack = taken(source)
        first = pack.training.evaluation_steps()[0]
        source.report(
            pack, [evaluation(m.number, first, None, diverged=True) for m in pack.members]
        )
        source.finish(pack, ())
        assert list(trained(source))


def taken(source: PackSource) -> PackSpec:
    """A pack that must be there."""
    pack = source.next_pack()
    assert pack is not None
    return pack


def train(source: PackSource, pack: PackSpec) -> None:
    """Tells the source a pack's evaluations, by formula, and its end."""
    rates = {m.number: m.hyperparameters.learning_rate for m in pack.members}
    for step in pack.training.evaluation_steps():
        told = [evaluation(number, step, bowl(rate, step)) for number, rate in rates.items()]
        for number in source.report(pack, told):
            rates.pop(number, None)
    source.finish(pack, ())


def trained(source: PackSource) -> Iterator[PackSpec]:
    """The packs that are left, each trained when the next is asked for."""
    while (pack := source.next_pack()) is not None:
        train(source, pack)
        yield pack
