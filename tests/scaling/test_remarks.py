"""A projection says what its numbers alone do not."""

import pytest

from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.config.parameterization import Parameterization
from proxytune.config.shape import Shape
from proxytune.scaling.report import ScalingReport, multiplier_report, projection_report

BASE = Shape(d_model=32, n_layers=2, n_heads=4)
WIDE = Shape(d_model=64, n_layers=2, n_heads=8)


def projected(target: Shape, label: str = "gqa-mup", clip: float | None = 1.0) -> ScalingReport:
    rules = Parameterization.model_validate(label)
    base = BASE.at(tied=target.tied, qk_norm=target.qk_norm)
    return projection_report(
        BaseHyperparameters(), base, target, rules, proxy=base, clip_norm=clip
    )


def test_nothing_is_said_where_all_sides_grow_alike() -> None:
    assert projected(WIDE).warnings == ()
    assert projected(WIDE.at(d_ff=int(192 * 1.24))).warnings == ()


@pytest.mark.parametrize(
    ("changes", "sides"),
    [
        ({"d_ff": 256}, ["d_ff/d_model"]),
        ({"d_ff": 140}, ["d_ff/d_model"]),
        ({"n_kv_heads": 2}, ["n_kv_heads·head_dim/d_model"]),
        ({"head_dim": 16}, ["n_heads·head_dim/d_model", "n_kv_heads·head_dim/d_model"]),
    ],
)
def test_sides_that_do_not_grow_alike_are_named(changes: dict[str, int], sides: list[str]) -> None:
    warnings = projected(WIDE.at(**changes)).warnings
    assert [line.partition(" is ")[0] for line in warnings] == sides
    if "d_ff" in changes:
        assert "shape_init: spectral would" in warnings[0]
        of_spectral = projected(WIDE.at(**changes), "gqa-mup:shape_init=spectral").warnings
        assert "so do initial weights" in of_spectral[0]


def test_older_rules_are_named_with_every_number_that_the_newest_change() -> None:
    (warning,) = projected(WIDE, "gqa-mup:rules_version=1").warnings
    assert "version 1 of the rules" in warning
    for fact in ("unembedding.eps 1e-08 (version 2: 5e-09)", "final_norm.eps"):
        assert fact in warning
    assert "lr" not in warning


def test_a_folded_projection_carries_the_clip_and_what_it_is_worth() -> None:
    folded = projected(WIDE).folded
    assert folded.clip_norm == 1.0
    assert "exact only without clipping" in str(folded.clip)
    assert folded.forward is not None
    assert folded.forward.logits == folded.forward.residual == 1.0
    assert projected(WIDE, clip=None).folded.clip is None


def test_what_cannot_be_folded_says_why() -> None:
    folded = projected(WIDE.at(tied=True)).folded
    assert folded.roles is None
    assert "one table cannot take in both" in str(folded.why)


@pytest.mark.parametrize("d_model", [32, 256, 4096])
def test_the_scaling_table_has_the_unembeddings_eps_at_1_once_folded(d_model: int) -> None:
    target = BASE.at(d_model=d_model, n_heads=d_model // 8, d_ff=3 * d_model)
    folded = multiplier_report(BASE, target, Parameterization()).folded
    assert folded.roles is not None
    assert folded.roles["unembedding"].eps == pytest.approx(1.0)


def test_a_tied_table_is_shown_to_decay_and_an_untied_embedding_not_to() -> None:
    tied, untied = (projected(shape).rules.roles for shape in (WIDE.at(tied=True), WIDE))
    assert (tied["embedding"].weight_decay, untied["embedding"].weight_decay) == ("λ", "0")
    assert "tied, so it decays" in tied["embedding"].source
    assert untied["norm"].weight_decay == "0"
