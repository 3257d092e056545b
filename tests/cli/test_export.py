"""proxytune export and verify: what they write, say and exit with."""

import json
from pathlib import Path

import pytest

from proxytune.exports.load import load_document
from tests.cli.test_bad_input import assert_refused
from tests.commands import proxytune


def as_taken(folder: Path) -> list[dict[str, object]]:
    """What a trainer would tell that took an export as it is."""
    return [
        {
            "name": group.patterns[0].replace("*", "0."),
            "shape": [group.rows or 64, group.columns] if group.columns else [64],
            "lr": group.lr,
            "weight_decay": group.weight_decay,
            "eps": group.eps,
            "betas": group.betas,
            "std": group.init_std or 0.0,
        }
        for group in load_document(folder).groups
    ]


def test_an_export_is_written_and_told(home: Path, target_file: Path, tmp_path: Path) -> None:
    words = ("export", "--target", target_file, "--home", home, "--for", "pytorch")
    result = proxytune(*words, "--to", tmp_path / "out")
    assert result.exit_code == 0
    assert str(tmp_path / "out") in result.stdout
    names = {"README.md", "param_groups.json", "proxytune_projection.py"}
    assert {file.name for file in (tmp_path / "out").iterdir()} == names

    report = json.loads(proxytune(*words, "--to", tmp_path / "out", "--json").stdout)
    assert set(report["files"]) == names
    assert report["forward"].keys() == {"residual", "logits"}
    document = load_document(tmp_path / "out")
    assert (document.study, document.target, document.clip.norm) == ("tiny", "wide", 1.0)


def test_an_export_leaves_the_transfer_as_it_is(own_home: Path, target_file: Path) -> None:
    where = ("--target", target_file, "--home", own_home)
    assert proxytune("transfer", *where, "--no-check", "--for", "pytorch").exit_code == 0
    folder = own_home / "transfers" / "tiny" / "wide"
    before = (folder / "projection.json").read_bytes()
    (folder / "pytorch" / "README.md").unlink()
    assert proxytune("export", *where, "--for", "pytorch").exit_code == 0
    assert (folder / "pytorch" / "README.md").exists()
    assert (folder / "projection.json").read_bytes() == before


def test_folding_warns_of_clipping(home: Path, target_file: Path, tmp_path: Path) -> None:
    words = ("export", "--target", target_file, "--home", home, "--for", "pytorch")
    result = proxytune(*words, "--folded", "--to", tmp_path)
    assert result.exit_code == 0
    assert "Warning: clipping: the study clipped at 1" in result.stderr


def test_megatron_warns_of_what_it_drops(home: Path, target_file: Path, tmp_path: Path) -> None:
    words = ("export", "--target", target_file, "--home", home, "--for", "megatron")
    result = proxytune(*words, "--to", tmp_path, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["dropped"][0]["roles"] == ["key", "value"]
    told = proxytune(*words, "--to", tmp_path)
    assert told.exit_code == 0
    assert "Warning: dropped: the K/V rule" in told.stderr


def test_verify_exits_with_0_1_and_2(home: Path, target_file: Path, tmp_path: Path) -> None:
    words = ("export", "--target", target_file, "--home", home, "--for", "pytorch")
    assert proxytune(*words, "--to", tmp_path / "out").exit_code == 0
    taken = as_taken(tmp_path / "out")
    groups = tmp_path / "groups.json"
    verify = ("verify", groups, "--projection", tmp_path / "out")

    groups.write_text(json.dumps(taken))
    passed = proxytune(*verify)
    assert passed.exit_code == 0, passed.stdout
    assert "as projected" in passed.stdout

    taken[0]["lr"] = 1.0
    groups.write_text(json.dumps(taken))
    failed = proxytune(*verify)
    assert failed.exit_code == 1
    assert "embedding (embed_tokens): lr" in failed.stdout
    report = json.loads(proxytune(*verify, "--json").stdout)
    assert [finding["role"] for finding in report["findings"]] == ["embedding"]

    assert_refused(proxytune("verify", tmp_path, "--projection", tmp_path / "out"), "cannot be")
    assert_refused(proxytune("verify", groups, "--projection", tmp_path), "param_groups.json")


@pytest.mark.parametrize("options", [("--for", "gone"), ()])
def test_a_format_is_needed_that_there_is(
    options: tuple[str, ...], home: Path, target_file: Path
) -> None:
    result = proxytune("export", "--target", target_file, "--home", home, *options)
    assert result.exit_code == 2
    assert "pytorch" in result.stderr or "--for" in result.stderr
