"""Targets come from files that users write, and from model files of other programs."""

import json
from pathlib import Path
from typing import Any

import pytest

from proxytune.config.target import NotModelled
from proxytune.errors import InputError
from proxytune.targets.load import load_architecture, load_shape, load_target
from tests.commands import TARGET, write_yaml

CONFIG = {"model_type": "qwen2", "hidden_size": 64, "num_attention_heads": 4}
CONFIG |= {"num_key_value_heads": 2, "num_hidden_layers": 3, "max_position_embeddings": 512}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder with a config.json."""
    folder = tmp_path / "My Model-1B"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    return folder


def target_file(model: Path, **fields: Any) -> Path:
    return write_yaml(model.parent / "big.yaml", {"config": model.name, **fields})


def test_a_config_a_folder_and_a_target_that_names_it_are_one_target(model: Path) -> None:
    found = load_target(model / "config.json")
    assert load_target(model) == found
    assert (found.name, found.shape.d_model, found.shape.seq_len) == ("my-model-1b", 64, 512)
    named = load_target(target_file(model))
    assert (named.shape, named.not_modelled) == (found.shape, found.not_modelled)
    assert named.name == "big"
    copied = model / "Other.Name.json"
    copied.write_text(json.dumps(CONFIG))
    assert load_target(copied).name == "other.name"


def test_a_target_that_names_a_config_keeps_what_is_beside_it(model: Path) -> None:
    spec = load_target(
        target_file(
            model,
            tokens=1e12,
            seq_len=128,
            check={"steps": 20},
            not_modelled=[{"what": "sinks", "parameters": 12}],
        )
    )
    assert (spec.tokens, spec.shape.seq_len, spec.check.steps) == (1e12, 128, 20)
    biases, sinks = spec.not_modelled
    assert "biases on q, k, v" in biases.what
    assert sinks == NotModelled(what="sinks", parameters=12)
    assert spec.parameters == spec.shape.count_parameters() + biases.parameters + 12


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"shape": {"d_model": 64}}, "gives the shape; remove config, or shape"),
        ({"seq_len": 0}, "big.yaml: seq_len = 0: should be greater than 0"),
        ({"tokens": -5}, "big.yaml: tokens = -5: should be greater than 0"),
        ({"config": "nowhere"}, "nowhere: cannot be read"),
        ({"config": 3}, "big.yaml: config = 3: should be a valid string"),
        ({"config": "."}, "is a folder without a config.json"),
        ({"config": "big.yaml"}, "config = 'big.yaml': is no model file"),
    ],
    ids=str,
)
def test_mistakes_name_the_file_and_the_field(
    fields: dict[str, Any], says: str, model: Path
) -> None:
    with pytest.raises(InputError) as refused:
        load_target(target_file(model, **fields))
    assert says in str(refused.value)


def test_a_length_goes_with_a_config_alone(tmp_path: Path) -> None:
    file = write_yaml(tmp_path / "small.yaml", TARGET | {"seq_len": 8})
    with pytest.raises(InputError, match=r"seq_len = 8: goes with config; .* shape.seq_len"):
        load_target(file)


def test_a_shape_is_read_from_whatever_holds_one(model: Path, tmp_path: Path) -> None:
    shape = load_target(model).shape
    for place in (model, model / "config.json", target_file(model)):
        assert load_shape(place) == shape
        assert load_architecture(place).not_modelled == load_target(model).not_modelled
    bare = tmp_path / "shape.json"
    bare.write_text(json.dumps(shape.model_dump()))
    assert load_shape(bare) == shape
    assert load_architecture(bare).not_modelled == ()
