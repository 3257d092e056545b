"""How far training moved each role's weights, relative to their initial values.

Hidden and K/V matrices are measured in the spectral norm, in which the rules keep the relative
update flat (Yang, Simon, Bernstein, arXiv 2310.17813). Repeating a K/V matrix multiplies both
norms by √r, so the ratio is that of the repeated form too. Tables and gains, whose entries do not
change with width, are measured by their RMS.

Shapes, as suffixes of names: K members, `x` what a parameter of one member has.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from proxytune.models.portable import whole
from proxytune.models.roles import Parameter, parameters
from proxytune.models.transformer import PackedTransformer
from proxytune.scaling.rules import HIDDEN_ROLES, Role, reported_as


@torch.no_grad()
def relative_updates(
    model: PackedTransformer, initial: Callable[[Parameter], Tensor]
) -> list[dict[Role, float]]:
    """‖W − W₀‖ / ‖W₀‖ of each member, by role; the mean over the role's parameters.

    `initial` gives what a parameter started at; one is looked at at a time, so that a sharded
    model is never whole.
    """
    ratios: list[dict[Role, list[float]]] = [{} for _ in range(model.members)]
    for param in parameters(model):
        start_Kx, end_Kx = initial(param), whole(param.tensor).cpu()
        for of_member, start_x, end_x in zip(ratios, start_Kx, end_Kx, strict=True):
            ratio = _norm(end_x - start_x, param.role) / _norm(start_x, param.role)
            for role in reported_as(param.role):
                of_member.setdefault(role, []).append(ratio)
    return [
        {role: sum(values) / len(values) for role, values in of_member.items()}
        for of_member in ratios
    ]


def _norm(weight: Tensor, role: Role) -> float:
    if role in HIDDEN_ROLES:
        return float(torch.linalg.matrix_norm(weight, ord=2))
    return float(weight.square().mean().sqrt())
