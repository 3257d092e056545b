"""An evidence run asks for every pack once, and pairs what it compares."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from proxytune.config.evidence import EvidenceSpec
from proxytune.config.load import validate
from proxytune.errors import InputError
from proxytune.evidence.source import Point, evidence_packs, grid_of, pack_keys, points_of
from proxytune.execution.local import LocalExecutor
from proxytune.packs.fixed import FixedPacks
from proxytune.packs.ports import PackSource
from proxytune.testing import PackSourceContract
from proxytune.training.pack import start_pack

DOCUMENT: dict[str, Any] = {
    "name": "repeat",
    "axis": "repeat",
    "values": [1, 2],
    "proxy": {"d_model": 16, "n_layers": 1, "n_heads": 2, "seq_len": 16},
    "parameterizations": ["gqa-mup", "gqa-mup:kv_rule=none"],
    "grid": {"low": 0.01, "high": 0.04, "points": 3},
    "training": {"steps": 4, "batch_size": 2, "evaluations": 2, "evaluation_batches": 1},
    "seeds": 2,
}


def spec(**changes: object) -> EvidenceSpec:
    return validate(EvidenceSpec, DOCUMENT | changes, "evidence.yaml")


class TestEvidencePacks(PackSourceContract):
    def source(self, folder: Path) -> PackSource:
        return FixedPacks(evidence_packs(spec(), folder, ()))


def run(of: EvidenceSpec, tokens: Path, done: Sequence[Point] = ()) -> list[Point]:
    """The points of the packs that were not done."""
    points: list[Point] = []
    packs = FixedPacks(
        evidence_packs(of, tokens, {p.key for p in done}),
        on_finished=lambda run: points.extend(points_of(of, run)),
    )
    LocalExecutor(start_pack).run(packs)
    assert packs.lost == []
    return points


def test_every_pack_trains_once_with_all_values(tokens: Path) -> None:
    points = run(spec(), tokens)
    assert [point.key for point in points[::3]] == pack_keys(spec())
    assert len({(p.key, p.value) for p in points}) == len(points) == 2 * 2 * 2 * 3
    losses = grid_of(spec(), points)
    assert list(losses) == ["gqa-mup", "gqa-mup:kv_rule=none"]
    assert all(len(of_shape) == 2 for of_shape in losses["gqa-mup"])


def test_an_interrupted_run_goes_on_where_it_was(tokens: Path) -> None:
    whole = run(spec(), tokens)
    first = [point for point in whole if point.key in pack_keys(spec())[:3]]
    rest = run(spec(), tokens, done=first)
    plain = [point.model_copy(update={"seconds": 0.0}) for point in first + rest]
    assert plain == [point.model_copy(update={"seconds": 0.0}) for point in whole]


def test_without_repetition_the_kv_rule_makes_no_difference(tokens: Path) -> None:
    """Same initial weights, same batches: what is compared differs in the rule alone."""
    losses = grid_of(spec(), run(spec(), tokens))
    paper, none = losses["gqa-mup"], losses["gqa-mup:kv_rule=none"]
    assert paper[0] == none[0]
    assert paper[1] != none[1]


def test_tokens_per_parameter_are_the_same_at_every_shape(tokens: Path) -> None:
    of = spec(axis="width", values=[1, 2, 4], tokens_per_parameter=3)
    packs = evidence_packs(of, tokens, ())
    assert len({pack.training.steps for pack in packs}) == 3
    for pack in packs:
        trained = pack.training.tokens(pack.shape.seq_len)
        assert trained / pack.shape.count_parameters() == pytest.approx(3, rel=0.01)


@pytest.mark.parametrize(
    ("axis", "runs"),
    [("tokens", [(4, 2), (8, 2), (16, 2)]), ("batch_size", [(4, 2), (2, 4), (1, 8)])],
)
def test_an_axis_of_training_changes_nothing_else(
    axis: str, runs: list[tuple[int, int]], tokens: Path
) -> None:
    """Steps and batch of every run: longer with the same batch, or larger with the same tokens."""
    once = DOCUMENT["training"] | {"evaluations": 1}
    of = spec(axis=axis, values=[1, 2, 4], parameterizations=["sp"], seeds=1, training=once)
    packs = evidence_packs(of, tokens, ())
    assert [(pack.training.steps, pack.training.batch_size) for pack in packs] == runs
    assert {pack.shape for pack in packs} == {of.proxy}
    at = [steps * batch * 16 if axis == "tokens" else batch for steps, batch in runs]
    assert [key.coordinate for key in pack_keys(of)] == at
    points = run(of, tokens)
    assert [point.key for point in points[::3]] == pack_keys(of)


def test_divergence_is_a_point(tokens: Path) -> None:
    hopeless = spec(grid={"low": 0.01, "high": 1e30, "points": 3}, seeds=1)
    points = run(hopeless, tokens)
    assert [point.loss is None for point in points[:3]] == [False, True, True]
    assert grid_of(hopeless, points)["gqa-mup"][0][0][1:] == [float("inf")] * 2


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"values": [1]}, "values"),
        ({"values": [2, 1]}, "values = .*ascending"),
        ({"values": [1, 3]}, "values.*must divide proxy.n_heads = 2"),
        ({"axis": "with"}, "axis = 'with': should be 'width', 'depth', 'repeat', 'tokens' or"),
        ({"axis": "batch_size", "values": [1, 3]}, "values.*must divide training.steps = 4"),
        ({"axis": "batch_size", "values": [1, 4]}, "values.*training.evaluations = 2"),
        ({"axis": "tokens", "tokens_per_parameter": 1}, "tokens_per_parameter.*leave it out"),
        ({"grid": {"low": 0.1, "high": 0.1}}, "grid.high = 0.1: must be above low"),
        ({"grid": {"low": 0.1, "high": 0.2, "points": 2}}, "grid.points = 2: should be greater"),
        (
            {"hyperparameter": "weight_decy"},
            "hyperparameter: unknown hyperparameter 'weight_decy'; did you mean weight_decay",
        ),
        ({"hyperparameter": "beta1", "grid": {"low": 0.5, "high": 2.0}}, "grid: holds 2.0"),
        ({"parameterizations": ["sp", "sp"]}, "parameterizations.*must be different"),
        ({"parameterizations": ["gqa-mup:kv_rule=nun"]}, "kv_rule = 'nun': should be 'paper'"),
        ({"tokens_per_parameter": 1e-5}, "tokens_per_parameter = 1e-05: .*training.evaluations"),
        ({"seeds": 0}, "seeds = 0: should be greater than 0"),
    ],
)
def test_a_mistake_is_named(changes: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        spec(**changes)
