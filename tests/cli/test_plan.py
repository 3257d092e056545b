"""A plan in words, as JSON, and as a study that can be created."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result

from proxytune.packs.calibration import Calibration, Speed
from proxytune.plan.report import PlanReport
from proxytune.workflows import calibration
from proxytune.workflows.plan import make_plan
from proxytune.workflows.workspace import Workspace
from tests.cli.test_bad_input import assert_refused
from tests.commands import TARGET, TINY, proxytune, write_yaml
from tests.targets.published import DENSE

LLAMA = Path(__file__).parents[2] / "studies" / "targets" / "llama3-8b.yaml"


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """A home, and what planning for Llama printed. Its study is in `proxy.yaml`."""
    folder = tmp_path_factory.mktemp("plan")
    file = folder / "proxy.yaml"
    return folder, proxytune(
        "plan", "--target", LLAMA, "--write", file, "--json", "--home", folder / "home"
    )


def document(planned: tuple[Path, Result]) -> dict[str, Any]:
    _, result = planned
    assert (result.exit_code, result.stderr) == (0, "measuring speed and memory\n")
    return dict(json.loads(result.stdout))


def test_a_plan_says_what_each_proxy_would_cost(planned: tuple[Path, Result]) -> None:
    plan = document(planned)
    assert set(plan) == {
        "schema_version",
        "target",
        "machine",
        "runs",
        "proxies",
        "rule",
        "suggestion",
        "study",
        "target_tokens",
        "horizon",
        "warnings",
    }
    for proxy in plan["proxies"]:
        assert proxy["study_flops"] == pytest.approx(62 * proxy["trial_flops"])
        assert proxy["share"] == pytest.approx(proxy["study_flops"] / plan["target"]["flops"])
        assert proxy["hours"] > 0
        assert proxy["pack_size"] >= 1
        assert proxy["member_memory"] > 0
    chosen = plan["proxies"][plan["suggestion"]["proxy"]]["shape"]
    assert plan["study"]["proxy"] == chosen
    assert f"d_model {chosen['d_model']} " in plan["suggestion"]["reason"]


def test_the_function_gives_what_the_command_prints(
    planned: tuple[Path, Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Else it is what is free at the moment.
    monkeypatch.setattr("proxytune.training.calibration.pack_memory", lambda execution: 10**10)
    home = planned[0] / "home"
    printed = json.loads(proxytune("plan", "--target", LLAMA, "--json", "--home", home).stdout)
    report = make_plan(LLAMA, workspace=Workspace(home))
    assert PlanReport.model_validate(printed).study == report.study
    assert json.loads(json.dumps(report.document())) == printed
    assert printed["machine"]["pack_memory"] == 10**10


def test_the_suggested_study_can_be_created(planned: tuple[Path, Result]) -> None:
    folder, _ = planned
    made = proxytune(
        "study", "create", folder / "proxy.yaml", "--no-run", "--json", "--home", folder / "made"
    )
    assert made.exit_code == 0
    shown = json.loads(made.stdout)
    assert shown["spec"]["proxy"] == document(planned)["study"]["proxy"]
    assert (shown["spec"]["search"]["pack_size"], shown["pack_size"]) == ("auto", None)


def test_a_plan_is_made_with_the_user_s_study(
    planned: tuple[Path, Result], target_file: Path, study_file: Path
) -> None:
    home = planned[0] / "home"
    result = proxytune(
        "plan", "--target", target_file, "--study", study_file, "--json", "--home", home
    )
    plan = json.loads(result.stdout)
    assert (plan["runs"]["trials"], plan["runs"]["steps"]) == (4, 10)
    assert 16 in [proxy["shape"]["d_model"] for proxy in plan["proxies"]]
    assert plan["study"]["search"] == TINY["search"]


def test_a_plan_is_also_a_table_in_which_nothing_is_cut(planned: tuple[Path, Result]) -> None:
    printed = proxytune("plan", "--target", LLAMA, "--home", planned[0] / "home").stdout
    assert "…" not in printed
    assert "suggested: d_model" in printed
    assert "vocab_size: 256" in printed
    told = "tokens: to tune on the target's own tokens, set vocab_size 128256 and seq_len 8192"
    assert told in " ".join(printed.split())


def test_a_target_of_71_heads_has_a_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Falcon-7B."""
    one_gigabyte_free(monkeypatch, Speed(members=1, seconds=0.1, memory=1000))
    falcon = {"d_model": 4544, "n_layers": 32, "n_heads": 71, "n_kv_heads": 1, "mlp": "gelu"}
    target = write_yaml(tmp_path / "falcon.yaml", {"shape": falcon, "tokens": 1.5e12})
    result = proxytune("plan", "--target", target, "--json", "--home", tmp_path / "home")
    assert result.exit_code == 0, result.stderr
    shapes = [proxy["shape"] for proxy in json.loads(result.stdout)["proxies"]]
    assert [shape["d_model"] for shape in shapes] == [32, 64, 128, 256, 576]
    assert {shape["n_kv_heads"] for shape in shapes} == {1}


