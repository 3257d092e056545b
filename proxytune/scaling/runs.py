"""The run of a study and that of its target: what is done about their difference, or said."""

from dataclasses import dataclass

from proxytune.config.horizon import HorizonSpec, RunLength
from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.scaling.horizon import FittedPower, Horizon, RunRatios, horizon
from proxytune.scaling.projection import Projection
from proxytune.scaling.rules import Role

REACH = 16
"""How many times the longest measured run a target may train before it is said that it does."""
SAME_RUN = 0.01
"""How much two runs may differ, as a share, before it is said that nothing corrects for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """What trained on the proxy, what is to train at the target, and the rules between the two."""

    proxy: RunLength
    target: RunLength
    spec: HorizonSpec | None
    """None: no rule is on."""
    fitted: FittedPower | None = None
    """The power that `spec.fitted` names."""

    def horizon(
        self, hyperparameters: BaseHyperparameters | None, parameters: float
    ) -> Horizon | None:
        """What the rules make of base hyperparameters; `parameters` is m_N. None: none is on."""
        if self.spec is None:
            return None
        ratios = RunRatios.between(self.proxy, self.target, parameters)
        return horizon(self.spec, ratios, hyperparameters, self.fitted)


def run_remarks(
    runs: Runs, proxy: Projection | None = None, target: Projection | None = None
) -> tuple[str, ...]:
    """That nothing corrects for another length or batch, where no horizon rule is on.

    Or that a fitted power is carried much further than it was measured.

    With projections onto both shapes, also what 1/(lr · decay) of a hidden matrix is in steps.
    """
    ours, theirs, fitted = runs.proxy, runs.target, runs.fitted
    if fitted is not None and (theirs.tokens or 0) > REACH * fitted.longest:
        return (
            f"horizon: evidence {fitted.evidence} measured its power up to "
            f"{fitted.longest:.3g} tokens; the target trains {theirs.tokens:.3g}",
        )
    ratios = RunRatios.between(ours, theirs, parameters=1).model_dump(exclude={"parameters"})
    unlike = any(ratio and abs(ratio - 1) > SAME_RUN for ratio in ratios.values())
    if runs.spec is not None or not unlike:
        return ()
    says = (
        f"the proxy trains {ours.text}, the target {theirs.text}; nothing here corrects for that: "
        "see horizon in the target's file"
    )
    memories = [_memory(projection) for projection in (proxy, target) if projection]
    if len(memories) == 2 and all(memories):
        of_proxy, of_target = (
            f"{memory:,.0f} at the {side}"
            + (f", which trains {run.steps:,.0f}" if run.steps else "")
            for side, memory, run in zip(
                ("proxy", "target"), memories, (ours, theirs), strict=True
            )
        )
        says += (
            ". 1/(lr · weight decay), the number of steps after which decay has forgotten a "
            f"weight, is {of_proxy}, and {of_target}"
        )
    return (says,)


def _memory(projection: Projection) -> float | None:
    """1/(lr · weight decay) of hidden matrices, in steps at the peak rate; None without decay."""
    hidden = projection.roles[Role.HIDDEN]
    return 1 / (hidden.lr * hidden.weight_decay) if hidden.weight_decay else None
