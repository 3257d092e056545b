"""Small models and optimizers of trainers' own classes, from an exported folder.

    python tests/exports/libraries.py LIBRARY FOLDER

In an environment that has the library; prints what its optimizer trains each parameter with.
"""

import json
import math
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
import torch.distributed as dist
from torch import nn


def torchtitan(folder: Path, shape: dict[str, Any], projection: Any) -> tuple[Any, nn.Module]:
    """Its Llama 3, and the AdamW in its container."""
    from torchtitan.components.optimizer import OptimizersContainer
    from torchtitan.models import llama3
    from torchtitan_groups import PARAM_GROUPS

    width, vocabulary = shape["d_model"], shape["vocab_size"]
    config = llama3.Llama3Model.Config(
        dim=width,
        vocab_size=vocabulary,
        tok_embeddings=llama3.Embedding.Config(
            num_embeddings=vocabulary, embedding_dim=width, param_init=llama3._EMBEDDING_INIT
        ),
        norm=llama3.RMSNorm.Config(normalized_shape=width, param_init=llama3._NORM_INIT),
        lm_head=llama3.Linear.Config(
            in_features=width,
            out_features=vocabulary,
            param_init=llama3._output_linear_init(width),
        ),
        layers=llama3._build_llama3_layers(
            n_layers=shape["n_layers"],
            dim=width,
            n_heads=shape["n_heads"],
            n_kv_heads=shape["n_kv_heads"],
            hidden_dim=shape["d_ff"],
            rope=llama3.ComplexRoPE.Config(dim=shape["head_dim"], max_seq_len=64),
            fuse_qkv=False,
            attn_backend="flex",
        ),
    )
    model = config.build()
    options = OptimizersContainer.Config(param_groups=PARAM_GROUPS, implementation="for-loop")
    optimizers = OptimizersContainer(options, model_parts=[model])
    projection.init_weights_(model)
    for part in optimizers:
        projection.clip_before_steps(part)
    return optimizers.optimizers[0], model


def olmo_core(folder: Path, shape: dict[str, Any], projection: Any) -> tuple[Any, nn.Module]:
    """Its llama-like transformer, and its AdamW."""
    from olmo_core.nn.feed_forward import FeedForwardConfig
    from olmo_core.nn.transformer import TransformerConfig
    from olmo_core.optim import AdamWConfig
    from olmo_core_groups import GROUP_OVERRIDES

    model = TransformerConfig.llama_like(
        d_model=shape["d_model"],
        vocab_size=shape["vocab_size"],
        n_layers=shape["n_layers"],
        n_heads=shape["n_heads"],
        n_kv_heads=shape["n_kv_heads"],
        feed_forward=FeedForwardConfig(hidden_size=shape["d_ff"], bias=False),
    ).build(init_device="cpu")
    projection.init_weights_(model)
    optimizer = AdamWConfig(group_overrides=GROUP_OVERRIDES).build(model)
    projection.clip_before_steps(optimizer)
    return optimizer, model


def megatron(folder: Path, shape: dict[str, Any], projection: Any) -> tuple[Any, nn.Module]:
    """Its GPT of local layers, and the groups that its optimizer would get."""
    from megatron.core import parallel_state
    from megatron.core.models.gpt import GPTModel
    from megatron.core.models.gpt.gpt_layer_specs import get_gpt_layer_local_spec
    from megatron.core.optimizer import OptimizerConfig, _get_param_groups
    from megatron.core.transformer import TransformerConfig
    from megatron_overrides import CONFIG_OVERRIDES

    dist.init_process_group("gloo", rank=0, world_size=1, store=dist.HashStore())
    parallel_state.initialize_model_parallel()
    flags = dict(
        line.partition(" ")[::2] for line in (folder / "flags.txt").read_text().split("\n")
    )
    config = TransformerConfig(
        num_layers=shape["n_layers"],
        hidden_size=shape["d_model"],
        num_attention_heads=shape["n_heads"],
        num_query_groups=shape["n_kv_heads"],
        ffn_hidden_size=shape["d_ff"],
        gated_linear_unit=True,
        activation_func=nn.functional.silu,
        add_bias_linear=False,
        normalization="RMSNorm",
        use_cpu_initialization=True,
        use_mup=True,
        mup_base_hidden_size=int(flags["--mup-base-hidden-size"]),
        mup_embedding_mult=float(flags["--mup-embedding-mult"]),
        mup_output_mult=float(flags["--mup-output-mult"]),
        mup_base_head_dim=float(flags["--mup-base-head-dim"]),
        mup_attn_scale_power=float(flags["--mup-attn-scale-power"]),
        init_method_std=float(flags["--init-method-std"]),
    )
    model = GPTModel(
        config,
        get_gpt_layer_local_spec(normalization="RMSNorm"),
        shape["vocab_size"],
        64,
        position_embedding_type="rope",
        share_embeddings_and_output_weights=False,
    )
    forward = projection.forward
    assert math.isclose(config.softmax_scale, forward["attention"])
    assert (config.mup_embedding_mult, config.mup_output_mult) == (
        forward["embedding"],
        forward["logits"],
    )
    projection.init_weights_(model)
    options = OptimizerConfig(lr=float(flags["--lr"]), min_lr=float(flags["--min-lr"]))
    groups = _get_param_groups([model], options, CONFIG_OVERRIDES)
    decay = float(flags["--weight-decay"])
    betas = float(flags["--adam-beta1"]), float(flags["--adam-beta2"])
    for group in groups:
        # As its scheduler does, and its Adam.
        group |= {"lr": group["max_lr"], "weight_decay": decay * group["wd_mult"], "betas": betas}
    return SimpleNamespace(param_groups=groups), model


def main(library: str, folder: Path) -> None:
    sys.path.insert(0, str(folder))
    from proxytune_projection import load_projection

    from proxytune.trainer import describe

    projection = load_projection(folder)
    build = {"torchtitan": torchtitan, "olmo-core": olmo_core, "megatron": megatron}[library]
    optimizer, model = build(folder, projection.document["shape"], projection)
    print(json.dumps(describe(optimizer, model)))
    if dist.is_initialized():
        dist.destroy_process_group()


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(sys.argv[1], Path(sys.argv[2]))
