"""A file of Megatron's arguments is read as Megatron reads them."""

from pathlib import Path

import pytest

from proxytune.config.shape import Shape
from proxytune.config.target import count_parameters
from proxytune.errors import InputError
from proxytune.targets.architecture import Architecture
from proxytune.targets.megatron import Megatron
from tests.targets.contract import FormatContract

LLAMA = r"""
# The model of Llama 3.1 8B
--num-layers 32 --hidden-size 4096 \
--num-attention-heads=32
--group-query-attention --num-query-groups 8
--ffn-hidden-size 14336 --swiglu
--normalization RMSNorm --disable-bias-linear
--position-embedding-type rope --rotary-base 500000
--untie-embeddings-and-output-weights
--vocab-size 128256 --make-vocab-size-divisible-by 1
--seq-length 8192 --max-position-embeddings 8192
--attention-dropout 0.0 --hidden-dropout 0.0
--bf16 --lr 3e-4
"""
GPT = "--num-layers 12 --hidden-size 768 --num-attention-heads 12 --seq-length 1024 --vocab-size "


def read(text: str) -> Architecture:
    megatron = Megatron()
    document = megatron.document(Path("model.args"), text)
    assert document is not None
    return megatron.read(document, "model.args")


def told(text: str) -> str:
    return "\n".join(item.what for item in read(text).not_modelled)


class TestContract(FormatContract):
    fmt = Megatron()
    example = LLAMA
    shape = Shape(
        d_model=4096,
        n_layers=32,
        n_heads=32,
        n_kv_heads=8,
        d_ff=14336,
        vocab_size=128256,
        seq_len=8192,
    )
    refused = (
        (f"{LLAMA} --num-experts 8", "mixture of 8 experts"),
        (f"{LLAMA} --multi-latent-attention", "latent attention"),
        (f"{LLAMA} --hybrid-override-pattern M-M*", "hybrid"),
        ("--num-layers 2 --hidden-size '64", "are no arguments"),
        (LLAMA.replace("--vocab-size 128256", ""), "vocab-size: is missing; add --vocab-size"),
    )
    wrong = (
        "--num-query-groups 8",
        "--num-query-groups 5",
        "num-query-groups = 5: must divide num-attention-heads = 32",
    )


def test_llama_has_its_published_number_of_parameters() -> None:
    found = read(LLAMA)
    assert count_parameters(found.shape, found.not_modelled) == 8_030_261_248
    assert "base 500000" in told(LLAMA)


def test_arguments_left_out_are_megatron_s_defaults() -> None:
    shape = read(f"{GPT} 50257").shape
    assert (shape.mlp, shape.d_ff, shape.n_kv_heads, shape.tied) == ("gelu", 3072, 12, True)
    assert shape.vocab_size == 50304
    assert read(f"{GPT} 50257 --tensor-model-parallel-size 8").shape.vocab_size == 51200
    assert read(f"{GPT} 50257 --swiglu").shape.d_ff == 2048
    assert read(f"{GPT} 50257 --group-query-attention").shape.n_kv_heads == 1
    for fact in ("LayerNorm", "learned_absolute", "biases on q, k, v, o, up, down", "dropout"):
        assert fact in told(f"{GPT} 50257")


def test_the_last_of_an_argument_counts() -> None:
    assert read(f"{LLAMA} --num_layers 4").shape.n_layers == 4


def test_a_variable_of_a_script_is_no_number() -> None:
    with pytest.raises(InputError, match=r"model.args: num-layers = '\$LAYERS': "):
        read(LLAMA.replace("--num-layers 32", "--num-layers $LAYERS"))
