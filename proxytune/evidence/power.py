"""The power by which the best learning rate falls as training lasts longer, as horizon rule."""

from proxytune.config.parameterization import Parameterization
from proxytune.errors import InputError
from proxytune.evidence.report import EvidenceReport
from proxytune.scaling.horizon import NARROW, FittedPower

FEWEST, SPAN = 3, 16
"""Lengths that a power is fitted to, and how many times the first the last of them is."""


def fitted_power(report: EvidenceReport, rules: Parameterization) -> FittedPower:
    """The power that an evidence run along tokens found under these scaling rules.

    Raises InputError where it is no such run, where its lengths are too few or too close, or
    where its interval is wider than ±0.15.
    """
    spec, label = report.spec, rules.label
    if spec.axis != "tokens" or spec.hyperparameter != "learning_rate":
        raise _unfit(report, "is not along tokens, of the learning rate")
    if len(spec.values) < FEWEST or spec.values[-1] < SPAN * spec.values[0]:
        says = f"has lengths {list(spec.values)}; {FEWEST} or more up to {SPAN} times the first"
        raise _unfit(report, f"{says} are needed")
    found = report.parameterizations.get(label)
    if found is None:
        raise _unfit(report, f"does not try {label}, which the study was tuned with")
    if any(found.optimum_at_edge_of_grid.values()):
        raise _unfit(report, "has an optimum at the edge of its grid; widen grid")
    power = found.power
    if power is None or power.value is None or power.low is None or power.high is None:
        raise _unfit(report, "has no interval; give it more seeds")
    if (power.high - power.low) / 2 > NARROW:
        raise _unfit(
            report,
            f"gives p = {power.value:.2f} [{power.low:.2f}, {power.high:.2f}], wider than "
            f"±{NARROW}; give it more seeds, or write power: P yourself",
        )
    return FittedPower(
        evidence=report.evidence,
        power=power.value,
        low=power.low,
        high=power.high,
        longest=spec.places()[-1].coordinate,
    )


def _unfit(report: EvidenceReport, says: str) -> InputError:
    return InputError.of_field("horizon.fitted", report.evidence, says)
