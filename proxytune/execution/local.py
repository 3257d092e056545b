"""Trains packs in this process, one after another."""

from collections.abc import Callable, Collection, Generator, Sequence

from proxytune.errors import PackTooLarge, RunError
from proxytune.packs.pack import Evaluation, MemberDetails, PackSpec
from proxytune.packs.ports import PackSource, Result, RunnerFactory, refuse


class LocalExecutor:
    """Trains one pack after another in this process."""

    slots = 1

    def __init__(self, start: RunnerFactory) -> None:
        self._start = start

    def __enter__(self) -> "LocalExecutor":
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def run(self, source: PackSource) -> None:
        """Trains until the source is exhausted; an exception in a pack fails that pack alone."""
        while (pack := source.next_pack()) is not None:
            self._train(pack, source)

    def call(self, function: Callable[..., Result], *arguments: object) -> Result:
        """Calls the function in this process."""
        return function(*arguments)

    def _train(self, pack: PackSpec, source: PackSource) -> None:
        training, drop = self._training(pack), None
        while True:
            try:
                evaluations = training.send(drop)
            except StopIteration as end:
                return source.finish(pack, end.value)
            except PackTooLarge as error:
                return refuse(source, pack, str(error))
            except RunError:
                raise
            except Exception as error:
                return source.fail(pack, f"{type(error).__name__}: {error}")
            # Outside the try: an error in the source is not the pack's.
            drop = source.report(pack, evaluations)

    def _training(
        self, pack: PackSpec
    ) -> Generator[Sequence[Evaluation], Collection[int] | None, Sequence[MemberDetails]]:
        """Yields a pack's evaluations, takes the members to drop, and returns the details."""
        runner = self._start(pack)
        while True:
            # Also for a pack that was restored at its end: its report may have been lost.
            runner.drop((yield runner.advance()) or ())
            if runner.done:
                return runner.details()
