"""A plan in words, as JSON, and as a study that can be created."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from proxytune.plan.report import PlanReport
from proxytune.workflows.plan import make_plan
from proxytune.workflows.workspace import Workspace
from tests.cli.test_bad_input import assert_refused
from tests.commands import TARGET, TINY, proxytune, write_yaml

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
    assert (result.exit_code, result.stderr) == (0, "")
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
    }
    for proxy in plan["proxies"]:
        assert proxy["study_flops"] == pytest.approx(40 * proxy["trial_flops"])
        assert proxy["share"] == pytest.approx(proxy["study_flops"] / plan["target"]["flops"])
        assert proxy["hours"] > 0
        assert proxy["pack_size"] >= 1
        assert proxy["member_memory"] > 0
    chosen = plan["proxies"][plan["suggestion"]["proxy"]]["shape"]
    assert plan["study"]["proxy"] == chosen
    assert f"d_model {chosen['d_model']} " in plan["suggestion"]["reason"]


def test_the_function_gives_what_the_command_prints(planned: tuple[Path, Result]) -> None:
    workspace = Workspace(planned[0] / "home")
    report, printed = make_plan(LLAMA, workspace=workspace), document(planned)
    assert PlanReport.model_validate(printed).study == report.study
    again = json.loads(json.dumps(report.document()))
    # Memory is that of now.
    assert again["machine"].pop("pack_memory") > 0
    assert printed["machine"].pop("pack_memory") > 0
    assert again == printed


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
