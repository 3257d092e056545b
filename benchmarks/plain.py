"""The rival: one ordinary PyTorch model, trained as one would write it without packs.

`nn.Linear`, `F.scaled_dot_product_attention`, `torch.optim.AdamW(fused=True)` and
`clip_grad_norm_`; no member axis anywhere. It starts from the weights of a pack's only member and
sees the same batches, so its losses can be compared with that member's.

Shapes, as suffixes of names: B sequences, T positions, D d_model, N heads, H head_dim.
"""

from collections.abc import Callable
from dataclasses import asdict

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from proxytune.config.shape import Shape
from proxytune.data.batches import training_batch, validation_batches
from proxytune.data.tokens import TokenData
from proxytune.models.parametrize import build_model
from proxytune.models.roles import parameters
from proxytune.models.transformer import NORM_EPS, ROPE_BASE
from proxytune.packs.pack import PackSpec
from proxytune.scaling.projection import Forward, project
from proxytune.training.schedule import lr_factor


class Rotary(nn.Module):
    """Rotary position embedding, arXiv 2104.09864, in the half-split form of Llama."""

    def __init__(self, head_dim: int, seq_len: int) -> None:
        super().__init__()
        frequency = ROPE_BASE ** (-torch.arange(0, head_dim, 2) / head_dim)
        angle = torch.arange(seq_len)[:, None] * frequency
        self.register_buffer("cos", angle.cos(), persistent=False)
        self.register_buffer("sin", angle.sin(), persistent=False)

    def forward(self, x_xTxH: Tensor) -> Tensor:
        first, second = x_xTxH.chunk(2, dim=-1)
        return torch.cat(
            (first * self.cos - second * self.sin, second * self.cos + first * self.sin), dim=-1
        )


class Attention(nn.Module):
    """Causal grouped-query attention."""

    def __init__(self, shape: Shape, by: Forward) -> None:
        super().__init__()
        width = shape.d_model
        self.shape, self.scale = shape, by.attention
        self.query = nn.Linear(width, shape.q_dim, bias=False)
        self.key = nn.Linear(width, shape.kv_dim, bias=False)
        self.value = nn.Linear(width, shape.kv_dim, bias=False)
        self.out = nn.Linear(shape.q_dim, width, bias=False)
        self.rotary = Rotary(shape.head_dim, shape.seq_len)

    def forward(self, x_BxTxD: Tensor) -> Tensor:
        q, k, v = (self._heads(of(x_BxTxD)) for of in (self.query, self.key, self.value))
        y_BxNxTxH = F.scaled_dot_product_attention(
            self.rotary(q),
            self.rotary(k),
            v,
            is_causal=True,
            scale=self.scale,
            enable_gqa=self.shape.repeat > 1,
        )
        return self.out(y_BxNxTxH.transpose(1, 2).flatten(2))

    def _heads(self, x_BxTx: Tensor) -> Tensor:
        return x_BxTx.unflatten(2, (-1, self.shape.head_dim)).transpose(1, 2)


