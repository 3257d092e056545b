"""A decoder-only transformer with a leading member axis: K models that share nothing but tokens.

Every product is batched over members, so no value of one member enters another's. K = 1 is an
ordinary model.

Shapes, as suffixes of names
    K members   B sequences   T positions   D d_model   F d_ff   V vocabulary
    N query heads   G key/value heads   H head_dim   E = H / 2
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from proxytune.spec.shape import Shape

NORM_EPS = 1e-6
ROPE_BASE = 10_000.0


class PackedLinear(nn.Module):
    """K matrices (out, in), each applied to its own member's input."""

    def __init__(self, members: int, fan_in: int, fan_out: int) -> None:
        super().__init__()
        self.weight_KxOxI = nn.Parameter(torch.empty(members, fan_out, fan_in))

    def forward(self, x_KxMxI: Tensor) -> Tensor:
        return torch.bmm(x_KxMxI, self.weight_KxOxI.transpose(1, 2))


class PackedRMSNorm(nn.Module):
    """RMSNorm over the last axis, with a gain for each member."""

    def __init__(self, members: int, width: int) -> None:
        super().__init__()
        self.gain_KxD = nn.Parameter(torch.ones(members, width))

    def forward(self, x_KxxD: Tensor) -> Tensor:
        members, width = self.gain_KxD.shape
        gain = self.gain_KxD.view(members, *([1] * (x_KxxD.dim() - 2)), width)
        return F.rms_norm(x_KxxD, (width,), eps=NORM_EPS) * gain


class PackedEmbedding(nn.Module):
    """K tables (V, D), all read at the same tokens."""

    def __init__(self, members: int, vocab_size: int, width: int) -> None:
        super().__init__()
        self.weight_KxVxD = nn.Parameter(torch.empty(members, vocab_size, width))

    def forward(self, tokens_M: Tensor) -> Tensor:
        members, vocab_size, width = self.weight_KxVxD.shape
        # One look-up in the K tables laid end to end; index_select has the fast backward.
        offsets_Kx1 = torch.arange(members, device=tokens_M.device)[:, None] * vocab_size
        rows_KM = (tokens_M + offsets_Kx1).flatten()
        table_KVxD = self.weight_KxVxD.reshape(members * vocab_size, width)
        return table_KVxD.index_select(0, rows_KM).view(members, -1, width)


class Rotary(nn.Module):
    """Rotary position embedding, arXiv 2104.09864, in the half-split form of Llama."""

    cos_TxE: Tensor
    sin_TxE: Tensor

    def __init__(self, head_dim: int, seq_len: int) -> None:
        super().__init__()
        frequency_E = ROPE_BASE ** (-torch.arange(0, head_dim, 2) / head_dim)
        angle_TxE = torch.arange(seq_len)[:, None] * frequency_E
        self.register_buffer("cos_TxE", angle_TxE.cos(), persistent=False)
        self.register_buffer("sin_TxE", angle_TxE.sin(), persistent=False)

    def forward(self, x_xTxH: Tensor) -> Tensor:
        first, second = x_xTxH.chunk(2, dim=-1)
        cos, sin = self.cos_TxE[: x_xTxH.shape[-2]], self.sin_TxE[: x_xTxH.shape[-2]]
        return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


