"""How far training moved each role's weights, relative to their initial values.

Hidden and K/V matrices are measured in the spectral norm, in which the rules keep the relative
update flat (Yang, Simon, Bernstein, arXiv 2310.17813). Repeating a K/V matrix multiplies both
norms by √r, so the ratio is that of the repeated form too. Tables and gains, whose entries do not
change with width, are measured by their RMS.
"""

import torch
from torch import Tensor

from proxytune.models.roles import parameters
from proxytune.models.transformer import PackedTransformer
from proxytune.scaling.rules import HIDDEN_ROLES, Role


@torch.no_grad()
def relative_updates(
    before: PackedTransformer, after: PackedTransformer, member: int
) -> dict[Role, float]:
    """‖W − W₀‖ / ‖W₀‖ of one member of a pack, by role; the mean over the role's parameters.

    `member` is its place in the pack.
    """
    ratios: dict[Role, list[float]] = {}
    for old, new in zip(parameters(before), parameters(after), strict=True):
        start, end = old.tensor[member].cpu(), new.tensor[member].cpu()
        ratio = _norm(end - start, old.role) / _norm(start, old.role)
        ratios.setdefault(old.role, []).append(ratio)
    return {role: sum(values) / len(values) for role, values in ratios.items()}


def _norm(weight: Tensor, role: Role) -> float:
    if role in HIDDEN_ROLES:
        return float(torch.linalg.matrix_norm(weight, ord=2))
    return float(weight.square().mean().sqrt())
