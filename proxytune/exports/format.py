"""What a format is: one trainer's way to take settings, behind one interface."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from proxytune.config.shape import Shape
from proxytune.errors import InputError
from proxytune.exports.build import Projected
from proxytune.exports.document import ExportDocument, Group


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A projection in a trainer's words."""

    document: ExportDocument
    """The settings, by its parameter names."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Files of its own, besides those that every export has: name -> text."""
    paste: Sequence[str]
    """Lines to paste into its training script or configuration."""
    forward: str
    """Where the forward multipliers go, in words."""
    clip: str
    """How gradients are clipped, in words."""
    schedule: str
    """How the schedule is set, in words."""


class Format(Protocol):
    """A trainer's format."""

    name: str
    """What --for calls it."""

    def export(self, projected: Projected) -> Exported:
        """A projection in this format. Raises InputError for a target that it cannot express."""


def as_json(document: object) -> str:
    """A file's text."""
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def adamw_options(group: Group) -> dict[str, Any]:
    """A role's options of AdamW; clip_scale stays in the group, where clipping looks for it."""
    return {
        "lr": group.lr,
        "betas": group.betas,
        "eps": group.eps,
        "weight_decay": group.weight_decay,
        "clip_scale": group.clip_scale,
    }


def forward_in_words(document: ExportDocument, head: str) -> str:
    """Where the forward multipliers go that are left; `head` is how to reach the output head."""
    left = document.multipliers_left()
    numbers = ", ".join(f"{name} {value:.6g}" for name, value in left.items())
    if not left:
        return "none: weights have taken them in, and attention is at 1/√head_dim"
    if document.folded:
        return (
            f"logits alone, {left['logits']:.6g}, since the tied table is used twice: "
            f"projection.scale_logits_({head})"
        )
    return (
        f"{numbers}: on the embedding's output, on q·k (the whole softmax scale), on the output "
        "of every attention and MLP branch, and on the logits"
    )


def require_swiglu(trainer: str, shape: Shape) -> None:
    """Refuses a plain MLP for a trainer whose models have a gated one."""
    if shape.mlp != "swiglu":
        raise InputError(
            f"--for {trainer}: shape.mlp = {shape.mlp!r}: its models have a gated MLP (swiglu) "
            "alone; export for pytorch, and give load_projection's methods the parameters' roles"
        )