def test_a_plan_for_a_config_has_its_size_and_what_is_not_modelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_gigabyte_free(monkeypatch, Speed(members=1, seconds=0.1, memory=1000))
    fields, parameters = DENSE["Qwen2.5-7B"]
    (tmp_path / "config.json").write_text(json.dumps(fields))
    where = ("plan", "--target", tmp_path, "--home", tmp_path / "home")
    target = json.loads(proxytune(*where, "--json").stdout)["target"]
    biases = "biases on q, k, v; a proxy has none"
    assert biases in [item["what"] for item in target["not_modelled"]]
    assert target["parameters"] == parameters
    assert biases in proxytune(*where).stdout


@pytest.mark.parametrize(
    ("largest", "said", "planned"),
    [
        (700, {}, (1000, 64)),
        (700, {"vocab_size": 800, "seq_len": 16}, (800, 16)),
        (1500, {}, (1501, 64)),
    ],
    ids=["the target's", "what the study says", "what the tokens need"],
)
def test_a_study_on_tokens_is_planned_with_the_target_s_vocabulary_and_length(
    largest: int,
    said: dict[str, int],
    planned: tuple[int, int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one_gigabyte_free(monkeypatch, Speed(members=1, seconds=0.1, memory=1000))
    ids = np.random.default_rng(0).integers(largest + 1, size=20_000, dtype=np.uint16)
    ids[::100] = largest
    ids.tofile(tmp_path / "train.bin")
    proxy = {"d_model": 16, "n_layers": 2, "n_heads": 4, **said}
    data = {"tokens": str(tmp_path / "train.bin"), "dtype": "uint16"}
    study = write_yaml(tmp_path / "own.yaml", TINY | {"proxy": proxy, "data": data})
    shape = TARGET["shape"] | {"vocab_size": 1000, "seq_len": 64}
    target = write_yaml(tmp_path / "target.yaml", TARGET | {"shape": shape})
    words = ("plan", "--target", target, "--study", study, "--json", "--home", tmp_path / "home")
    result = proxytune(*words)
    assert result.exit_code == 0, result.stderr
    plan = json.loads(result.stdout)
    shapes = [proxy["shape"] for proxy in plan["proxies"]]
    assert {(shape["vocab_size"], shape["seq_len"]) for shape in shapes} == {planned}
    assert 16 in [shape["d_model"] for shape in shapes]
    assert plan["study"]["data"] == plan["study"]["data"] | data | {"tokens": [data["tokens"]]}


def test_memory_that_is_too_small_is_told_with_what_does_not_fit(
    tmp_path: Path, target_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_gigabyte_free(monkeypatch)
    result = proxytune("plan", "--target", target_file, "--home", tmp_path / "home")
    assert (result.exit_code, result.stdout) == (1, "")
    for fact in ("fits into memory", "32 sequences of 16 tokens", "1 GB", "training.batch_size"):
        assert fact in result.stderr


def one_gigabyte_free(monkeypatch: pytest.MonkeyPatch, *speeds: Speed) -> None:
    """What the smallest proxy measures here."""
    measured = Calibration(device="a device", memory=10**9, speeds=speeds, too_large=None)
    monkeypatch.setattr(calibration, "calibration_of", lambda *place: measured)


@pytest.mark.parametrize(
    ("changes", "arguments", "says"),
    [
        (None, "", "target.yaml: cannot be read"),
        ({"tokens": -5}, "", "tokens = -5: should be greater than 0"),
        (
            {"shape": {"d_model": 32, "n_layers": 2, "n_heads": 2}},
            "",
            "target.yaml: shape.d_model = 32: no proxy is smaller",
        ),
        ({}, "--study nowhere.yaml", "nowhere.yaml: cannot be read"),
        ({"shape": TARGET["shape"] | {"tied": True}}, "--study tiny.yaml", "tied is true where"),
        ({}, "--write tiny.yaml", "--write = 'tiny.yaml': is there already"),
        ({}, "--write no/where.yaml", "there is no folder no"),
    ],
)
def test_bad_input_is_refused_before_anything_is_measured(
    changes: dict[str, Any] | None,
    arguments: str,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_yaml(tmp_path / "tiny.yaml", TINY)
    if changes is not None:
        write_yaml(tmp_path / "target.yaml", TARGET | changes)
    where = ("--target", "target.yaml", "--home", "home")
    assert_refused(proxytune("plan", *where, *arguments.split()), says)
    assert not (tmp_path / "home").exists()


def test_a_study_that_cannot_be_written_is_told_in_a_line(planned: tuple[Path, Result]) -> None:
    where = ("--target", LLAMA, "--home", planned[0] / "home")
    result = proxytune("plan", *where, "--write", "/proc/proxy.yaml")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: /proc/proxy.yaml: cannot be written (")
