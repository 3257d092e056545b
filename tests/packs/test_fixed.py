"""A list of packs is given out once, and what becomes of each is kept."""

from collections.abc import Sequence
from pathlib import Path

from proxytune.execution.local import LocalExecutor
from proxytune.packs.fixed import FixedPacks, PackRun
from proxytune.packs.pack import Evaluation, MemberDetails, PackSpec
from proxytune.packs.ports import PackSource
from proxytune.testing import PackSourceContract
from proxytune.testing.bowls import bowl_pack, evaluation, start_bowl
from proxytune.testing.packs import TRAINING

STEPS = list(TRAINING.evaluation_steps())


class TestFixedPacks(PackSourceContract):
    def source(self, folder: Path) -> PackSource:
        return FixedPacks([bowl_pack(name, folder) for name in ("first", "second", "third")])


def packs(folder: Path, *names: str) -> list[PackSpec]:
    return [bowl_pack(name, folder).model_copy(update={"details": True}) for name in names]


def test_every_pack_is_trained_and_kept_by_its_name(tmp_path: Path) -> None:
    finished: list[str] = []
    of = FixedPacks(
        packs(tmp_path, "first", "second"),
        on_finished=lambda run: finished.append(run.pack.name),
    )
    LocalExecutor(start_bowl).run(of)
    assert (list(of.runs), finished, of.lost) == (["first", "second"],) * 2 + ([],)
    for run in of.runs.values():
        assert run.finished
        assert [e.step for e in run.evaluations(1)] == STEPS
        assert set(run.details) == {0, 1, 2}


def test_evaluations_are_heard_as_they_come(tmp_path: Path) -> None:
    heard: list[tuple[str, int]] = []

    def hear(run: PackRun, evaluations: Sequence[Evaluation]) -> None:
        heard.append((run.pack.name, evaluations[0].step))

    LocalExecutor(start_bowl).run(FixedPacks(packs(tmp_path, "one"), on_evaluations=hear))
    assert heard == [("one", step) for step in STEPS]


def test_of_a_step_that_is_told_twice_the_last_counts(tmp_path: Path) -> None:
    (pack,) = packs(tmp_path, "one")
    of = FixedPacks([pack])
    for loss in (3.0, 2.0):
        of.report(pack, [evaluation(0, 8, loss), evaluation(0, 4, loss)])
    assert [(e.step, e.validation_loss) for e in of.runs["one"].evaluations(0)] == [
        (4, 2.0),
        (8, 2.0),
    ]


def test_halves_count_as_the_pack_they_came_from(tmp_path: Path) -> None:
    finished: list[PackRun] = []
    of = FixedPacks(packs(tmp_path, "vast"), on_finished=finished.append)
    LocalExecutor(start_bowl).run(of)
    (run,) = finished
    assert (run.pack.name, run.finished, of.lost) == ("vast", True, [])
    assert [[e.step for e in run.evaluations(n)] for n in range(3)] == [STEPS] * 3


def test_a_half_that_is_lost_leaves_its_pack_unfinished(tmp_path: Path) -> None:
    finished: list[PackRun] = []
    (pack,) = packs(tmp_path, "vast")
    of = FixedPacks([pack], on_finished=finished.append)
    of.too_large(of.next_pack() or pack)
    first, second = of.next_pack(), of.next_pack()
    assert first is not None
    assert second is not None
    of.fail(first, "its worker was lost")
    of.finish(second, [MemberDetails(number=2)])
    assert (finished, of.exhausted) == ([], True)
    assert of.lost == ["vast was lost (its worker was lost)"]
