"""The columns of the Parquet data sets, with units. If a meaning changes, VERSION rises."""

from typing import Any

import pyarrow as pa

from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.config.shape import Shape
from proxytune.config.study import StudySpec
from proxytune.packs.pack import Evaluation
from proxytune.packs.trial import TrialRecord

VERSION = "1"
VERSION_KEY = "proxytune.schema_version"

_TYPES = {int: pa.int64(), bool: pa.bool_(), float: pa.float64(), str: pa.string()}


def _column(name: str, kind: pa.DataType, unit: str, description: str) -> pa.Field:
    return pa.field(name, kind, metadata={"unit": unit, "description": description})


def _shape_columns() -> list[pa.Field]:
    units = {"vocab_size": "tokens", "seq_len": "tokens"}
    kinds = {"mlp": str, "qk_norm": bool, "tied": bool}
    return [
        _column(
            name,
            _TYPES[kinds.get(name, int)],
            units.get(name, "1"),
            f"Proxy: {field.description}",
        )
        for name, field in Shape.model_fields.items()
    ]


def _hyperparameter_columns() -> list[pa.Field]:
    return [
        _column(name, pa.float64(), "1", str(field.description))
        for name, field in BaseHyperparameters.model_fields.items()
    ]


TRIALS = pa.schema(
    [
        _column("number", pa.int64(), "1", "The trial's number in its study, from 0."),
        _column("state", pa.string(), "1", "complete, pruned, diverged or failed."),
        _column(
            "value", pa.float64(), "nats/token", "Final validation loss; null if there is none."
        ),
        _column("bits_per_byte", pa.float64(), "bits/byte", "The same per byte, if known."),
        _column("seed", pa.int64(), "1", "Seed of the initial weights."),
        _column("pack", pa.string(), "1", "The pack it trained in."),
        _column("started", pa.timestamp("us", tz="UTC"), "UTC", "When the study asked for it."),
        _column("finished", pa.timestamp("us", tz="UTC"), "UTC", "When it ended."),
        _column("seconds", pa.float64(), "s", "Its share of its pack's training time."),
        _column("tokens", pa.int64(), "tokens", "Tokens trained on."),
        _column("flops", pa.float64(), "FLOP", "Floating-point operations of its training."),
        _column("reason", pa.string(), "1", "Why it failed; null if it did not."),
        _column("parameterization", pa.string(), "1", "Name of the parameterization."),
        _column("kv_rule", pa.string(), "1", "Its K/V rule."),
        *_shape_columns(),
        *_hyperparameter_columns(),
    ],
    metadata={VERSION_KEY: VERSION},
)

CURVES = pa.schema(
    [
        _column("number", pa.int64(), "1", "The trial's number in its study."),
        _column("step", pa.int64(), "steps", "Optimizer steps done."),
        _column("tokens", pa.int64(), "tokens", "Tokens trained on."),
        _column("train_loss", pa.float64(), "nats/token", "Mean since the previous evaluation."),
        _column("validation_loss", pa.float64(), "nats/token", "Loss on validation data."),
        _column("grad_norm", pa.float64(), "nats/token", "Gradient norm before clipping."),
        _column("lr_factor", pa.float64(), "1", "Learning rate as a fraction of its peak."),
        _column("seconds", pa.float64(), "s", "Its share of the training time so far."),
        _column("diverged", pa.bool_(), "1", "Whether the loss was not finite or too high."),
        _column("first_loss", pa.float64(), "nats/token", "Of the first step, in the first row."),
        _column("bits_per_byte", pa.float64(), "bits/byte", "Validation loss per byte, if known."),
    ],
    metadata={VERSION_KEY: VERSION},
)
assert set(CURVES.names) == set(Evaluation.model_fields) - {"others"}

EVIDENCE = pa.schema(
    [
        _column("parameterization", pa.string(), "1", "Its label."),
        _column("axis", pa.string(), "1", "width, depth or repeat."),
        _column("coordinate", pa.int64(), "1", "d_model, n_layers or repeat factor."),
        _column("seed", pa.int64(), "1", "Seed of initial weights and batches."),
        _column("hyperparameter", pa.string(), "1", "The base hyperparameter that varies."),
        _column("value", pa.float64(), "1", "Its value."),
        _column("loss", pa.float64(), "nats/token", "Final validation loss; null if diverged."),
        _column("seconds", pa.float64(), "s", "Its share of its pack's training time."),
    ],
    metadata={VERSION_KEY: VERSION},
)

COORDINATES = pa.schema(
    [
        _column("parameterization", pa.string(), "1", "Its label."),
        _column("axis", pa.string(), "1", "width, depth or repeat."),
        _column("coordinate", pa.int64(), "1", "d_model, n_layers or repeat factor."),
        _column("seed", pa.int64(), "1", "Seed of initial weights and batches."),
        _column("role", pa.string(), "1", "A parameter role, or attention_logits."),
        _column("quantity", pa.string(), "1", "What was measured."),
        _column("size", pa.float64(), "1", "Its size; the mean over the role's modules."),
    ],
    metadata={VERSION_KEY: VERSION},
)


def trial_row(trial: TrialRecord, study: StudySpec) -> dict[str, Any]:
    """One row of `trials`."""
    own = trial.model_dump(include=set(TRIALS.names))
    return (
        own
        | study.proxy.model_dump()
        | trial.hyperparameters.model_dump()
        | {
            "state": str(trial.state),
            "parameterization": study.parameterization.name,
            "kv_rule": study.parameterization.kv_rule,
        }
    )


def curve_rows(trial: TrialRecord) -> list[dict[str, Any]]:
    """The trial's rows of `curves`."""
    return [evaluation.model_dump(include=set(CURVES.names)) for evaluation in trial.curve]
