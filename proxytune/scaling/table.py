"""Projections as plain data, for JSON and YAML: numbers by role, and the rule behind each."""

from dataclasses import asdict
from typing import Any

from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.config.parameterization import Parameterization
from proxytune.config.shape import Shape
from proxytune.scaling.projection import Projection, multipliers, project
from proxytune.scaling.rules import Role, rule_table

SYMBOLS = {"init_std": "σ", "lr": "η", "weight_decay": "λ", "eps": "ε", "multiplier": "α"}
"""Setting -> the base hyperparameter it comes from."""


def multiplier_document(
    base: Shape, target: Shape, parameterization: Parameterization
) -> dict[str, Any]:
    """Multipliers on the settings of the base, and their rules."""
    by = multipliers(base, target, parameterization)
    return _shapes(base, target, parameterization) | _numbers(by) | _rules(by, parameterization)


def projection_document(
    hyperparameters: BaseHyperparameters,
    base: Shape,
    target: Shape,
    parameterization: Parameterization,
) -> dict[str, Any]:
    """The target's concrete settings, and their rules."""
    projection = project(hyperparameters, base, target, parameterization)
    return (
        _shapes(base, target, parameterization)
        | {"hyperparameters": hyperparameters.model_dump()}
        | _numbers(projection)
        | _rules(projection, parameterization)
    )


def _shapes(base: Shape, target: Shape, parameterization: Parameterization) -> dict[str, Any]:
    return {
        "base": base.model_dump(),
        "target": target.model_dump(),
        "parameterization": parameterization.model_dump(),
    }


def _numbers(projection: Projection) -> dict[str, Any]:
    return {
        "roles": {str(role): asdict(settings) for role, settings in projection.roles.items()},
        "forward": asdict(projection.forward),
    }


def _rules(projection: Projection, parameterization: Parameterization) -> dict[str, Any]:
    """The rule and source behind each number."""
    table = rule_table(parameterization)
    rules: dict[str, Any] = {
        str(role): {
            setting: getattr(table.roles[role], setting).formula(symbol)
            for setting, symbol in SYMBOLS.items()
        }
        | {"source": table.roles[role].source}
        for role in projection.roles
    }
    forward = {
        "embedding": table.roles[Role.EMBEDDING].multiplier.formula("α_emb"),
        "attention": table.attention.formula("α_attn/√head_dim₀"),
        "residual": table.residual.formula("α_res"),
        "logits": table.roles[Role.UNEMBEDDING].multiplier.formula("α_out"),
    }
    return {"rules": {"roles": rules, "forward": forward}}
