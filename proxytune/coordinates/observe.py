"""What a model computes on a probe: activations and inputs by role, and how it attends.

Works on any module whose parameters have roles; attention is seen where the model calls
`scaled_dot_product_attention`.

Shapes, as suffixes of names: N tokens of the probe, I fan-in, O fan-out, T positions.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from proxytune.models.roles import Parameter
from proxytune.scaling.rules import Role, reported_as

ATTENTION_LOGITS = "attention_logits"
"""Stands beside the roles: q·k behind its multiplier."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One forward pass over the probe."""

    activations: dict[str, list[Tensor]] = field(default_factory=dict)
    """Role -> the outputs of its modules, in order; for unembedding, the logits."""
    inputs_NxI: dict[str, Tensor] = field(default_factory=dict)
    """Parameter -> what its module saw; for an embedding, tokens (N,)."""
    entropies: list[float] = field(default_factory=list)
    """Attention by attention: mean entropy of where a position looks, nats."""


@torch.no_grad()
def observe(model: nn.Module, params: Sequence[Parameter], probe: Tensor) -> Observation:
    """Runs the probe (B, T) through the model and keeps what its modules see and give."""
    seen = Observation()
    with _hooks(model, params, seen), _Attention(seen):
        output = logits_of(model, probe)
    seen.activations[Role.UNEMBEDDING] = [output.float()]
    return seen


def logits_of(model: nn.Module, tokens: Tensor) -> Tensor:
    """Logits (…, V) of tokens (B, T), given as a tensor or as Hugging Face's output."""
    output = model(tokens)
    logits: Tensor = output if isinstance(output, Tensor) else output.logits
    return logits


def weights_with_modules(params: Sequence[Parameter]) -> list[Parameter]:
    """Matrices, tables and gains; biases are left out."""
    return [param for param in params if not param.bias]


@contextmanager
def _hooks(model: nn.Module, params: Sequence[Parameter], seen: Observation) -> Iterator[None]:
    handles = []
    for param in weights_with_modules(params):
        module = model.get_submodule(param.name.rpartition(".")[0])
        handles.append(module.register_forward_hook(_keep(param, seen)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _keep(param: Parameter, seen: Observation) -> Callable[..., None]:
    def hook(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        (given,) = args[:1]
        is_tokens = not given.is_floating_point()
        seen.inputs_NxI[param.name] = (
            given.flatten() if is_tokens else given.flatten(0, -2).float()
        )
        for role in reported_as(param.role):
            seen.activations.setdefault(role, []).append(output.float())

    return hook


class _Attention(TorchFunctionMode):
    """Computes what the attention kernel would not show: its logits and their entropy."""

    def __init__(self, seen: Observation) -> None:
        super().__init__()
        self._seen = seen

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        options = kwargs or {}
        if func is F.scaled_dot_product_attention:
            query, key = args[:2]
            scale = options.get("scale")
            scale = query.shape[-1] ** -0.5 if scale is None else scale
            key = key.repeat_interleave(query.shape[-3] // key.shape[-3], dim=-3)
            scores_xTxT = query @ key.transpose(-1, -2) * scale
            past_TxT = torch.ones(
                scores_xTxT.shape[-2:], dtype=torch.bool, device=scores_xTxT.device
            ).tril()
            self._seen.activations.setdefault(ATTENTION_LOGITS, []).append(
                scores_xTxT[..., past_TxT]
            )
            self._seen.entropies.append(_entropy(scores_xTxT, past_TxT))
        return func(*args, **options)


def _entropy(scores_xTxT: Tensor, past_TxT: Tensor) -> float:
    """Mean over positions of the entropy of the softmax over the past, nats."""
    shares = scores_xTxT.float().masked_fill(~past_TxT, -torch.inf).softmax(-1)
    return float(torch.special.entr(shares).sum(-1).mean())