class MLP(nn.Module):
    """SwiGLU."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate = nn.Linear(shape.d_model, shape.d_ff, bias=False)
        self.inner = nn.Linear(shape.d_model, shape.d_ff, bias=False)
        self.out = nn.Linear(shape.d_ff, shape.d_model, bias=False)

    def forward(self, x_BxTxD: Tensor) -> Tensor:
        return self.out(F.silu(self.gate(x_BxTxD)) * self.inner(x_BxTxD))


class Block(nn.Module):
    """Attention and MLP, each behind a norm."""

    def __init__(self, shape: Shape, by: Forward) -> None:
        super().__init__()
        self.residual = by.residual
        self.attention_norm = nn.RMSNorm(shape.d_model, eps=NORM_EPS)
        self.attention = Attention(shape, by)
        self.mlp_norm = nn.RMSNorm(shape.d_model, eps=NORM_EPS)
        self.mlp = MLP(shape)

    def forward(self, x_BxTxD: Tensor) -> Tensor:
        x_BxTxD = x_BxTxD + self.residual * self.attention(self.attention_norm(x_BxTxD))
        return x_BxTxD + self.residual * self.mlp(self.mlp_norm(x_BxTxD))


class PlainTransformer(nn.Module):
    """One decoder; names and order of its parameters are those of a pack."""

    def __init__(self, shape: Shape, by: Forward) -> None:
        super().__init__()
        self.by = by
        self.embedding = nn.Embedding(shape.vocab_size, shape.d_model)
        self.blocks = nn.ModuleList(Block(shape, by) for _ in range(shape.n_layers))
        self.final_norm = nn.RMSNorm(shape.d_model, eps=NORM_EPS)
        self.unembedding = nn.Linear(shape.d_model, shape.vocab_size, bias=False)

    def forward(self, tokens_BxT1: Tensor) -> Tensor:
        """Mean next-token cross-entropy of tokens (B, T + 1), nats."""
        x_BxTxD = self.embedding(tokens_BxT1[:, :-1]) * self.by.embedding
        for block in self.blocks:
            x_BxTxD = block(x_BxTxD)
        logits = self.unembedding(self.final_norm(x_BxTxD) * self.by.logits)
        return F.cross_entropy(logits.flatten(0, 1), tokens_BxT1[:, 1:].flatten())


class PlainTrainer:
    """The only member of a pack, trained without a pack."""

    def __init__(self, pack: PackSpec, compile: bool = False) -> None:
        (member,) = pack.members
        torch.set_num_threads(pack.threads)
        self._pack, self._member = pack, member
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        projection = project(member.hyperparameters, pack.base, pack.shape, pack.parameterization)
        model = PlainTransformer(pack.shape, projection.forward)
        groups = []
        packed = parameters(build_model(pack.shape, [projection], [member.seed]))
        for ours, theirs in zip(model.parameters(), packed, strict=True):
            ours.data.copy_(theirs.tensor.detach()[0])
            role = projection.roles[theirs.role]
            settings = {k: asdict(role)[k] for k in ("lr", "weight_decay", "eps")}
            groups.append({"params": [ours], **settings})
        self._model = model.to(self._device)
        self._loss: Callable[[Tensor], Tensor] = (
            torch.compile(self._model) if compile else self._model
        )
        self._params = list(self._model.parameters())
        betas = (member.hyperparameters.beta1, member.hyperparameters.beta2)
        self._optimizer = torch.optim.AdamW(groups, betas=betas, fused=True)
        self._peaks = [group["lr"] for group in self._optimizer.param_groups]
        self._tokens = TokenData.load(pack.tokens)
        self._step = 0

    def train_to(self, stop: int) -> Tensor:
        """Trains until so many steps are done in all; the losses on the way (S,)."""
        losses = []
        while self._step < stop:
            loss = self._loss(self._batch())
            loss.backward()
            if self._pack.training.clip_norm is not None:
                nn.utils.clip_grad_norm_(self._params, self._pack.training.clip_norm)
            self._set_rates()
            self._optimizer.step()
            self._optimizer.zero_grad(set_to_none=True)
            losses.append(loss.detach())
            self._step += 1
        return torch.stack(losses)

    @torch.no_grad()
    def validate(self) -> float:
        """Validation loss, nats a token."""
        training, shape = self._pack.training, self._pack.shape
        exam = validation_batches(
            self._tokens.validation,
            training.evaluation_batches,
            training.batch_size,
            shape.seq_len,
        )
        losses = [self._loss(torch.from_numpy(batch).to(self._device)) for batch in exam]
        return float(torch.stack(losses).mean())

    def run(self) -> list[float]:
        """The whole training; the validation losses of all evaluations."""
        losses = []
        for stop in self._pack.training.evaluation_steps():
            self.train_to(stop)
            losses.append(self.validate())
        return losses

    def _batch(self) -> Tensor:
        pack = self._pack
        batch = training_batch(
            self._tokens.train,
            pack.data_seed,
            self._step,
            pack.training.batch_size,
            pack.shape.seq_len,
        )
        return torch.from_numpy(batch).to(self._device, non_blocking=True)

    def _set_rates(self) -> None:
        warmup = self._member.hyperparameters.warmup_fraction
        factor = lr_factor(self._pack.training, warmup, self._step)
        for group, peak in zip(self._optimizer.param_groups, self._peaks, strict=True):
            group["lr"] = peak * factor
