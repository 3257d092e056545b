"""Hugging Face models take our groups, and train as proxytune's own model does."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import nn

import proxytune
from proxytune.config.parameterization import Parameterization
from proxytune.config.shape import Shape
from proxytune.config.training import TrainingSpec
from proxytune.data.batches import training_batch
from proxytune.data.tokens import TokenData
from proxytune.models.parametrize import build_model
from proxytune.scaling.projection import project
from proxytune.testing.packs import members, pack
from proxytune.training.pack import start_pack
from proxytune.training.schedule import lr_factor
from tests.models.huggingface import (
    BASE,
    TARGET,
    TUNED,
    config_of,
    next_token_loss,
    weights_of,
)


def small(family: str, shape: Shape, **fields: Any) -> nn.Module:
    config = getattr(transformers, f"{family}Config")(**config_of(shape, **fields))
    return getattr(transformers, f"{family}ForCausalLM")(config)


FAMILIES: list[tuple[str, dict[str, object], int]] = [
    ("Llama", {}, 30),
    ("Llama", {"tied": True}, 29),
    ("Qwen3", {"qk_norm": True}, 36),
    ("Qwen2", {}, 39),
    ("Mistral", {}, 30),
    ("SmolLM3", {}, 30),
    ("Granite", {"tied": True}, 29),
]


@pytest.mark.parametrize(("family", "variant", "count"), FAMILIES, ids=str)
def test_every_parameter_is_in_one_group(
    family: str, variant: dict[str, object], count: int
) -> None:
    model = small(family, TARGET.at(**variant))
    groups = proxytune.param_groups(
        model, base=BASE.at(**variant), target=TARGET.at(**variant), hyperparameters=TUNED
    )
    given = [id(param) for group in groups for param in group["params"]]
    assert len(given) == len(set(given)) == count
    assert set(given) == set(map(id, model.parameters()))
    rates = {group["role"]: group["lr"] for group in groups}
    assert rates["key"] == rates["value"] == pytest.approx(rates["query"] * 1.5)
    assert rates["query"] == pytest.approx(TUNED.learning_rate / 2)
    torch.optim.AdamW(groups)


def test_granite_trains_as_our_own_model(tokens: Path) -> None:
    """Forward multipliers in its config, our groups, the same weights: the same losses."""
    training = TrainingSpec(steps=40, batch_size=4, evaluations=1, clip_norm=None)
    spec = pack(TARGET, tokens, members(TUNED), training=training)
    spec = spec.model_copy(update={"base": BASE})
    own = start_pack(spec.model_copy(update={"details": True}))
    own.advance()

    settings = {"base": BASE, "target": TARGET, "hyperparameters": TUNED}
    forward = proxytune.forward_multipliers(**settings)
    granite = small(
        "Granite",
        TARGET,
        embedding_multiplier=forward.embedding,
        attention_multiplier=forward.attention,
        residual_multiplier=forward.residual,
        logits_scaling=1 / forward.logits,
    )
    projection = project(TUNED, BASE, TARGET, Parameterization())
    granite.load_state_dict(weights_of(build_model(TARGET, [projection], [spec.members[0].seed])))
    optimizer = torch.optim.AdamW(proxytune.param_groups(granite, **settings))
    peaks = [group["lr"] for group in optimizer.param_groups]
    losses = []
    for step in range(training.steps):
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * lr_factor(training, TUNED.warmup_fraction, step)
        data = TokenData.load(tokens).train
        batch = torch.as_tensor(training_batch(data, spec.data_seed, step, 4, 16))
        loss = next_token_loss(granite(batch[:, :-1], use_cache=False).logits, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 1
    (details,) = own.details()
    assert details.step_losses == pytest.approx(losses, abs=1e-4)


def test_a_folded_llama_trains_as_a_granite_with_multipliers(tokens: Path) -> None:
    """The same names give the same draws, so the two start from the same function."""
    settings = {"base": BASE, "target": TARGET, "hyperparameters": TUNED}
    forward = proxytune.forward_multipliers(**settings)
    fields = {
        "embedding_multiplier": forward.embedding,
        "attention_multiplier": forward.attention,
        "residual_multiplier": forward.residual,
        "logits_scaling": 1 / forward.logits,
    }
    models = {False: small("Granite", TARGET, **fields), True: small("Llama", TARGET)}
    data = TokenData.load(tokens).train
    losses: dict[bool, list[float]] = {False: [], True: []}
    for folded, model in models.items():
        model.double()
        proxytune.init_weights_(model, **settings, folded=folded, seed=3)
        optimizer = torch.optim.AdamW(proxytune.param_groups(model, **settings, folded=folded))
        for step in range(30):
            batch = torch.as_tensor(training_batch(data, 0, step, 4, 16))
            loss = next_token_loss(model(batch[:, :-1], use_cache=False).logits, batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses[folded].append(loss.item())
    assert losses[True] == pytest.approx(losses[False], abs=1e-6)
