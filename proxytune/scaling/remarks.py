"""What a reader of a projection has to know besides its numbers, each in one line."""

from collections.abc import Callable
from dataclasses import asdict

from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.config.parameterization import RULES_VERSION, Parameterization
from proxytune.config.shape import Shape
from proxytune.scaling.projection import project

SHAPE_RATIO = 1.25
"""Two shapes whose sides relate more differently than this do not start alike."""

FOLDED_CLIP = (
    "folding is exact only without clipping by the global norm: folded gradients have another "
    "norm, so the clip_norm that was tuned with does not mean the same"
)

_SIDES: dict[str, Callable[[Shape], float]] = {
    "d_ff/d_model": lambda shape: shape.d_ff / shape.d_model,
    "n_heads·head_dim/d_model": lambda shape: shape.q_dim / shape.d_model,
    "n_kv_heads·head_dim/d_model": lambda shape: shape.kv_dim / shape.d_model,
}


def remarks(
    hyperparameters: BaseHyperparameters,
    base: Shape,
    proxy: Shape,
    target: Shape,
    parameterization: Parameterization,
) -> tuple[str, ...]:
    """Remarks on a projection of what was tuned on the proxy."""
    return (
        *_older_rules(hyperparameters, base, target, parameterization),
        *_other_sides(proxy, target, parameterization),
    )


def _older_rules(
    hyperparameters: BaseHyperparameters,
    base: Shape,
    target: Shape,
    parameterization: Parameterization,
) -> list[str]:
    """Which settings of the target would be others by the newest version of the rules."""
    version = parameterization.rules_version
    if version == RULES_VERSION:
        return []
    newest = parameterization.model_copy(update={"rules_version": RULES_VERSION})
    ours, theirs = (
        project(hyperparameters, base, target, rules).roles for rules in (parameterization, newest)
    )
    differ = [
        f"{role}.{name} {value:.3g} (version {RULES_VERSION}: {new:.3g})"
        for role, settings in ours.items()
        for (name, value), new in zip(
            asdict(settings).items(), asdict(theirs[role]).values(), strict=True
        )
        if value != new
    ]
    says = ", ".join(differ) or "no setting of this target"
    return [
        f"tuned by version {version} of the rules, and projected by it; version {RULES_VERSION} "
        f"changes {says}. To tune by version {RULES_VERSION}, run the study under another name"
    ]


def _other_sides(proxy: Shape, target: Shape, parameterization: Parameterization) -> list[str]:
    """Sides of matrices that do not grow together: rates follow the fan-in, inits miss the rest.

    Of K and V, what the repeat factor does to their rows is the K/V rule's own matter.
    """
    found = []
    for name, sides in _SIDES.items():
        ours, theirs = sides(proxy), sides(target)
        if max(ours / theirs, theirs / ours) <= SHAPE_RATIO:
            continue
        if name.startswith("n_kv_heads"):
            says = "of their rows, the initial weights of K and V follow what kv_rule says, alone"
        elif parameterization.shape_init == "spectral":
            says = "learning rates follow it, and so do initial weights (shape_init: spectral)"
        else:
            says = "learning rates follow it, initial weights do not; shape_init: spectral would"
        found.append(f"{name} is {theirs:.3g} in the target, {ours:.3g} in the proxy: {says}")
    return found
