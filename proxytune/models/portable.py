"""The settings in an exported folder, put to use: parameter groups, initial weights, clipping.

One file that imports torch alone: an export carries a copy of it, named proxytune_projection.py,
for a trainer's environment in which proxytune is not installed.

    projection = load_projection("FOLDER")
    projection.init_weights_(model)
    optimizer = projection.optimizer(model)
    # The multipliers that the model has to apply itself, if it is not folded:
    projection.forward
"""

import json
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm
from torch.optim.lr_scheduler import LambdaLR

DOCUMENT = "param_groups.json"
"""The file with the settings."""
WRAPPERS = ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
"""Components that DDP, torch.compile, FSDP and activation checkpointing put into names."""

Patterns = Mapping[str, str]
"""Shell pattern of parameter names -> role. The first that matches counts."""


def load_projection(folder: str | Path) -> "Projection":
    """Reads the settings in an exported folder. Raises OSError or ValueError if it has none."""
    text = (Path(folder) / DOCUMENT).read_text(encoding="utf-8")
    document = json.loads(text)
    if not isinstance(document, dict) or document.get("schema_version") != 1:
        raise ValueError(f"{folder}: {DOCUMENT} is not of version 1, which this file reads")
    return Projection(document)


class Projection:
    """The settings of every role, for a model whose parameters have the roles' names.

    `patterns` of its methods names the roles of other models: {name pattern: role}. All of them
    raise ValueError that lists parameters without a role, roles without a parameter, and matrices
    of another shape than the settings are for.
    """

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        """What param_groups.json holds."""
        self.forward: dict[str, float] = document["forward"]
        """Multipliers on the embedding, q·k (the whole softmax scale), every residual branch, and
        the logits."""
        self.folded: bool = document["folded"]
        """Whether weights have taken in all multipliers that they can."""
        self._groups: dict[str, dict[str, Any]] = {g["role"]: g for g in document["groups"]}

    def param_groups(
        self, model: nn.Module, patterns: Patterns | None = None
    ) -> list[dict[str, Any]]:
        """Groups for `torch.optim.AdamW`: every parameter once. `lr` is the peak."""
        groups: dict[str, dict[str, Any]] = {}
        for _, param, settings in self._assign(model, patterns):
            group = {
                "role": settings["role"],
                "params": [],
                "lr": settings["lr"],
                "weight_decay": settings["weight_decay"],
                "eps": settings["eps"],
                "betas": tuple(settings["betas"]),
                "clip_scale": settings["clip_scale"],
            }
            groups.setdefault(settings["role"], group)["params"].append(param)
        return list(groups.values())

    def optimizer(
        self, model: nn.Module, patterns: Patterns | None = None, **options: Any
    ) -> torch.optim.AdamW:
        """AdamW over the groups, which clips gradients before each step as in the study.

        So switch the trainer's own clipping off. `options` go to AdamW, as in fused=True.
        """
        optimizer = torch.optim.AdamW(self.param_groups(model, patterns), **options)
        self.clip_before_steps(optimizer)
        return optimizer

    def clip_before_steps(self, optimizer: torch.optim.Optimizer) -> None:
        """Has an optimizer clip gradients before each step, at the norm that the study clipped at.

        Its groups need the clip_scale of these. Does nothing if the study did not clip.
        """
        clip_norm = self.document["clip"]["norm"]
        if clip_norm is not None:
            optimizer.register_step_pre_hook(_Clipping(clip_norm))

    def scheduler(self, optimizer: torch.optim.Optimizer, steps: int) -> LambdaLR:
        """The learning rates of a run of `steps`; call its step() after each of the optimizer."""
        return LambdaLR(optimizer, lambda step: self.lr_factor(min(step, steps - 1), steps))

    @torch.no_grad()
    def init_weights_(
        self, model: nn.Module, patterns: Patterns | None = None, seed: int = 0
    ) -> None:
        """Draws the model's weights: normal with the std of their role; gains and biases constant.

        A weight depends on (seed, name) alone, so a sharded model (DTensor) starts from the same
        weights as a whole one.
        """
        for name, param, settings in self._assign(model, patterns):
            if settings["init_std"] is None:
                param.fill_(settings["init_value"])
            else:
                normal = draw(param.shape, seed, name).to(param.dtype)
                param.copy_(placed_like(param, normal * settings["init_std"]))

    def scale_logits_(self, head: nn.Module) -> None:
        """Has the output head multiply its input by `forward["logits"]`, from now on.

        For a model without a field for it: model.get_output_embeddings() of Hugging Face classes,
        model.lm_head of torchtitan's, model.lm_head.w_out of OLMo-core's.
        """
        head.register_forward_pre_hook(_Scaling(self.forward["logits"]))

    def lr_factor(self, step: int, steps: int) -> float:
        """What the peak rates are multiplied by at step 0, 1, … of `steps`."""
        return lr_factor(step, steps, **self.document["schedule"])

    def _assign(
        self, model: nn.Module, patterns: Patterns | None
    ) -> Iterator[tuple[str, nn.Parameter, dict[str, Any]]]:
        """Every parameter with its name, without what wrappers add, and its settings."""
        own = {p: role for role, g in self._groups.items() for p in g["patterns"]}
        table = own if patterns is None else patterns
        named = {unwrapped(name): param for name, param in model.named_parameters()}
        roles = {name: role_of(name, table) for name in named}
        without = [name for name, role in roles.items() if role not in self._groups]
        # Of its own names a document may have those of several classes, and those of biases.
        wanted = [g["role"] for g in self._groups.values() if g["patterns"]]
        unused = (
            [r for r in wanted if r not in roles.values() and not r.endswith("bias")]
            if patterns is None
            else [p for p in patterns if p not in {first_match(n, patterns) for n in named}]
        )
        if without or unused:
            raise ValueError(
                f"patterns: no role for {_listed(without)}; no parameter for {_listed(unused)}. "
                f"Give {{name pattern: role}}, with roles of {', '.join(self._groups)}"
            )
        for name, param in named.items():
            settings = self._groups[str(roles[name])]
            _require_shape(name, param, settings)
            yield name, param, settings


