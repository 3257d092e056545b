"""A config.json is read as transformers reads it."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from proxytune.config.shape import Shape
from proxytune.config.target import count_parameters
from proxytune.errors import InputError
from proxytune.targets.architecture import Architecture
from proxytune.targets.huggingface.families import FAMILIES
from proxytune.targets.huggingface.reader import HuggingFace
from tests.targets.contract import FormatContract
from tests.targets.published import DENSE

SMALL: dict[str, Any] = {
    "hidden_size": 64,
    "num_hidden_layers": 8,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "intermediate_size": 96,
    "vocab_size": 500,
    "max_position_embeddings": 4096,
}
BIASED = {"attention_bias": True, "mlp_bias": True}
EXPERTS = {"num_experts": 128, "moe_intermediate_size": 768}
LATENT = {"kv_lora_rank": 512, "num_key_value_heads": 128}


def read(document: dict[str, Any]) -> Architecture:
    return HuggingFace().read(document, "config.json")


def told(document: dict[str, Any]) -> str:
    """All that is not modelled of a document."""
    return "\n".join(item.what for item in read(document).not_modelled)


def llama(**fields: Any) -> dict[str, Any]:
    return {"model_type": "llama", **SMALL, **fields}


def transformers_config(model_type: str, **fields: Any) -> Any:
    return transformers.CONFIG_MAPPING[model_type](**fields)


class TestContract(FormatContract):
    fmt = HuggingFace()
    example = json.dumps(llama())
    shape = Shape(
        d_model=64, n_layers=8, n_heads=8, n_kv_heads=2, d_ff=96, vocab_size=500, seq_len=4096
    )
    refused = (
        (json.dumps(llama(num_local_experts=8)), "mixture of 8 experts of width 96"),
        (json.dumps(llama(**EXPERTS)), "mixture of 128 experts of width 768"),
        (json.dumps(llama(moe_intermediate_size=768)), "several experts of width 768"),
        (json.dumps(llama(**LATENT)), "rank 512, so num_key_value_heads = 128 is no grouping"),
        (json.dumps(llama(**EXPERTS, **LATENT)), "experts .* and has latent attention"),
        (json.dumps(llama(layer_types=["full_attention", "linear_attention"])), "hybrid"),
        (json.dumps(llama(mamba_d_state=16)), "hybrid.*mamba_d_state"),
        (json.dumps({"model_type": "t5"}), "model_type = 't5': is not known; known are llama"),
        (json.dumps({"hidden_size": 64}), "model_type = None: is not known"),
    )
    wrong = (
        '"num_key_value_heads": 2',
        '"num_key_value_heads": 3',
        "num_key_value_heads = 3: must divide num_attention_heads = 8",
    )


@pytest.mark.parametrize("name", DENSE)
def test_a_published_model_has_its_published_number_of_parameters(name: str) -> None:
    document, parameters = DENSE[name]
    found = read(document)
    assert count_parameters(found.shape, found.not_modelled) == parameters


@pytest.mark.parametrize("model_type", FAMILIES)
def test_what_a_file_leaves_out_is_what_transformers_takes(model_type: str) -> None:
    shape, theirs = read({"model_type": model_type}).shape, transformers_config(model_type)
    head_dim = getattr(theirs, "head_dim", theirs.hidden_size // theirs.num_attention_heads)
    assert (shape.d_model, shape.n_layers) == (theirs.hidden_size, theirs.num_hidden_layers)
    assert (shape.n_heads, shape.n_kv_heads, shape.head_dim) == (
        theirs.num_attention_heads,
        theirs.num_key_value_heads,
        head_dim,
    )
    assert (shape.d_ff, shape.vocab_size) == (theirs.intermediate_size, theirs.vocab_size)
    assert shape.seq_len == theirs.max_position_embeddings
    assert shape.tied is theirs.tie_word_embeddings


@pytest.mark.parametrize("switched", [{}, {"use_sliding_window": True, "max_window_layers": 5}])
@pytest.mark.parametrize("model_type", FAMILIES)
def test_layers_with_windows_and_without_rope_are_those_of_transformers(
    model_type: str, switched: dict[str, Any]
) -> None:
    given = SMALL | {"sliding_window": 128} | switched
    theirs, says = (
        transformers_config(model_type, **given),
        told({"model_type": model_type, **given}),
    )
    kinds = getattr(theirs, "layer_types", None) or []
    windowed = 8 if model_type in ("mistral", "phi3") else kinds.count("sliding_attention")
    assert ("the last 128 tokens" in says) == (windowed > 0)
    assert not windowed or f"in {windowed} of 8 layers, attention" in says
    without = (getattr(theirs, "no_rope_layers", None) or []).count(0)
    assert (f"{without} of 8 layers have no RoPE" in says) == (without > 0)


@pytest.mark.parametrize("fields", [{}, BIASED], ids=["plain", "biased"])
@pytest.mark.parametrize("model_type", FAMILIES)
def test_the_shape_and_what_is_not_modelled_have_all_parameters(
    model_type: str, fields: dict[str, Any]
) -> None:
    given = SMALL | fields | {"head_dim": 16, "pad_token_id": None}
    with torch.device("meta"):
        theirs = transformers.AutoModelForCausalLM.from_config(
            transformers_config(model_type, **given)
        )
    found = read({"model_type": model_type, **given})
    assert count_parameters(found.shape, found.not_modelled) == theirs.num_parameters()


def test_an_absent_tie_is_the_family_s() -> None:
    tied = {name for name in FAMILIES if read({"model_type": name}).shape.tied}
    assert tied == {"smollm3", "gemma", "gemma2", "gemma3_text"}


def test_a_null_is_not_an_absent_field() -> None:
    absent, null = (
        {"model_type": "mistral"},
        {"model_type": "mistral"}
        | {
            "num_key_value_heads": None,
            "sliding_window": None,
        },
    )
    assert (read(absent).shape.n_kv_heads, read(null).shape.n_kv_heads) == (8, 32)
    assert "the last 4096 tokens" in told(absent)
    assert "tokens" not in told(null)


def test_rope_is_read_as_either_version_of_transformers_wrote_it() -> None:
    scaling = {"factor": 8.0, "original_max_position_embeddings": 1024}
    written: list[dict[str, Any]] = [
        {"rope_theta": 5e5, "rope_scaling": scaling | {"rope_type": "llama3"}},
        {"rope_theta": 5e5, "rope_scaling": scaling | {"type": "llama3"}},
        {"rope_parameters": scaling | {"rope_type": "llama3", "rope_theta": 5e5}},
        {
            "rope_parameters": {
                "full_attention": scaling | {"rope_type": "llama3", "rope_theta": 5e5},
                "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
            }
        },
    ]
    for fields in written:
        found = read(llama(**fields))
        assert found == read(llama(**written[0]))
        assert found.shape.seq_len == 1024
        assert "base 500000" in told(llama(**fields))
        assert "llama3" in told(llama(**fields))


def test_a_length_before_scaling_is_told_if_the_file_knows_it() -> None:
    scaling = {"factor": 8.0, "rope_type": "linear"}
    assert read(llama(rope_scaling=scaling)).shape.seq_len == 4096
    assert told(llama(rope_scaling=scaling)) == "RoPE is scaled (linear); a proxy's is not"


def test_unscaled_rope_of_base_10000_is_that_of_proxies() -> None:
    for fields in ({}, {"rope_scaling": None}, {"rope_parameters": {"rope_type": "default"}}):
        assert told(llama(**fields)) == ""


def test_layers_without_rope_are_those_that_are_listed() -> None:
    document = {"model_type": "smollm3", **SMALL, "no_rope_layers": [1, 0, 1, 1, 1, 1, 1, 1]}
    assert "1 of 8 layers have no RoPE" in told(document)


def test_a_window_that_is_switched_off_is_none() -> None:
    fields = SMALL | {"sliding_window": 128, "max_window_layers": 6}
    off, on = (
        {"model_type": "qwen2", "use_sliding_window": use, **fields} for use in (False, True)
    )
    assert "tokens" not in told(off)
    assert "in 2 of 8 layers, attention sees only the last 128 tokens" in told(on)


def test_the_model_type_alone_tells_qk_norm_and_biases() -> None:
    assert {name for name in FAMILIES if read({"model_type": name}).shape.qk_norm} == {
        "qwen3",
        "olmo2",
        "olmo3",
        "gemma3_text",
    }
    assert "over all heads" in told({"model_type": "olmo2"})
    assert "over all heads" not in told({"model_type": "qwen3"})
    assert "biases on q, k, v;" in told({"model_type": "qwen2"})


def test_what_sets_families_apart_is_told() -> None:
    assert "one matrix" in told({"model_type": "phi3"})
    assert "residual_multiplier" in told({"model_type": "granite"})
    assert "outputs of attention" in told({"model_type": "olmo3"})
    gemma = told({"model_type": "gemma2"})
    for fact in (
        "gelu_pytorch_tanh",
        "1 + w",
        "√d_model = 48",
        "±50",
        "±30",
        "√256",
        "in 13 of 26",
    ):
        assert fact in gemma
    assert "dropout" in told(llama(attention_dropout=0.1))
    assert "25% of each head" in told(llama(partial_rotary_factor=0.25))


def test_the_language_model_of_a_model_for_images_is_read() -> None:
    text = {"model_type": "gemma3_text", "hidden_size": 2560, "num_hidden_layers": 34}
    whole = {"model_type": "gemma3", "text_config": text, "vision_config": {"hidden_size": 1152}}
    found = read(whole)
    assert found.shape == read(text).shape
    assert "vision_config: only the language model is read" in told(whole)
    nameless = {name: value for name, value in text.items() if name != "model_type"}
    assert read(whole | {"text_config": nameless}).shape == found.shape
    assert not read(whole | {"tie_word_embeddings": False}).shape.tied


def test_a_file_may_hold_the_word_infinity() -> None:
    text = json.dumps(llama(time_step_limit=[0.0, float("inf")]))
    assert "Infinity" in text
    document = HuggingFace().document(Path("config.json"), text)
    assert document is not None
    assert read(document).shape.d_model == 64


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"hidden_size": "wide"}, "config.json: hidden_size = 'wide': should be a valid integer"),
        ({"hidden_size": float("inf")}, "config.json: hidden_size = inf: "),
        ({"num_hidden_layers": 0}, "config.json: num_hidden_layers = 0: should be greater than 0"),
        ({"hidden_size": 60}, "config.json: head_dim = 7.5: "),
        ({"layer_types": ["full_attention"]}, "layer_types names fewer layers than num_hidden"),
        ({"rope_scaling": [1]}, "config.json: rope.rope_type = [1]: should be a valid string"),
        ({"rope_parameters": {"full_attention": 3}}, "config.json: rope.rope_type = 3: "),
        ({"rope_theta": -1}, "config.json: rope.rope_theta = -1: should be greater than 0"),
    ],
    ids=str,
)
def test_wrong_fields_are_told_by_their_names(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError) as refused:
        read(llama(**fields))
    assert says in str(refused.value)


def test_a_dense_model_may_have_one_expert_or_none() -> None:
    for count in (0, 1, None):
        assert read(llama(num_experts=count)).shape == read(llama()).shape


def test_broken_json_is_told_as_such() -> None:
    with pytest.raises(InputError, match=r"config\.json: is not valid JSON: "):
        HuggingFace().document(Path("config.json"), '{"model_type": ')
