"""A pack's state in one file, replaced as a whole."""

import json
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from torch import Tensor

from proxytune.errors import RunError
from proxytune.files import replace
from proxytune.packs.pack import Evaluation, PackSpec

VERSION = 3
"""Version of the file's contents; it rises when their meaning changes."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Everything that training needs to resume after an evaluation."""

    pack: PackSpec
    """The pack that was trained."""
    steps: int
    numbers: list[int]
    """Members in training, in the order of the tensors."""
    weights: dict[str, Tensor]
    moments: Sequence[dict[str, Tensor]]
    curve: list[Evaluation]
    """All evaluations so far, with dropped members: the driver may not have received all."""
    step_losses: dict[int, list[float]]
    """Training loss at every step by member, where the pack is asked for details; else empty."""
    clipped: dict[int, int]
    """Steps with clipped gradients by member."""
    seconds: dict[int, float]
    """Time of training by member."""
    since_SxK: Tensor
    """Training losses of the steps since the last evaluation: a time limit may end a pack there.
    """

    def save(self, path: Path) -> None:
        """Replaces the file atomically, so it is always complete."""
        contents = {
            "version": VERSION,
            "pack": self.pack.model_dump_json(),
            "steps": self.steps,
            "numbers": self.numbers,
            "weights": self.weights,
            "moments": list(self.moments),
            "curve": json.dumps([e.model_dump() for e in self.curve]),
            "step_losses": self.step_losses,
            "clipped": self.clipped,
            "seconds": self.seconds,
            "since_SxK": self.since_SxK,
        }

        def write(new: Path) -> None:
            # With a path, torch would not report a full disk.
            with new.open("wb") as file:
                try:
                    torch.save(contents, file)
                except RuntimeError as error:
                    # With a file, it hides the OSError behind its own error.
                    if isinstance(error.__context__, OSError):
                        raise error.__context__ from None
                    raise

        replace(path, write, path.with_suffix(".new"))

    def holds(self, pack: PackSpec) -> bool:
        """Whether this is the state of that pack, or of one that it is a part of.

        A file may be left from a deleted study of the same name, on a node whose disk the driver
        does not see.
        """
        ours = {"name", "members", "checkpoint", "threads", "tokens", "purpose", "job", "compiled"}
        alike = self.pack.model_dump(exclude=ours) == pack.model_dump(exclude=ours)
        same_tokens = self.pack.tokens.name == pack.tokens.name
        return alike and same_tokens and set(pack.members) <= set(self.pack.members)

    @classmethod
    def load(cls, path: Path | None) -> Self | None:
        """Reads what `save` wrote; None if there is no file. Loads tensors only, never code.

        Raises a RunError that says what to do about a file that cannot be used.
        """
        if path is None or not path.exists():
            return None
        try:
            saved = torch.load(path, map_location="cpu", weights_only=True)
            version = saved.pop("version", None)
            if version != VERSION:
                raise ValueError(f"its version is {version}, not {VERSION}")
            pack = PackSpec.model_validate_json(saved.pop("pack"))
            curve = [Evaluation.model_validate(e) for e in json.loads(saved.pop("curve"))]
            saved.setdefault("step_losses", {})
            # A file of an older program ends with an evaluation.
            saved.setdefault("seconds", {e.number: e.seconds for e in curve})
            saved.setdefault("since_SxK", torch.empty(0, len(saved["numbers"])))
            return cls(pack=pack, curve=curve, **saved)
        except (
            *(AttributeError, EOFError, LookupError, OSError, RuntimeError, TypeError, ValueError),
            pickle.UnpicklingError,
        ) as error:
            # Torch's messages are long.
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise RunError(
                f"{path}: cannot be read as a checkpoint ({reason}); "
                "remove the file, and its pack starts from the beginning"
            ) from None
