"""An option that a parameterization has no use for is refused, not ignored."""

import pytest

from proxytune.config.load import validate
from proxytune.config.parameterization import Parameterization, without_ignored
from proxytune.errors import InputError


@pytest.mark.parametrize(
    ("given", "option", "takes"),
    [
        ("sp:depth_alpha=0.5", "depth_alpha", "embedding_lr_width_exponent"),
        ("sp:wd_width_exponent=1", "wd_width_exponent", "embedding_weight_decay"),
        ("mup:kv_rule=spectral", "kv_rule", "wd_width_exponent"),
        ("mup:kv_rule=paper", "kv_rule", "wd_width_exponent"),
        ("completep:kv_rule=none", "kv_rule", "depth_alpha"),
        ({"name": "mup", "depth_alpha": 0.5}, "depth_alpha", "wd_width_exponent"),
    ],
)
def test_what_it_does_not_take_is_refused_with_what_it_takes(
    given: object, option: str, takes: str
) -> None:
    with pytest.raises(InputError, match=rf"does not take {option}; it takes .*{takes}"):
        validate(Parameterization, given, "here")


@pytest.mark.parametrize(
    ("given", "allowed"),
    [
        ("sp:embedding_lr_width_exponent=-0.5", "0, 1"),
        ("gqa-mup:embedding_lr_width_exponent=1", "0, -0.5"),
    ],
)
def test_exponents_of_the_embeddings_rate_are_those_with_a_source(
    given: str, allowed: str
) -> None:
    with pytest.raises(InputError, match=rf"must be one of {allowed}"):
        validate(Parameterization, given, "here")


def test_what_it_takes_survives_a_dump() -> None:
    for label in ("sp", "mup", "completep:depth_alpha=0.5", "gqa-mup:kv_rule=none"):
        rules = validate(Parameterization, label, "here")
        assert validate(Parameterization, rules.model_dump(), "here") == rules
        assert validate(Parameterization, rules.label, "here") == rules


def test_a_stored_one_of_old_drops_what_it_ignored_and_keeps_its_rules() -> None:
    stored = {"name": "sp", "kv_rule": "none", "depth_alpha": 0.5, "wd_width_exponent": 0.0}
    stored |= {"embedding_lr_width_exponent": -0.5, "embedding_weight_decay": True}
    read = validate(Parameterization, without_ignored(stored), "here")
    assert read == Parameterization(name="sp", embedding_weight_decay=True, rules_version=1)
