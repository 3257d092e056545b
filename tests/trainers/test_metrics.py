"""Lines of metrics: torn ones wait, later ones count, and bad ones are named."""

from pathlib import Path

import pytest

from proxytune.errors import InputError
from proxytune.trainers.metrics import Metrics


def read(folder: Path, text: str) -> Metrics:
    metrics = Metrics(folder / "metrics.jsonl")
    metrics.path.write_text(text)
    metrics.read()
    return metrics


def test_a_torn_last_line_is_waited_for(tmp_path: Path) -> None:
    metrics = read(tmp_path, '{"step": 1, "validation_loss": 2.5}\n{"step": 2, "val')
    assert list(metrics.steps) == [1]
    with metrics.path.open("a") as file:
        file.write('idation_loss": 2.25}\n')
    assert metrics.read() == 1
    assert metrics.steps[2].validation_loss == 2.25


def test_a_last_line_without_its_end_counts_once_the_trainer_has_ended(tmp_path: Path) -> None:
    metrics = read(tmp_path, '{"step": 1, "validation_loss": 2.5}')
    assert metrics.steps == {}
    assert metrics.read(ended=True) == 1
    assert metrics.steps[1].validation_loss == 2.5


def test_a_step_that_comes_again_counts_as_it_came_last(tmp_path: Path) -> None:
    text = '{"step": 1, "validation_loss": 2.5}\n{"step": 1, "validation_loss": 2.25}\n'
    assert read(tmp_path, text).steps[1].validation_loss == 2.25


def test_lines_of_one_step_add_up(tmp_path: Path) -> None:
    text = '{"step": 1, "train_loss": 3.0}\n{"step": 1, "validation_loss": 2.5}\n'
    at = read(tmp_path, text).steps[1]
    assert (at.train_loss, at.validation_loss) == (3.0, 2.5)


@pytest.mark.parametrize("loss", ["null", "NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("name", ["validation_loss", "train_loss"])
def test_a_loss_that_is_not_finite_is_divergence(tmp_path: Path, name: str, loss: str) -> None:
    assert read(tmp_path, f'{{"step": 1, "{name}": {loss}}}\n').steps[1].diverged


def test_what_is_not_told_is_no_divergence(tmp_path: Path) -> None:
    at = read(tmp_path, '{"step": 1, "grad_norm": null}\n').steps[1]
    assert not at.diverged
    assert (at.validation_loss, at.grad_norm) == (None, None)


def test_any_other_number_is_kept_and_what_is_none_is_not(tmp_path: Path) -> None:
    text = '{"step": 1, "tokens": 64, "mfu": 0.4, "note": "warm", "on": true, "bad": NaN}\n'
    assert read(tmp_path, text).steps[1].others == {"mfu": 0.4}


def test_updates_are_by_role(tmp_path: Path) -> None:
    at = read(tmp_path, '{"step": 1, "updates": {"hidden": 0.5, "norm": null}}\n').steps[1]
    assert at.updates == {"hidden": 0.5}


@pytest.mark.parametrize(
    ("line", "fact"),
    [
        ("step 1 loss 2.5", "not JSON"),
        ("[1, 2.5]", "object"),
        ('{"validation_loss": 2.5}', "step = None"),
        ('{"step": 1.5}', "step = 1.5"),
        ('{"step": true}', "step = True"),
        ('{"step": -1}', "step = -1"),
        ('{"step": 1, "validation_loss": "2.5"}', "validation_loss = '2.5'"),
        ('{"step": 1, "updates": [0.5]}', "updates = "),
        ('{"step": 1, "updates": {"hidden": "big"}}', "updates.hidden = 'big'"),
    ],
)
def test_a_bad_line_is_refused_by_its_number(tmp_path: Path, line: str, fact: str) -> None:
    with pytest.raises(InputError) as refused:
        read(tmp_path, f'{{"step": 1}}\n\n{line}\n')
    assert "metrics.jsonl, line 3" in str(refused.value)
    assert fact in str(refused.value)


def test_a_file_that_is_not_there_has_no_lines(tmp_path: Path) -> None:
    assert Metrics(tmp_path / "metrics.jsonl").read() == 0
