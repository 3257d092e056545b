"""A projection to export, and a small Hugging Face model of its shape."""

from pathlib import Path
from types import ModuleType
from typing import Any

import transformers
from torch import nn

from proxytune.config.parameterization import Parameterization
from proxytune.config.shape import Shape
from proxytune.config.training import TrainingSpec
from proxytune.exports.build import Projected
from proxytune.exports.formats import FORMATS
from proxytune.exports.report import ExportReport, write_export
from proxytune.scaling.report import projection_report
from tests.models.huggingface import BASE, TARGET, TUNED, config_of

SEED = 3
TRAINING = TrainingSpec(steps=20, batch_size=4, evaluations=1)


def projected(
    *,
    target: Shape = TARGET,
    training: TrainingSpec = TRAINING,
    parameterization: str = "gqa-mup",
    folded: bool = False,
    config: dict[str, Any] | None = None,
) -> Projected:
    """A study's settings at a target."""
    base = BASE.at(qk_norm=target.qk_norm, tied=target.tied)
    return Projected(
        study="tiny",
        target="wide",
        scaling=projection_report(
            TUNED,
            base,
            target,
            Parameterization.model_validate(parameterization),
            clip_norm=training.clip_norm,
        ),
        training=training,
        config=config,
        folded=folded,
    )


def export(trainer: str, folder: Path, **of: Any) -> ExportReport:
    """Exports `projected(**of)` into a folder."""
    given = projected(**of)
    return write_export(FORMATS[trainer].export(given), given, folder)


def carried_loader(folder: Path) -> ModuleType:
    """The loader in an exported folder."""
    module = ModuleType("proxytune_projection")
    exec((folder / "proxytune_projection.py").read_text(encoding="utf-8"), module.__dict__)
    return module


def small(family: str, shape: Shape = TARGET, **fields: Any) -> nn.Module:
    """A Hugging Face model with random weights."""
    config = getattr(transformers, f"{family}Config")(**config_of(shape, **fields))
    return getattr(transformers, f"{family}ForCausalLM")(config)