class AdamWFactory:
    """For Hugging Face: Trainer(optimizer_cls_and_kwargs=(AdamWFactory, {"projection": …}))."""

    def __call__(
        self, model: nn.Module, projection: Projection, **options: Any
    ) -> torch.optim.AdamW:
        return projection.optimizer(model, **options)


@torch.no_grad()
def clip_grads_(groups: Sequence[Mapping[str, Any]], clip_norm: float) -> Tensor:
    """Scales gradients down to a norm of `clip_norm`, and returns the norm they had.

    A weight that has taken in a forward multiplier a has gradients 1/a as large. The norm is the
    one that they would have without: √Σ(clip_scale · ‖gradient‖)², where clip_scale is a. So it
    clips the very steps that the study's model would. With a clip_scale of 1 everywhere, this is
    clipping by the global norm.
    """
    by_group = [
        ([p.grad for p in group["params"] if p.grad is not None], group["clip_scale"])
        for group in groups
    ]
    norms = [whole(get_total_norm(grads)) * scale for grads, scale in by_group if grads]
    if not norms:
        return torch.zeros(())
    norm = torch.linalg.vector_norm(torch.stack([n.to(norms[0].device) for n in norms]))
    factor = (clip_norm / norm.clamp(min=1e-12)).clamp(max=1.0)
    for grads, _ in by_group:
        for grad in grads:
            grad.mul_(factor.to(grad.device))
    return norm


def lr_factor(
    step: int,
    steps: int,
    *,
    kind: str,
    warmup_fraction: float,
    final_lr_fraction: float,
    decay_fraction: float,
) -> float:
    """Factor on the peak rates: linear warm-up to 1, then cosine, linear or, from late on, wsd.

    Step 0 has a rate above 0, and the last step runs at `final_lr_fraction`.
    """
    warmup = round(warmup_fraction * steps)
    if step < warmup:
        return (step + 1) / warmup
    start = max(warmup, round((1 - decay_fraction) * steps)) if kind == "wsd" else warmup
    # The share of the steps from `start` on that are done; 1 at the last.
    done = max(0.0, (step - start + 1) / (steps - start)) if step >= start else 0.0
    fall = (1 - math.cos(math.pi * done)) / 2 if kind == "cosine" else done
    return 1 - (1 - final_lr_fraction) * fall


def draw(shape: Sequence[int], seed: int, name: str) -> Tensor:
    """Standard normal numbers, on the CPU, whatever was drawn before and wherever they go."""
    # One number of 32 bits: the generator takes no notice of more.
    generator = torch.Generator().manual_seed(zlib.crc32(f"{seed} {name}".encode()))
    return torch.empty(tuple(shape)).normal_(generator=generator)


def placed_like(param: Tensor, weight: Tensor) -> Tensor:
    """The weight as the parameter is laid out: sharded over the same devices, or whole."""
    if not torch.distributed.is_available() or not torch.distributed.is_initialized():
        return weight
    from torch.distributed.tensor import DTensor, distribute_tensor

    if not isinstance(param, DTensor):
        return weight
    return distribute_tensor(weight.to(param.device), param.device_mesh, param.placements)


def whole(tensor: Any) -> Tensor:
    """A tensor that may be sharded, on every device."""
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def unwrapped(name: str) -> str:
    """A parameter's name without what wrappers add."""
    return ".".join(part for part in name.split(".") if part not in WRAPPERS)


def first_match(name: str, patterns: Sequence[str] | Patterns) -> str | None:
    """The first pattern that a name matches."""
    return next((pattern for pattern in patterns if fnmatchcase(name, pattern)), None)


def role_of(name: str, patterns: Patterns) -> str | None:
    """The role of a parameter; a bias has one of its own, named for what it is added behind."""
    pattern = first_match(name, patterns)
    if pattern is None:
        return None
    bias = name.rpartition(".")[2].endswith("bias")
    return f"{patterns[pattern].removesuffix(' bias')} bias" if bias else patterns[pattern]


class _Clipping:
    """What an optimizer calls before each step."""

    def __init__(self, clip_norm: float) -> None:
        self._clip_norm = clip_norm

    def __call__(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        clip_grads_(optimizer.param_groups, self._clip_norm)


class _Scaling:
    """What an output head calls before each forward pass."""

    def __init__(self, scale: float) -> None:
        self._scale = scale

    def __call__(self, head: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return (args[0] * self._scale, *args[1:])


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if names[8:] else "") or "none"


def _require_shape(name: str, param: Tensor, settings: Mapping[str, Any]) -> None:
    """Refuses a matrix of another shape than the settings were projected for."""
    for side, index in (("rows", 0), ("columns", -1)):
        needed = settings[side]
        if needed is not None and (param.dim() < 2 or param.shape[index] != needed):
            raise ValueError(
                f"{name} has shape {tuple(param.shape)}, but {settings['role']} matrices of the "
                f"target have {needed} {side}"
            )
