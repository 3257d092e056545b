"""Horizon rules and a run without one, as users see them: scaling, transfer, export, plan."""

import json
from pathlib import Path
from typing import Any

import pytest

from proxytune.exports.load import load_document
from tests.cli.test_bad_input import assert_refused
from tests.commands import TARGET, proxytune, write_yaml
from tests.evidence.test_power import measured

SDE = ("scaling", "--horizon", "sde", "--tokens-ratio", 16, "--batch-ratio", 4)
RUN: dict[str, Any] = {"steps": 1000, "batch_size": 8}
"""100 times the steps of the study, and 4 times its batch."""


def target(folder: Path, **changes: object) -> Path:
    return write_yaml(folder / "wide.yaml", TARGET | changes)


def transferred(home: Path, file: Path) -> dict[str, Any]:
    words = ("transfer", "--target", file, "--home", home, "--no-check", "--json")
    result = proxytune(*words)
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def test_rules_are_printed_alone() -> None:
    result = proxytune(*SDE, "--json")
    assert result.exit_code == 0
    multipliers = json.loads(result.stdout)["horizon"]
    expected = {"learning_rate": 0.5, "weight_decay": 0.5, "eps": 2.0}
    expected |= {"one_minus_beta1": 0.25, "one_minus_beta2": 0.25}
    assert {name: multipliers[name] for name in expected} == expected
    told = proxytune(*SDE).stdout
    assert "η/√m_S" in told
    assert "2512.22382" in told


def test_rules_are_printed_on_top_of_those_of_the_shape(target_file: Path) -> None:
    words = ("scaling", "--base", target_file, "--target", target_file, "--json")
    plain = json.loads(proxytune(*words).stdout)
    ruled = json.loads(proxytune(*words, *SDE[1:]).stdout)
    assert ruled["roles"]["hidden"]["lr"] == plain["roles"]["hidden"]["lr"] / 2
    assert ruled["horizon"]["rule"] == "sde"
    assert plain["horizon"] is None


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "--base and --target"),
        (("--tokens-ratio", 4), "go with --horizon"),
        (("--horizon", "sdee"), "rule = 'sdee': should be 'sde'"),
        (("--horizon", "fitted=lengths"), "needs a measured power, or power=P"),
    ],
)
def test_mistakes_are_told(words: tuple[object, ...], says: str) -> None:
    assert_refused(proxytune("scaling", *words), says)


def test_a_longer_run_without_a_rule_is_said_in_text_and_json(home: Path, tmp_path: Path) -> None:
    file = target(tmp_path, tokens=1e9)
    (line, *_) = transferred(home, file)["warnings"]
    assert "10 steps of 32 tokens" in line
    assert "1/(lr · weight decay)" in line
    told = proxytune("transfer", "--target", file, "--home", home, "--no-check")
    assert "warning: the proxy trains 10 steps" in " ".join(told.stdout.split())
    plan = proxytune("plan", "--target", file, "--home", home, "--json")
    (of_plan,) = json.loads(plan.stdout)["warnings"]
    assert "nothing here corrects" in of_plan


def test_a_rule_of_a_target_is_in_its_settings_and_exports(home: Path, tmp_path: Path) -> None:
    plain = transferred(home, target(tmp_path, **RUN))
    file = target(tmp_path, **RUN, horizon="sde")
    ruled = transferred(home, file)
    assert "horizon" in plain["warnings"][0]
    assert ruled["warnings"] == plain["warnings"][1:]
    assert ruled["horizon"]["learning_rate"] == pytest.approx(0.1, rel=1e-9)
    assert ruled["horizon"]["ratios"]["batch"] == 4
    assert ruled["roles"]["hidden"]["lr"] == pytest.approx(plain["roles"]["hidden"]["lr"] / 10)
    assert ruled["hyperparameters"] == plain["hyperparameters"]

    for trainer in ("pytorch", "megatron", "huggingface"):
        words = ("export", "--target", file, "--home", home, "--for", trainer)
        assert proxytune(*words, "--to", tmp_path / trainer).exit_code == 0
        document = load_document(tmp_path / trainer)
        group, values = document.group("hidden"), ruled["horizon"]["values"]
        assert group.betas == (values["beta1"], values["beta2"])
        readme = (tmp_path / trainer / "README.md").read_text()
        assert "1,000 steps of 128 tokens" in readme
        assert "horizon rule sde" in readme
    hidden = load_document(tmp_path / "pytorch").group("hidden")
    assert hidden.lr == pytest.approx(ruled["roles"]["hidden"]["lr"])
    arguments = json.loads((tmp_path / "huggingface" / "training_arguments.json").read_text())
    assert arguments["max_steps"] == 1000
    flags = (tmp_path / "megatron" / "flags.txt").read_text()
    for flag in ("--train-iters 1000\n", "--global-batch-size 8\n"):
        assert flag in flags


def test_a_measured_power_is_taken_from_its_evidence(own_home: Path, tmp_path: Path) -> None:
    folder = own_home / "evidence" / "lengths"
    folder.mkdir(parents=True)
    (folder / "evidence.json").write_text(measured(0.4).model_dump_json())
    found = transferred(own_home, target(tmp_path, tokens=320 * 16, horizon={"fitted": "lengths"}))
    assert found["horizon"]["learning_rate"] == pytest.approx(16**-0.4, abs=0.02)
    assert found["horizon"]["fitted"]["low"] < 0.4 < found["horizon"]["fitted"]["high"]


def test_a_plan_tells_the_rule(home: Path, tmp_path: Path) -> None:
    file = target(tmp_path, **RUN, horizon={"batch": "sqrt", "decay": "ema"})
    result = proxytune("plan", "--target", file, "--home", home, "--json")
    plan = json.loads(result.stdout)
    assert plan["horizon"]["rule"] == "batch=sqrt:decay=ema"
    assert plan["warnings"] == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"tokens": 1e9, "horizon": "sde"}, "horizon: needs the steps of the run: give two of"),
        (
            {"steps": 10, "batch_size": 2, "tokens": 1e9},
            "tokens: steps · batch_size · seq_len = 320",
        ),
        ({"tokens": 1e9, "horizon": {"fitted": "lengths"}}, "proxytune evidence run lengths.yaml"),
        ({"horizon": {"batch": "root"}}, "horizon.batch = 'root': should be 'sqrt'"),
        (
            {"horizon": {"decay": "ema", "powr": 1}},
            "horizon.powr: unknown key; did you mean power",
        ),
    ],
)
def test_a_target_that_cannot_be_meant_is_refused(
    changes: dict[str, object], says: str, home: Path, tmp_path: Path
) -> None:
    file = target(tmp_path, **changes)
    assert_refused(proxytune("transfer", "--target", file, "--home", home, "--no-check"), says)
