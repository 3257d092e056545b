"""Hugging Face's own Trainer trains from an export as the built-in trainer trains."""

import json
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch.utils.data import DataLoader

import proxytune
from proxytune.config.training import TrainingSpec
from proxytune.exports.formats import FORMATS
from proxytune.testing.packs import members, pack
from proxytune.training.pack import start_pack
from tests.exports.examples import BASE, SEED, TARGET, TRAINING, TUNED, export, projected
from tests.exports.trainer import Batches, trained
from tests.torchrun import torchrun

CLIPPED = TRAINING.model_copy(update={"clip_norm": 0.75})
"""Of these models' gradients, about half are above; of folded ones, nearly all."""


def built_in_losses(tokens: Path, training: TrainingSpec) -> list[float]:
    """Of every step, by the built-in trainer."""
    spec = pack(TARGET, tokens, members(TUNED, seed=SEED), training=training)
    update = {"base": BASE, "details": True, "data_seed": SEED}
    running = start_pack(spec.model_copy(update=update))
    running.advance()
    (details,) = running.details()
    return list(details.step_losses)


def exported(folder: Path, training: TrainingSpec, folded: bool) -> None:
    report = export("huggingface", folder, training=training, folded=folded)
    assert report.folded is folded
    kind = json.loads((folder / "config.json").read_text())["model_type"]
    assert kind == ("llama" if folded else "granite")


def assert_took_the_groups(folder: Path) -> None:
    """By what the optimizer says of itself; weights have moved since they were drawn."""
    taken = json.loads((folder / "groups.json").read_text())
    report = proxytune.run_verify([entry | {"std": None} for entry in taken], folder)
    assert report.findings == ()


@pytest.mark.parametrize("clip_norm", [None, CLIPPED.clip_norm])
@pytest.mark.parametrize("folded", [False, True], ids=["granite", "llama"])
def test_the_trainer_s_own_loop_gives_our_losses(
    folded: bool, clip_norm: float | None, tmp_path: Path, tokens: Path
) -> None:
    training = TRAINING.model_copy(update={"clip_norm": clip_norm})
    exported(tmp_path, training, folded)
    ours = built_in_losses(tokens, training)
    assert ours[-1] < ours[0] - 0.5
    assert trained(tmp_path, tokens) == pytest.approx(ours, abs=1e-4)
    assert_took_the_groups(tmp_path)


def in_double(folder: Path, tokens: Path, steps: int = 12) -> list[float]:
    """The losses of a loop over the exported class, from the export's own draws."""
    projection = proxytune.load_projection(folder)
    config = transformers.AutoConfig.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_config(config).double()
    projection.init_weights_(model, seed=SEED)
    if config.model_type == "llama" and projection.forward["logits"] != 1:
        projection.scale_logits_(model.get_output_embeddings())
    optimizer = projection.optimizer(model)
    scheduler = projection.scheduler(optimizer, TRAINING.steps)
    losses = []
    for batch in islice(DataLoader(Batches(tokens, TARGET.seq_len), TRAINING.batch_size), steps):
        loss = model(**batch, use_cache=False).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("variant", [{}, {"tied": True}], ids=["untied", "tied"])
@pytest.mark.parametrize(
    "other", [{"folded": True}, {"config": {"model_type": "hyperclovax"}}], ids=["llama", "clova"]
)
def test_every_class_trains_as_granite(
    other: dict[str, Any], variant: dict[str, Any], tmp_path: Path, tokens: Path
) -> None:
    """Clipped and unclipped steps, and a tied table, whose logits are scaled by the patch."""
    of = {"target": TARGET.at(**variant), "training": CLIPPED}
    export("huggingface", tmp_path / "granite", **of)
    export("huggingface", tmp_path / "other", **of, **other)
    ours = in_double(tmp_path / "granite", tokens)
    assert in_double(tmp_path / "other", tokens) == pytest.approx(ours, abs=1e-6)


def test_steps_are_clipped_and_not(tokens: Path) -> None:
    """Else the tests above would say nothing of clipping."""
    spec = pack(TARGET, tokens, members(TUNED, seed=SEED), training=CLIPPED)
    running = start_pack(
        spec.model_copy(update={"base": BASE, "data_seed": SEED, "details": True})
    )
    running.advance()
    (details,) = running.details()
    assert details.clipped_steps is not None
    assert 4 < details.clipped_steps < TRAINING.steps - 4


def test_qk_norm_is_folded_into_qwen3(tmp_path: Path) -> None:
    export("huggingface", tmp_path, target=TARGET.at(qk_norm=True))
    projection = proxytune.load_projection(tmp_path)
    config = transformers.AutoConfig.from_pretrained(tmp_path)
    model = transformers.AutoModelForCausalLM.from_config(config)
    assert (config.model_type, projection.folded) == ("qwen3", True)
    groups = {group["role"]: group for group in projection.param_groups(model)}
    assert groups["qk_norm"]["clip_scale"] != 1


def test_a_target_s_own_config_is_kept(tmp_path: Path) -> None:
    own = {"model_type": "mistral", "vocab_size": 256, "rope_theta": 5e5, "hidden_size": 32}
    export("huggingface", tmp_path, config=own)
    written = json.loads((tmp_path / "config.json").read_text())
    assert own.items() <= written.items()
    assert written["num_key_value_heads"] == TARGET.n_kv_heads


def test_weights_are_held_in_full_precision(tmp_path: Path) -> None:
    """Whatever a published checkpoint was saved as."""
    own = {"model_type": "llama", "torch_dtype": "bfloat16"}
    export("huggingface", tmp_path, config=own)
    config = transformers.AutoConfig.from_pretrained(tmp_path)
    model = transformers.AutoModelForCausalLM.from_config(config)
    assert {param.dtype for param in model.parameters()} == {torch.float32}


@pytest.mark.parametrize(
    ("of", "told"),
    [
        ({"config": {"model_type": "gemma2"}}, "model_type = 'gemma2'"),
        ({"target": TARGET.at(mlp="gelu")}, "mlp = 'gelu'"),
    ],
)
def test_a_model_unlike_llama_is_refused(of: dict[str, Any], told: str) -> None:
    with pytest.raises(proxytune.InputError, match=told):
        FORMATS["huggingface"].export(projected(**of))


@pytest.mark.parametrize("kind", ["linear", "wsd"])
def test_other_schedules_are_pasted_as_code(kind: str, tmp_path: Path) -> None:
    export("huggingface", tmp_path, training=TRAINING.model_copy(update={"schedule": kind}))
    assert "projection.scheduler" in (tmp_path / "README.md").read_text()
    arguments = json.loads((tmp_path / "training_arguments.json").read_text())
    assert arguments == {"max_grad_norm": 0.0}


def losses_over_two_processes(folder: Path, tokens: Path) -> list[float]:
    """FSDP2 over gloo."""
    torchrun("tests.exports.trainer", folder, tokens, folder / "losses.json", timeout=200)
    return list(json.loads((folder / "losses.json").read_text()))


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "folded",
    [pytest.param(False, id="granite", marks=pytest.mark.long), pytest.param(True, id="llama")],
)
def test_two_processes_with_fsdp2_give_our_losses(
    folded: bool, tmp_path: Path, tokens: Path
) -> None:
    exported(tmp_path, CLIPPED, folded)
    ours = built_in_losses(tokens, CLIPPED)
    assert losses_over_two_processes(tmp_path, tokens) == pytest.approx(ours, abs=1e-4)
    assert_took_the_groups(tmp_path)
