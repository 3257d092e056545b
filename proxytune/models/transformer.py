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
from torch.utils.checkpoint import checkpoint

from proxytune.config.shape import Shape
from proxytune.models.cross_entropy import cross_entropy
from proxytune.models.norm import at_least_float32, rms_norm

NORM_EPS = 1e-6
ROPE_BASE = 10_000.0


class PackedLinear(nn.Module):
    """K matrices (out, in), each applied to its own member's input."""

    def __init__(self, members: int, fan_in: int, fan_out: int) -> None:
        super().__init__()
        self.weight_KxOxI = nn.Parameter(torch.empty(members, fan_out, fan_in))

    def forward(self, x_KxMxI: Tensor) -> Tensor:
        return torch.bmm(x_KxMxI, self.weight_KxOxI.transpose(1, 2))


class PackedHeads(PackedLinear):
    """K matrices whose outputs are heads, their halves interleaved as `Rotary` takes them."""

    def __init__(self, members: int, fan_in: int, heads: int, head_dim: int) -> None:
        super().__init__(members, fan_in, heads * head_dim)
        self._head_dim = head_dim

    def forward(self, x_KxMxI: Tensor) -> Tensor:
        weight_KxOxI = _interleave(self.weight_KxOxI, self._head_dim)
        return torch.bmm(x_KxMxI, weight_KxOxI.transpose(1, 2))


class PackedRMSNorm(nn.Module):
    """RMSNorm over the last axis, with a gain for each member."""

    def __init__(self, members: int, width: int) -> None:
        super().__init__()
        self.gain_KxD = nn.Parameter(torch.ones(members, width))

    def forward(self, x_KxxD: Tensor) -> Tensor:
        return rms_norm(x_KxxD, self.gain_KxD, NORM_EPS)


class PackedHeadNorm(PackedRMSNorm):
    """RMSNorm of every head of `PackedHeads`."""

    def forward(self, x_KxMxNxH: Tensor) -> Tensor:
        return rms_norm(x_KxMxNxH, _interleave(self.gain_KxD, x_KxMxNxH.shape[-1]), NORM_EPS)


