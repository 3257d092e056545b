"""YAML is read as its writer means it, and what cannot be meant is refused with its line."""

from pathlib import Path
from typing import Any

import pytest

from proxytune.config.load import load_study
from proxytune.config.study import StudySpec
from proxytune.config.written import parse_yaml
from proxytune.errors import InputError

STUDY = """\
name: small
proxy: {d_model: 16, n_layers: 1, n_heads: 2, seq_len: 16}
training: {steps: 10, evaluations: 2}
search:
  trials: 4
  space:
    learning_rate: {low: 0.002, high: 0.1, log: true}
    beta2:
      choices: [0.9, 0.95]
"""


def study(folder: Path, old: str = "", new: str = "") -> StudySpec:
    """The study with one piece of its text replaced."""
    assert old in STUDY
    file = folder / "study.yaml"
    file.write_text(STUDY.replace(old, new) if old else STUDY)
    return load_study(file)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("2026-11-25", "2026-11-25"),
        ("1:30", "1:30"),
        ("true", True),
        ("010", 10),
        ("1_000", 1000),
        ("0x10", 16),
        ("-3", -3),
        ("1e1", 10.0),
        ("1.5e12", 1.5e12),
        ("1.", 1.0),
        (".5", 0.5),
        ("'10'", "10"),
        (".inf", float("inf")),
        ("~", None),
        ("", None),
    ],
)
def test_words_are_words_and_numbers_are_numbers(text: str, meant: object) -> None:
    read = parse_yaml(f"field: {text}", Path("file.yaml"))["field"]
    assert (read, type(read)) == (meant, type(meant))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("steps: 10,", "steps: 10, steps: 4,", "training.steps: is given twice, in lines 3 and 3"),
        ("search:", "name: other\nsearch:", "name: is given twice, in lines 1 and 4"),
        ("trials: 4", "trials: yes", "search.trials = 'yes': should be a valid integer"),
        ("trials: 4", "trials: true", "search.trials = True: is not a number"),
        (
            "{low: 0.002, high: 0.1, log: true}",
            "{choices: [true, 0.01]}",
            "search.space.learning_rate.choices.0 = True: is not a number (line 7)",
        ),
        ("[0.9, 0.95]", "[yes, 0.95]", "search.space.beta2.choices.0 = 'yes': should be a valid"),
        (
            "[0.9, 0.95]",
            "[0.9, 0.95, 0.90]",
            "search.space.beta2.choices = [0.9, 0.95, 0.9]: has 0.9 more than once (line 9)",
        ),
        ("name: small", "name: 12", "name = 12: should be a valid string; quote it: '12' (line 1"),
        (
            "name: small",
            "name: true",
            "name = True: should be a valid string; quote it: 'true' (line 1)",
        ),
        ("low: 0.002, ", "", "search.space.learning_rate.low: is missing"),
        ("trials: 4", "trails: 4", "search.trails: unknown key; did you mean trials? (line 5)"),
    ],
)
def test_what_nobody_means_is_refused_with_its_line(
    tmp_path: Path, old: str, new: str, says: str
) -> None:
    with pytest.raises(InputError) as refusal:
        study(tmp_path, old, new)
    assert str(refusal.value).startswith(f"{tmp_path / 'study.yaml'}: {says}")
    assert "line" in str(refusal.value)


@pytest.mark.parametrize(
    ("old", "new", "field", "meant"),
    [
        ("steps: 10", "steps: 1e1", "training.steps", 10),
        ("log: true", "log: yes", "search.space.learning_rate.log", True),
        ("name: small", "name: no", "name", "no"),
        ("name: small", "name: 2026-11-25", "name", "2026-11-25"),
    ],
)
def test_what_can_be_meant_in_one_way_is_read_so(
    tmp_path: Path, old: str, new: str, field: str, meant: object
) -> None:
    value: Any = study(tmp_path, old, new)
    for part in field.split("."):
        value = value[part] if isinstance(value, dict) else getattr(value, part)
    assert value == meant


def test_an_anchor_is_read_where_it_is_used_again() -> None:
    text = "base: &shape {d_model: 16}\nproxy: {<<: *shape, n_layers: 2}\nloop: &loop [*loop]"
    read = parse_yaml(text, Path("file.yaml"))
    assert read["proxy"] == {"d_model": 16, "n_layers": 2}
    assert read.lines[("proxy", "n_layers")] == 2
