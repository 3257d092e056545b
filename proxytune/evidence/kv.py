"""Which slope of the optimal K/V multiplier each K/V rule predicts.

Notation: s = s(r) = (1 + √r)/2 of the repeat factor r.
"""

import numpy as np

from proxytune.config.evidence import EvidenceSpec
from proxytune.config.parameterization import Parameterization
from proxytune.evidence.findings import log2_s, slope
from proxytune.scaling.rules import KV_RULES

MULTIPLIERS = frozenset({"kv_lr_multiplier"})
"""Base hyperparameters that multiply the K/V learning rate."""


def rule_slopes(spec: EvidenceSpec, rules: Parameterization) -> dict[str, float] | None:
    """Slope of log2 of the optimal multiplier over log2 s(r), if a rule's learning rate is right.

    The rule that is on is in the learning rate already, so its own slope is 0. A rule's rate is
    s^a·r^b, which is no power of s for b ≠ 0: its slope is then that of the least-squares line
    through the run's repeat factors. None if no K/V multiplier is tried along the repeat factor.
    """
    if spec.axis != "repeat" or spec.hyperparameter not in MULTIPLIERS:
        return None
    r_C = np.array([shape.repeat for shape in spec.shapes()], dtype=np.float64)
    log2_rate_C = {
        name: rule.lr_s * log2_s(r_C) + rule.lr_r * np.log2(r_C) for name, rule in KV_RULES.items()
    }
    own_C = log2_rate_C[rules.kv_rule if rules.name == "gqa-mup" else "none"]
    return {name: slope(log2_s(r_C), rate_C - own_C) for name, rate_C in log2_rate_C.items()}