class PackedAttention(nn.Module):
    """Causal grouped-query attention; members are folded into the batch axis."""

    def __init__(self, members: int, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        width = shape.d_model
        self.query = PackedLinear(members, width, shape.q_dim)
        self.key = PackedLinear(members, width, shape.kv_dim)
        self.value = PackedLinear(members, width, shape.kv_dim)
        self.out = PackedLinear(members, shape.q_dim, width)
        self.rotary = Rotary(shape.head_dim, shape.seq_len)
        self.query_norm = self._qk_norm(members, shape)
        self.key_norm = self._qk_norm(members, shape)

    def forward(self, x_KxMxD: Tensor, sequences: int, scale_Kx1x1: Tensor) -> Tensor:
        members, positions, _ = x_KxMxD.shape
        q_KxMxNxH = self.query_norm(self._heads(self.query(x_KxMxD)))
        k_KxMxGxH = self.key_norm(self._heads(self.key(x_KxMxD)))
        v_KxMxGxH = self._heads(self.value(x_KxMxD))
        # Each member has a scale of its own, so it goes into q and the kernel gets 1.
        q_KxMxNxH = q_KxMxNxH * scale_Kx1x1[..., None]
        y_xNxTxH = F.scaled_dot_product_attention(
            self.rotary(_fold(q_KxMxNxH, sequences)),
            self.rotary(_fold(k_KxMxGxH, sequences)),
            _fold(v_KxMxGxH, sequences),
            is_causal=True,
            scale=1.0,
            enable_gqa=self.shape.repeat > 1,
        )
        return self.out(y_xNxTxH.transpose(1, 2).reshape(members, positions, self.shape.q_dim))

    @staticmethod
    def _qk_norm(members: int, shape: Shape) -> nn.Module:
        return PackedRMSNorm(members, shape.head_dim) if shape.qk_norm else nn.Identity()

    def _heads(self, x_KxMx: Tensor) -> Tensor:
        members, positions, width = x_KxMx.shape
        head_dim = self.shape.head_dim
        return x_KxMx.view(members, positions, width // head_dim, head_dim)


def _fold(x_KxMxNxH: Tensor, sequences: int) -> Tensor:
    """(K, B·T, N, H) -> (K·B, N, T, H): to attention, members are more sequences."""
    members, positions, heads, head_dim = x_KxMxNxH.shape
    folded = x_KxMxNxH.view(members * sequences, positions // sequences, heads, head_dim)
    return folded.transpose(1, 2)


class PackedMLP(nn.Module):
    """SwiGLU (arXiv 2002.05202) or GELU."""

    def __init__(self, members: int, shape: Shape) -> None:
        super().__init__()
        width, inner = shape.d_model, shape.d_ff
        self.gate = PackedLinear(members, width, inner) if shape.mlp == "swiglu" else None
        self.inner = PackedLinear(members, width, inner)
        self.out = PackedLinear(members, inner, width)

    def forward(self, x_KxMxD: Tensor) -> Tensor:
        inner_KxMxF = self.inner(x_KxMxD)
        if self.gate is None:
            return self.out(F.gelu(inner_KxMxF))
        return self.out(F.silu(self.gate(x_KxMxD)) * inner_KxMxF)


class PackedBlock(nn.Module):
    """Attention and MLP, each behind a norm, each added to the residual stream."""

    def __init__(self, members: int, shape: Shape) -> None:
        super().__init__()
        self.attention_norm = PackedRMSNorm(members, shape.d_model)
        self.attention = PackedAttention(members, shape)
        self.mlp_norm = PackedRMSNorm(members, shape.d_model)
        self.mlp = PackedMLP(members, shape)

    def forward(
        self, x_KxMxD: Tensor, sequences: int, attention_Kx1x1: Tensor, residual_Kx1x1: Tensor
    ) -> Tensor:
        branch = self.attention(self.attention_norm(x_KxMxD), sequences, attention_Kx1x1)
        x_KxMxD = x_KxMxD + residual_Kx1x1 * branch
        return x_KxMxD + residual_Kx1x1 * self.mlp(self.mlp_norm(x_KxMxD))


class ForwardMultipliers(nn.Module):
    """The four forward multipliers of every member, each (K, 1, 1)."""

    embedding: Tensor
    attention: Tensor
    residual: Tensor
    logits: Tensor

    def __init__(self, **multipliers_K: Tensor) -> None:
        super().__init__()
        for name, values_K in multipliers_K.items():
            self.register_buffer(name, values_K.view(-1, 1, 1), persistent=False)


class PackedTransformer(nn.Module):
    """K decoders of one shape."""

    def __init__(self, shape: Shape, multipliers: ForwardMultipliers) -> None:
        super().__init__()
        members = multipliers.logits.shape[0]
        self.shape, self.members, self.multipliers = shape, members, multipliers
        self.embedding = PackedEmbedding(members, shape.vocab_size, shape.d_model)
        self.blocks = nn.ModuleList(PackedBlock(members, shape) for _ in range(shape.n_layers))
        self.final_norm = PackedRMSNorm(members, shape.d_model)
        self.unembedding = (
            None if shape.tied else PackedLinear(members, shape.d_model, shape.vocab_size)
        )

    def forward(self, tokens_BxT: Tensor) -> Tensor:
        """Logits (K, B·T, V) of tokens (B, T)."""
        by = self.multipliers
        x_KxMxD = self.embedding(tokens_BxT.flatten()) * by.embedding
        for block in self.blocks:
            x_KxMxD = block(x_KxMxD, tokens_BxT.shape[0], by.attention, by.residual)
        # The multiplier goes onto the narrow side of the product.
        x_KxMxD = self.final_norm(x_KxMxD) * by.logits
        if self.unembedding is None:
            return torch.bmm(x_KxMxD, self.embedding.weight_KxVxD.transpose(1, 2))
        return self.unembedding(x_KxMxD)

    def loss(self, tokens_BxT1: Tensor) -> Tensor:
        """Mean next-token cross-entropy of each member, (K,), nats; tokens are (B, T + 1)."""
        logits_KxMxV = self(tokens_BxT1[:, :-1])
        next_KM = tokens_BxT1[:, 1:].flatten().repeat(self.members)
        loss_KM = F.cross_entropy(logits_KxMxV.flatten(0, 1).float(), next_KM, reduction="none")
        return loss_KM.view(self.members, -1).mean(dim=1)
