"""A nanoGPT-like trainer in plain PyTorch, for proxies and targets of any shape.

From proxytune it takes parameter groups, initial weights, forward multipliers and batches; with
all four it trains as the built-in trainer does. The model and the loop are its own.
"""

import math
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

import proxytune
from proxytune import trainer
from proxytune.data.batches import training_batch, validation_batches
from proxytune.data.tokens import TokenData


class Attention(nn.Module):
    def __init__(self, shape):
        super().__init__()
        width, self.head_dim = shape["d_model"], shape["head_dim"]
        self.q_proj = nn.Linear(width, shape["n_heads"] * self.head_dim, bias=False)
        self.k_proj = nn.Linear(width, shape["n_kv_heads"] * self.head_dim, bias=False)
        self.v_proj = nn.Linear(width, shape["n_kv_heads"] * self.head_dim, bias=False)
        self.o_proj = nn.Linear(shape["n_heads"] * self.head_dim, width, bias=False)

    def forward(self, x, scale):
        q, k, v = (
            project(x).unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        y = F.scaled_dot_product_attention(
            rotate(q), rotate(k), v, is_causal=True, scale=scale, enable_gqa=True
        )
        return self.o_proj(y.transpose(1, 2).flatten(2))


def rotate(x):
    half = x.shape[-1] // 2
    frequency = 10_000.0 ** (-torch.arange(half, device=x.device) / half)
    angle = torch.arange(x.shape[-2], device=x.device)[:, None] * frequency
    a, b = x[..., :half], x[..., half:]
    cos, sin = angle.cos(), angle.sin()
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)


class MLP(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.gate_proj = nn.Linear(shape["d_model"], shape["d_ff"], bias=False)
        self.up_proj = nn.Linear(shape["d_model"], shape["d_ff"], bias=False)
        self.down_proj = nn.Linear(shape["d_ff"], shape["d_model"], bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Block(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.input_layernorm = nn.RMSNorm(shape["d_model"], eps=1e-6)
        self.self_attn = Attention(shape)
        self.post_attention_layernorm = nn.RMSNorm(shape["d_model"], eps=1e-6)
        self.mlp = MLP(shape)

    def forward(self, x, by):
        x = x + by.residual * self.self_attn(self.input_layernorm(x), by.attention)
        return x + by.residual * self.mlp(self.post_attention_layernorm(x))


class LlamaLike(nn.Module):
    """Named as Llama names its parameters, so proxytune knows their roles."""

    def __init__(self, shape, multipliers):
        super().__init__()
        self.multipliers = multipliers
        self.embed_tokens = nn.Embedding(shape["vocab_size"], shape["d_model"])
        self.layers = nn.ModuleList(Block(shape) for _ in range(shape["n_layers"]))
        self.norm = nn.RMSNorm(shape["d_model"], eps=1e-6)
        self.lm_head = nn.Linear(shape["d_model"], shape["vocab_size"], bias=False)

    def loss(self, batch):
        x = self.embed_tokens(batch[:, :-1]) * self.multipliers.embedding
        for layer in self.layers:
            x = layer(x, self.multipliers)
        logits = self.lm_head(self.norm(x) * self.multipliers.logits)
        return F.cross_entropy(logits.flatten(0, 1).float(), batch[:, 1:].flatten())


def rate_factor(training, step):
    """Linear warm-up, then a cosine to `final_lr_fraction`."""
    warmup, steps, last = (training[k] for k in ("warmup_steps", "steps", "final_lr_fraction"))
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup + 1) / (steps - warmup)
    return 1 - (1 - last) * (1 - math.cos(math.pi * done)) / 2


@torch.no_grad()
def relative_updates(groups, start):
    """How far each role's weights have moved: matrices in the spectral norm, the rest by RMS."""
    rms = ("embedding", "unembedding", "norm", "qk_norm", "final_norm")
    found = {}
    for group in groups:
        norm = torch.linalg.norm if group["role"] in rms else torch.linalg.matrix_norm
        order = {} if group["role"] in rms else {"ord": 2}
        moved = [norm(w - start[w], **order) / norm(start[w], **order) for w in group["params"]]
        found[group["role"]] = sum(moved) / len(moved)
    return found


def main():
    settings = trainer.load()
    shape, training = settings["shape"], settings["training"]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    rules = {
        "base": settings["base"],
        "target": shape,
        "hyperparameters": settings["hyperparameters"],
        "parameterization": settings["parameterization"],
    }
    model = LlamaLike(shape, proxytune.forward_multipliers(**rules)).to(device)
    proxytune.init_weights_(model, **rules, seed=settings["seed"], as_built_in=True)
    optimizer = torch.optim.AdamW(proxytune.param_groups(model, **rules))
    peaks = [group["lr"] for group in optimizer.param_groups]
    start = {weight: weight.detach().clone() for weight in model.parameters()}

    tokens = TokenData.load(Path(settings["tokens"]))
    size = (training["batch_size"], shape["seq_len"])
    held_out = validation_batches(tokens.validation, training["evaluation_batches"], *size)
    for step in range(training["steps"]):
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * rate_factor(training, step)
        batch = training_batch(tokens.train, settings["data_seed"], step, *size)
        loss = model.loss(torch.as_tensor(batch, device=device))
        loss.backward()
        clip = training["clip_norm"] or math.inf
        norm = nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        optimizer.zero_grad()
        told = {"train_loss": loss.detach(), "grad_norm": norm}
        if step + 1 in training["evaluation_steps"]:
            with torch.no_grad():
                losses = [model.loss(torch.as_tensor(b, device=device)) for b in held_out]
            told["validation_loss"] = sum(losses) / len(losses)
            told["updates"] = relative_updates(optimizer.param_groups, start)
        trainer.report(step + 1, **told)


if __name__ == "__main__":
    main()
