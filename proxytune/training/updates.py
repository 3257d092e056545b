"""How far training moved each role's weights, relative to where they began.

Hidden and K/V matrices are measured in the spectral norm, in which the rules keep the relative
update flat (Yang, Simon, Bernstein, arXiv 2310.17813). Repeating a K/V matrix multiplies both
norms by √r, so the ratio is that of the repeated form too. Tables and gains, whose entries do not
change with width, are measured by their RMS.
"""

import torch
from torch import Tensor

from proxytune.model.parametrize import named_roles
from proxytune.model.transformer import PackedTransformer
from proxytune.scaling.rules import Role

SPECTRAL = frozenset({Role.HIDDEN, Role.ATTENTION_OUT, Role.MLP_OUT, Role.KV})


@torch.no_grad()
def relative_updates(before: PackedTransformer, after: PackedTransformer) -> dict[Role, float]:
    """‖W − W₀‖ / ‖W₀‖ of a pack of one, by role; the mean over the role's parameters."""
    ratios: dict[Role, list[float]] = {}
    pairs = zip(named_roles(before), named_roles(after), strict=True)
    for (_, old, role), (_, new, _) in pairs:
        change = (new.cpu() - old.cpu())[0]
        ratio = _norm(change, role) / _norm(old.cpu()[0], role)
        ratios.setdefault(role, []).append(ratio)
    return {role: sum(values) / len(values) for role, values in ratios.items()}


def _norm(weight: Tensor, role: Role) -> float:
    if role in SPECTRAL:
        return float(torch.linalg.matrix_norm(weight, ord=2))
    return float(weight.square().mean().sqrt())
