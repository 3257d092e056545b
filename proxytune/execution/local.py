"""Trains packs in this process, one after another."""

from collections.abc import Callable, Collection, Generator, Sequence

from proxytune.errors import PackLost, PackTooLarge, RunError
from proxytune.packs.losses import Losses
from proxytune.packs.pack import Evaluation, MemberDetails, PackSpec
from proxytune.packs.ports import PackSource, Result, RunnerFactory, refuse


class LocalExecutor:
    """Trains one pack after another in this process."""

    slots = 1

    def __init__(self, start: RunnerFactory, max_failures: int = 0) -> None:
        """A pack may be lost `max_failures` times in a row without making progress."""
        self._start, self._max_failures = start, max_failures

    def __enter__(self) -> "LocalExecutor":
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def run(self, source: PackSource) -> None:
        """Trains until the source is exhausted; an exception in a pack fails that pack alone."""
        losses = Losses(self._max_failures)
        while (pack := source.next_pack()) is not None:
            while not self._train(pack, source, losses):
                pass

    def call(self, function: Callable[..., Result], *arguments: object) -> Result:
        """Calls the function in this process."""
        return function(*arguments)

    def _train(self, pack: PackSpec, source: PackSource, losses: Losses) -> bool:
        """Trains a pack to its end; False if it was lost, and is to be tried again."""
        training, drop = self._training(pack), None
        while True:
            try:
                evaluations = training.send(drop)
            except StopIteration as end:
                source.finish(pack, end.value)
                return True
            except PackTooLarge as error:
                refuse(source, pack, str(error))
                return True
            except PackLost as error:
                if losses.allow_another(pack.name):
                    return False
                source.fail(pack, losses.reason(pack.name, str(error)))
                return True
            except RunError:
                raise
            except Exception as error:
                source.fail(pack, f"{type(error).__name__}: {error}")
                return True
            # Outside the try: an error in the source is not the pack's.
            losses.hear(pack.name, evaluations)
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