def _interleave(rows_KxOx: Tensor, head_dim: int) -> Tensor:
    """Rows of each head in the order 0, E, 1, E + 1, …: the two that RoPE turns, side by side."""
    halves = torch.unflatten(rows_KxOx, 1, (-1, 2, head_dim // 2))
    return halves.transpose(2, 3).flatten(1, 3)


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
    """Rotary position embedding, arXiv 2104.09864: a complex product for each pair of numbers.

    Weights are in the half-split order of Llama; `PackedHeads` brings the pairs together.
    """

    cos_TxE: Tensor
    sin_TxE: Tensor

    def __init__(self, head_dim: int, seq_len: int) -> None:
        super().__init__()
        frequency_E = ROPE_BASE ** (-torch.arange(0, head_dim, 2) / head_dim)
        angle_TxE = torch.arange(seq_len)[:, None] * frequency_E
        self.register_buffer("cos_TxE", angle_TxE.cos(), persistent=False)
        self.register_buffer("sin_TxE", angle_TxE.sin(), persistent=False)

    def forward(self, x_KxBxTxNxH: Tensor, scale_Kx1x1: Tensor | None = None) -> Tensor:
        """The heads turned, and multiplied by `scale`; computed in float32."""
        if torch.compiler.is_compiling():
            return self._in_real_numbers(x_KxBxTxNxH, scale_Kx1x1)
        positions, heads = x_KxBxTxNxH.shape[2:4]
        turn_TxE = torch.complex(self.cos_TxE[:positions], self.sin_TxE[:positions])
        # Repeated for the heads, so that the product runs along one long axis.
        turn_xTxNE = turn_TxE.repeat(1, heads)
        if scale_Kx1x1 is not None:
            turn_xTxNE = (turn_xTxNE * scale_Kx1x1)[:, None]
        pairs_KxBxTxNE = torch.view_as_complex(
            torch.unflatten(at_least_float32(x_KxBxTxNxH), -1, (-1, 2)).flatten(3, 4)
        )
        turned = torch.view_as_real(pairs_KxBxTxNE * turn_xTxNE)
        return turned.view(x_KxBxTxNxH.shape)

    def _in_real_numbers(self, x_KxBxTxNxH: Tensor, scale_Kx1x1: Tensor | None) -> Tensor:
        """The same for a compiler, which makes one loop of it but has no complex numbers."""
        positions = x_KxBxTxNxH.shape[2]
        cos_xTx1xE, sin_xTx1xE = self.cos_TxE[:positions, None], self.sin_TxE[:positions, None]
        if scale_Kx1x1 is not None:
            scale_Kx1x1x1x1 = scale_Kx1x1[..., None, None]
            cos_xTx1xE, sin_xTx1xE = cos_xTx1xE * scale_Kx1x1x1x1, sin_xTx1xE * scale_Kx1x1x1x1
        one, other = torch.unflatten(at_least_float32(x_KxBxTxNxH), -1, (-1, 2)).unbind(-1)
        turned = (one * cos_xTx1xE - other * sin_xTx1xE, other * cos_xTx1xE + one * sin_xTx1xE)
        return torch.stack(turned, -1).flatten(-2)


class PackedAttention(nn.Module):
    """Causal grouped-query attention; members are folded into the batch axis."""

    def __init__(self, members: int, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        width, head_dim = shape.d_model, shape.head_dim
        self.query = PackedHeads(members, width, shape.n_heads, head_dim)
        self.key = PackedHeads(members, width, shape.n_kv_heads, head_dim)
        self.value = PackedLinear(members, width, shape.kv_dim)
        self.out = PackedLinear(members, shape.q_dim, width)
        self.rotary = Rotary(head_dim, shape.seq_len)
        self.query_norm = self._qk_norm(members, shape)
        self.key_norm = self._qk_norm(members, shape)

    def forward(self, x_KxMxD: Tensor, sequences: int, scale_Kx1x1: Tensor) -> Tensor:
        q_KxMxNxH = self.query_norm(self._heads(self.query(x_KxMxD)))
        k_KxMxGxH = self.key_norm(self._heads(self.key(x_KxMxD)))
        v_KxMxGxH = self._heads(self.value(x_KxMxD))
        # Each member has a scale of its own, so it goes into q and the kernel gets 1.
        q_KxBxTxNxH = self.rotary(torch.unflatten(q_KxMxNxH, 1, (sequences, -1)), scale_Kx1x1)
        k_KxBxTxGxH = self.rotary(torch.unflatten(k_KxMxGxH, 1, (sequences, -1)))
        y_xNxTxH = F.scaled_dot_product_attention(
            _fold(q_KxBxTxNxH),
            _fold(k_KxBxTxGxH),
            _fold(torch.unflatten(v_KxMxGxH, 1, (sequences, -1))),
            is_causal=True,
            scale=1.0,
            enable_gqa=self.shape.repeat > 1,
        )
        return self.out(y_xNxTxH.transpose(1, 2).reshape(*x_KxMxD.shape[:2], self.shape.q_dim))

    @staticmethod
    def _qk_norm(members: int, shape: Shape) -> nn.Module:
        return PackedHeadNorm(members, shape.head_dim) if shape.qk_norm else nn.Identity()

    def _heads(self, x_KxMx: Tensor) -> Tensor:
        return torch.unflatten(x_KxMx, 2, (-1, self.shape.head_dim))


def _fold(x_KxBxTxNxH: Tensor) -> Tensor:
    """(K·B, N, T, H): to attention, members are more sequences."""
    return x_KxBxTxNxH.flatten(0, 1).transpose(1, 2)


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
        self.recompute = False
        """Whether activations are computed again for the gradients, instead of kept."""

    def forward(
        self, x_KxMxD: Tensor, sequences: int, attention_Kx1x1: Tensor, residual_Kx1x1: Tensor
    ) -> Tensor:
        inputs = (x_KxMxD, sequences, attention_Kx1x1, residual_Kx1x1)
        if self.recompute and torch.is_grad_enabled():
            # Inside of what FSDP2 wraps, which must not see it happen twice.
            return checkpoint(self._both, *inputs, use_reentrant=False)
        return self._both(*inputs)

    def _both(
        self, x_KxMxD: Tensor, sequences: int, attention_Kx1x1: Tensor, residual_Kx1x1: Tensor
    ) -> Tensor:
        branch = self.attention(self.attention_norm(x_KxMxD), sequences, attention_Kx1x1)
        x_KxMxD = torch.addcmul(x_KxMxD, branch, residual_Kx1x1)
        return torch.addcmul(x_KxMxD, self.mlp(self.mlp_norm(x_KxMxD)), residual_Kx1x1)


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
        x_KxMxD = self._last(tokens_BxT)
        if self.unembedding is None:
            return torch.bmm(x_KxMxD, self._table().transpose(1, 2))
        # As a module, so that hooks see it: the coordinate check reads its inputs.
        return self.unembedding(x_KxMxD)

    def loss(self, tokens_BxT1: Tensor) -> Tensor:
        """Mean next-token cross-entropy of each member, (K,), nats; tokens are (B, T + 1)."""
        x_KxMxD = self._last(tokens_BxT1[:, :-1])
        return cross_entropy(x_KxMxD, self._table(), tokens_BxT1[:, 1:].flatten())

    def recompute_activations(self) -> None:
        """From now on, computes a block's activations again for its gradients; keeps none."""
        for block in self.modules():
            if isinstance(block, PackedBlock):
                block.recompute = True

    def _last(self, tokens_BxT: Tensor) -> Tensor:
        """What the logits are a product of (K, B·T, D), times their multiplier.

        It goes onto the narrow side of the product.
        """
        by = self.multipliers
        x_KxMxD = self.embedding(tokens_BxT.flatten()) * by.embedding
        for block in self.blocks:
            x_KxMxD = block(x_KxMxD, tokens_BxT.shape[0], by.attention, by.residual)
        return self.final_norm(x_KxMxD) * by.logits

    def _table(self) -> Tensor:
        """What the logits are a product of, on its other side (K, V, D)."""
        head = self.unembedding
        return self.embedding.weight_KxVxD if head is None else head.weight_KxOxI
