"""Why a trainer's setting is likely to be wrong, read off the wrong number itself."""

import math
from collections.abc import Iterator

from proxytune.config.shape import Shape
from proxytune.exports.document import ExportDocument, Group

USUAL_STD = 0.02
"""What most trainers initialize with if nobody says otherwise."""
NEAR = 0.01
"""Relative difference at which a number counts as another known one."""


def reason(document: ExportDocument, group: Group, setting: str, given: float) -> str:
    """A clause such as "the K/V rule is missing"; "" where the number tells nothing."""
    found = _reasons(document, group, setting)
    near = 0.1 if setting == "std" else NEAR
    return next((says for value, says in found if math.isclose(given, value, rel_tol=near)), "")


def _reasons(document: ExportDocument, group: Group, setting: str) -> Iterator[tuple[float, str]]:
    """Numbers that a role's setting has after a known mistake, with that mistake."""
    hp, groups = document.hyperparameters, {g.role: g for g in document.groups}
    hidden = groups.get("hidden")
    is_kv = group.role in ("key", "value")
    scale = group.clip_scale
    unfolded = f"the forward multiplier {scale:.4g} is not folded in"
    if setting == "lr":
        if is_kv and hidden is not None:
            yield hidden.lr, "the K/V rule is missing"
        yield hp.learning_rate, "it is the base's, as if no rule applied"
        yield group.lr / scale, unfolded
    elif setting == "weight_decay":
        yield 0.0, "it does not decay here"
        yield hp.weight_decay, "it is the base's, not multiplied by the width"
        if is_kv and hidden is not None:
            yield hidden.weight_decay, "the K/V rule is missing"
        yield group.weight_decay * scale, unfolded
    elif setting == "eps":
        yield hp.eps, "eps is not scaled, it is the base's"
        yield group.eps * scale, unfolded
    elif setting == "std" and group.init_std is not None:
        yield group.init_std * _depth(document.shape), "the trainer scales it by 1/√(2·n_layers)"
        yield group.init_std / scale, unfolded
        yield USUAL_STD, "it is the trainer's own, not the projection's"


def _depth(shape: Shape) -> float:
    """GPT-2's factor on what is added to the residual stream."""
    return 1 / math.sqrt(2 * shape.n_layers)
