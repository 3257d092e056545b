"""Both executors keep the contract; Ray's also survives its workers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from proxytune.search.executor import Executor, LocalExecutor
from proxytune.search.quiet import hush
from proxytune.spec.search import ExecutionSpec
from tests.contracts.executor import FIRST, STEPS, ExecutorContract
from tests.search.fakes import Recording, bowl_pack, start_bowl


class TestLocalExecutor(ExecutorContract):
    @pytest.fixture(scope="class")
    @classmethod
    def executor(cls) -> Iterator[Executor]:
        with LocalExecutor(start_bowl) as executor:
            yield executor


@pytest.mark.slow
class TestRayExecutor(ExecutorContract):
    @pytest.fixture(scope="class")
    @classmethod
    def executor(cls) -> Iterator[Executor]:
        hush()
        from proxytune.search.ray_executor import RayExecutor

        with RayExecutor(start_bowl, ExecutionSpec()) as executor:
            yield executor

    def test_no_more_packs_train_at_once_than_it_is_told(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        from proxytune.search.ray_executor import RayExecutor

        source = Recording([bowl_pack(name, tmp_path) for name in ("first", "second")])
        alone = RayExecutor(start_bowl, ExecutionSpec(max_packs=1))
        alone.run(source)
        assert source.finished == ["first", "second"]
        assert source.most_in_training == 1

    @pytest.fixture(scope="class")
    @classmethod
    def bereft(
        cls, executor: Executor, tmp_path_factory: pytest.TempPathFactory
    ) -> tuple[Recording, Path]:
        """A run that loses workers, and its folder."""
        folder = tmp_path_factory.mktemp("packs")
        source = Recording([bowl_pack(name, folder) for name in ("killed", "deadly", "spared")])
        executor.run(source)
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
        assert source.failed == [("deadly", "its worker was lost 3 times")]
        assert sorted(source.finished) == ["killed", "spared"]
