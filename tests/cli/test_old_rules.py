"""A study made before the rules had versions resumes, and is projected, by its own."""

import json
from pathlib import Path

import optuna
import pytest

from proxytune.search.study import SPEC
from proxytune.workflows.workspace import Workspace
from tests.commands import proxytune, write_yaml

pytestmark = pytest.mark.slow

SHAPE = {"d_model": 64, "n_layers": 2, "n_heads": 16, "n_kv_heads": 4, "seq_len": 16}


@pytest.fixture
def old_home(study_file: Path, tmp_path: Path) -> Path:
    """A home with a study as older programs stored it, which nobody has run."""
    home = tmp_path / "home"
    proxytune("study", "create", study_file, "--no-run", "--home", home)
    study = optuna.load_study(study_name="tiny", storage=Workspace(home).optuna)
    spec = json.loads(study.user_attrs[SPEC])
    for later in ("rules_version", "shape_init"):
        del spec["parameterization"][later]
    for later in ("key_lr_multiplier", "value_lr_multiplier"):
        del spec["hyperparameters"][later]
    study.set_user_attr(SPEC, json.dumps(spec))
    return home


def test_an_old_study_resumes_and_is_projected_by_the_rules_it_was_tuned_with(
    old_home: Path, study_file: Path, tmp_path: Path
) -> None:
    ran = json.loads(proxytune("study", "run", "tiny", "--json", "--home", old_home).stdout)
    assert (ran["state"], ran["spec"]["parameterization"]["rules_version"]) == ("complete", 1)

    target = write_yaml(tmp_path / "wide.yaml", {"name": "wide", "shape": SHAPE})
    arguments = ("transfer", "--target", target, "--no-check", "--json", "--home", old_home)
    report = json.loads(proxytune(*arguments).stdout)
    eps = report["hyperparameters"]["eps"]
    assert report["roles"]["unembedding"]["eps"] == report["roles"]["final_norm"]["eps"] == eps
    assert f"unembedding.eps {eps:.3g} (version 2: {eps / 4:.3g})" in report["warnings"][0]

    again = proxytune("study", "create", study_file, "--home", old_home)
    assert again.exit_code == 2
    assert "older version of the rules" in again.stderr
