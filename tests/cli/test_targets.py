"""The commands take a model's own file in place of a target's."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.test_bad_input import assert_refused
from tests.commands import proxytune, write_yaml
from tests.targets.published import DENSE

QWEN, PARAMETERS = DENSE["Qwen2.5-7B"]
BIASES = {"what": "biases on q, k, v; a proxy has none", "parameters": 28 * (3584 + 2 * 512)}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder with a config.json."""
    folder = tmp_path / "Qwen2.5-7B"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(QWEN))
    return folder


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A bare shape that says nothing of style."""
    return write_yaml(tmp_path / "base.yaml", {"d_model": 64, "n_layers": 2, "n_heads": 4})


def document(*words: str | Path) -> Any:
    result = proxytune(*words, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_scaling_tells_shape_size_and_what_is_not_modelled(model: Path, base: Path) -> None:
    report = document("scaling", "--base", base, "--target", model / "config.json")
    assert (report["target"]["d_model"], report["target"]["n_kv_heads"]) == (3584, 4)
    assert report["parameters"] == PARAMETERS
    assert BIASES in report["not_modelled"]
    printed = proxytune("scaling", "--base", base, "--target", model)
    assert str(BIASES["what"]) in printed.stdout


def test_a_config_is_a_base_too(model: Path) -> None:
    report = document("scaling", "--base", model, "--target", model)
    assert report["base"] == report["target"]
    assert {settings["lr"] for settings in report["roles"].values()} == {1.0}


@pytest.mark.parametrize("name", DENSE)
def test_a_base_has_the_style_of_any_target_unless_it_says_so(
    name: str, base: Path, tmp_path: Path
) -> None:
    target = tmp_path / "config.json"
    target.write_text(json.dumps(DENSE[name][0]))
    report = document("scaling", "--base", base, "--target", target)
    assert report["base"] == report["base"] | {
        style: report["target"][style] for style in ("mlp", "qk_norm", "tied")
    }
    assert report["base"]["d_model"] == 64


def test_a_base_that_says_its_style_keeps_it(base: Path, tmp_path: Path) -> None:
    target = tmp_path / "config.json"
    target.write_text(json.dumps(DENSE["Llama-3.2-1B"][0]))
    write_yaml(base, {"d_model": 64, "n_layers": 2, "n_heads": 4, "tied": False})
    refused = proxytune("scaling", "--base", base, "--target", target)
    assert_refused(refused, "tied is true where it must be false")


def test_a_projection_onto_a_config_keeps_what_is_not_modelled(
    own_home: Path, model: Path
) -> None:
    report = document("transfer", "--target", model, "--no-check", "--home", own_home)
    assert report["name"] == "qwen2.5-7b"
    assert BIASES in report["not_modelled"]
    folder = own_home / "transfers" / "tiny" / "qwen2.5-7b"
    assert json.loads((folder / "projection.json").read_text()) == report
    written = yaml.safe_load((folder / "projection.yaml").read_text())
    assert BIASES in written["not_modelled"]


def test_a_check_trains_the_shape_that_a_config_describes(own_home: Path, tmp_path: Path) -> None:
    fields = {"hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 6}
    fields |= {"num_key_value_heads": 2, "intermediate_size": 96, "vocab_size": 1000}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama", **fields}))
    target = write_yaml(tmp_path / "own.yaml", {"config": "config.json", "check": {"steps": 10}})
    result = proxytune("transfer", "--target", target, "--json", "--home", own_home)
    assert result.exit_code in (0, 1), result.stderr
    check = json.loads(result.stdout)["check"]
    # Vocabulary and length are the study's.
    expected = {"d_model": 48, "n_layers": 3, "n_kv_heads": 2, "vocab_size": 256, "seq_len": 16}
    assert check["shape"] == check["shape"] | expected
    assert check["losses"][-1]["step"] == 10


@pytest.mark.parametrize("command", ["scaling --base base.yaml", "transfer --no-check", "plan"])
def test_a_mixture_of_experts_is_refused_by_every_command(
    command: str, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(base.parent)
    experts = {"model_type": "mixtral", "num_local_experts": 8}
    Path("config.json").write_text(json.dumps(experts))
    refused = proxytune(*command.split(), "--target", "config.json")
    assert_refused(refused, "config.json: model_type = 'mixtral': is a mixture of 8 experts")
