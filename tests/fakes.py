"""Packs that train in no time, and a source that keeps what it hears."""

import json
import os
import signal
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from proxytune.config.shape import Shape
from proxytune.errors import PackTooLarge, RunError
from proxytune.packs.pack import Evaluation, MemberDetails, PackSpec
from tests.packs import hyperparameters, members, pack

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


class Killed(Bowl):
    """Takes its worker with it once, after its first evaluation; notes what it has trained."""

    def train(self, step: int) -> None:
        marker = self._file.with_suffix(".killed")
        if step > self._pack.training.evaluation_steps()[0] and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        with self._file.with_suffix(".trained").open("a") as file:
            file.write(f"{step}\n")


class Frail(Bowl):
    """Takes its worker with it once at every step, before it gets any further."""

    def train(self, step: int) -> None:
        deaths = self._file.with_suffix(".deaths")
        seen = deaths.read_text().split() if deaths.exists() else []
        if str(step) not in seen:
            deaths.write_text(" ".join([*seen, str(step)]))
            os.kill(os.getpid(), signal.SIGKILL)


class Deadly(Bowl):
    """Takes its worker with it, always."""

    def train(self, step: int) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class Placed(Bowl):
    """Takes its time, and notes the node that it is on.

    After its first evaluation it waits for as many packs as its name says to be there.
    """

    def train(self, step: int) -> None:
        import ray

        with self._file.with_suffix(".nodes").open("a") as file:
            file.write(f"{ray.get_runtime_context().get_node_id()}\n")
        together = int(self._pack.name.rpartition("-of-")[2])
        if step > self._pack.training.evaluation_steps()[0]:
            while len([*self._file.parent.glob("*.nodes")]) < together:
                time.sleep(0.1)
        time.sleep(0.5)


class Fed(Bowl):
    """Notes where its tokens are, and what they say."""

    def train(self, step: int) -> None:
        told = f"{self._pack.tokens} {(self._pack.tokens / 'train.bin').read_text()}"
        self._file.with_suffix(".tokens").write_text(told)


class Unlucky(Bowl):
    """Meets a full disk after its first evaluation."""

    def train(self, step: int) -> None:
        if step > self._pack.training.evaluation_steps()[0]:
            raise RunError("the disk is full")


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
    "killed": Killed,
    "frail": Frail,
    "deadly": Deadly,
    "placed": Placed,
    "fed": Fed,
    "unlucky": Unlucky,
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


class Recording:
    """Gives out packs (a PackSource), drops whom it is told to, and keeps all it hears."""

    def __init__(
        self,
        packs: Sequence[PackSpec],
        drops: Mapping[tuple[str, int], frozenset[int]] | None = None,
    ) -> None:
        self._waiting, self._drops = list(packs), drops or {}
        self.given: list[str] = []
        self.heard: dict[str, list[Evaluation]] = {}
        self.finished: list[str] = []
        self.details: dict[str, list[MemberDetails]] = {}
        self.failed: list[tuple[str, str]] = []
        self.split: list[str] = []
        self.most_in_training = 0

    def next_pack(self) -> PackSpec | None:
        if not self._waiting:
            return None
        pack = self._waiting.pop(0)
        self.given.append(pack.name)
        ended = len(self.finished) + len(self.failed) + len(self.split)
        self.most_in_training = max(self.most_in_training, len(self.given) - ended)
        return pack

    def report(self, pack: PackSpec, evaluations: Sequence[Evaluation]) -> frozenset[int]:
        self.heard.setdefault(pack.name, []).extend(evaluations)
        steps = {e.step for e in evaluations}
        return frozenset().union(*(self._drops.get((pack.name, s), frozenset()) for s in steps))

    def finish(self, pack: PackSpec, details: Sequence[MemberDetails]) -> None:
        self.finished.append(pack.name)
        self.details[pack.name] = list(details)

    def fail(self, pack: PackSpec, reason: str) -> None:
        self.failed.append((pack.name, reason))

    def too_large(self, pack: PackSpec) -> None:
        self.split.append(pack.name)
        self._waiting[:0] = pack.halves()

    @property
    def exhausted(self) -> bool:
        return not self._waiting

    def steps(self, name: str, number: int) -> list[int]:
        """The steps at which a member was evaluated, as they were heard."""
        return [e.step for e in self.heard.get(name, []) if e.number == number]
