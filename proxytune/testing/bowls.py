"""Packs that train in no time: the loss is a formula, and a name asks for trouble."""

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from proxytune.config.shape import Shape
from proxytune.errors import Interrupted, PackLost, PackTooLarge, RunError
from proxytune.packs.pack import Evaluation, MemberDetails, PackSpec
from proxytune.testing.packs import hyperparameters, members, pack

SHAPE = Shape(d_model=16, n_layers=1, n_heads=2, n_kv_heads=1, seq_len=16)


def bowl_pack(name: str, folder: Path, size: int = 3) -> PackSpec:
    """A pack for `start_bowl`, which makes trouble if its name says so."""
    settings = [hyperparameters(0.01 * 2**index) for index in range(size)]
    made = pack(SHAPE, folder, members(*settings), checkpoint=folder / f"{name}.json")
    return made.model_copy(update={"name": name})


def bowl(learning_rate: float, step: int) -> float:
    """A loss with its best learning rate at 0.02, which falls from step to step."""
    return 1 + (learning_rate / 0.02 - 1) ** 2 + 1 / step


class Bowl:
    """A pack (a PackRunner) whose loss is a formula. Its checkpoint is its evaluations."""

    def __init__(self, pack: PackSpec) -> None:
        assert pack.checkpoint is not None
        self._pack, self._file = pack, pack.checkpoint
        self._in_training = {m.number: m.hyperparameters.learning_rate for m in pack.members}
        self._curve: list[Evaluation] = []
        if self._file.exists():
            self._curve = [
                Evaluation.model_validate(e) for e in json.loads(self._file.read_text())
            ]
        self._told = 0

    @property
    def done(self) -> bool:
        return not self._in_training or self._step == self._pack.training.steps

    @property
    def _step(self) -> int:
        return self._curve[-1].step if self._curve else 0

    def advance(self) -> Sequence[Evaluation]:
        if not self.done:
            step = next(s for s in self._pack.training.evaluation_steps() if s > self._step)
            self.train(step)
            self._curve += [
                evaluation(n, step, bowl(lr, step)) for n, lr in self._in_training.items()
            ]
            self._file.write_text(json.dumps([e.model_dump() for e in self._curve]))
        news, self._told = self._curve[self._told :], len(self._curve)
        return news

    def details(self) -> Sequence[MemberDetails]:
        if not self._pack.details:
            return ()
        return [
            MemberDetails(number=m.number, step_losses=(2.0, None)) for m in self._pack.members
        ]

    def train(self, step: int) -> None:
        """What another kind of pack does differently."""

    def drop(self, numbers: Collection[int]) -> None:
        for number in numbers:
            self._in_training.pop(number, None)


class Stillborn(Bowl):
    """Cannot start."""

    def __init__(self, pack: PackSpec) -> None:
        raise OSError("no tokens")


class Broken(Bowl):
    """Fails after its first evaluation."""

    def train(self, step: int) -> None:
        if step > self._pack.training.evaluation_steps()[0]:
            raise ValueError("a bad batch")


class Unlucky(Bowl):
    """Meets a full disk after its first evaluation."""

    def train(self, step: int) -> None:
        if step > self._pack.training.evaluation_steps()[0]:
            raise RunError("the disk is full")


class Limited(Bowl):
    """Comes to its time limit after its first evaluation."""

    def train(self, step: int) -> None:
        if step > self._pack.training.evaluation_steps()[0]:
            raise Interrupted("the time limit came")


class Flighty(Bowl):
    """Is lost before every evaluation but the first, once each."""

    def train(self, step: int) -> None:
        seen = self._file.with_suffix(f".{step}")
        if step > self._pack.training.evaluation_steps()[0] and not seen.exists():
            seen.touch()
            raise PackLost("it was preempted")


class Forlorn(Bowl):
    """Is lost after its first evaluation, always."""

    def train(self, step: int) -> None:
        if step > self._pack.training.evaluation_steps()[0]:
            raise PackLost("it was preempted")


class Vast(Bowl):
    """Fits into memory with two members at most, and shows it after its first evaluation."""

    def train(self, step: int) -> None:
        if step > self._pack.training.evaluation_steps()[0] and len(self._in_training) > 2:
            raise PackTooLarge("does not fit into memory (3 members)")


class Boundless(Bowl):
    """Never fits."""

    def __init__(self, pack: PackSpec) -> None:
        raise PackTooLarge(f"does not fit into memory ({len(pack.members)} members)")


KINDS: Mapping[str, type[Bowl]] = {
    "stillborn": Stillborn,
    "broken": Broken,
    "unlucky": Unlucky,
    "limited": Limited,
    "flighty": Flighty,
    "forlorn": Forlorn,
    "vast": Vast,
    "boundless": Boundless,
}


def start_bowl(pack: PackSpec) -> Bowl:
    """Starts a pack of the kind that its name says."""
    return KINDS.get(pack.name.partition("-")[0], Bowl)(pack)


def evaluation(
    number: int, step: int, loss: float | None, *, diverged: bool = False
) -> Evaluation:
    """One member at one evaluation."""
    return Evaluation(
        number=number,
        step=step,
        tokens=64 * step,
        train_loss=loss,
        validation_loss=loss,
        grad_norm=1.0,
        lr_factor=1.0,
        seconds=0.1 * step,
        diverged=diverged,
    )
