"""Documents say what is so: the reference is current, links lead somewhere, commands exist."""

import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import click
import pytest
import yaml

from proxytune.cli.main import main
from proxytune.config.load import validate

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    file
    for file in sorted([*ROOT.glob("*.md"), *ROOT.glob("*/*.md")])
    if not file.relative_to(ROOT).parts[0].startswith(".")
]
OWN = re.compile(r"https://(?:github|raw\.githubusercontent)\.com/proxytune/proxytune/")
IN_REPOSITORY = re.compile(OWN.pattern + r"(?:(?:blob|tree|raw)/)?main/")

of_each_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT))
)


def generator() -> ModuleType:
    """docs/reference.py, which is a script and in no package."""
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_yaml_reference_is_current() -> None:
    script = generator()
    current = script.PAGE.read_text(encoding="utf-8") == script.render()
    assert current, "docs/reference.md is out of date: run `python docs/reference.py`"


def test_every_example_of_the_yaml_reference_is_accepted() -> None:
    for section in generator().SECTIONS:
        validate(section.model, yaml.safe_load(section.example), section.title)


def links(document: Path) -> Iterator[str]:
    """The targets of all Markdown links and pictures of a document."""
    yield from re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8"))


def anchors(document: Path) -> set[str]:
    """The names by which GitHub links to a document's headings."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@of_each_document
def test_a_link_leads_to_a_file_and_heading_that_exist(document: Path) -> None:
    for link in links(document):
        path, _, anchor = link.partition("#")
        if IN_REPOSITORY.match(path):
            file = ROOT / IN_REPOSITORY.sub("", path)
        elif "://" in path:
            continue
        else:
            file = document.parent / path if path else document
        assert file.exists(), f"{link} leads nowhere"
        assert not anchor or anchor in anchors(file), f"{link}: no such heading"


def commands(document: Path) -> Iterator[list[str]]:
    """The words after `proxytune` of every command in a document's code."""
    text = document.read_text(encoding="utf-8")
    blocks = re.findall(r"^```\w*\n(.*?)^```$|^((?: {4,}\S.*\n)+)", text, re.DOTALL | re.MULTILINE)
    outside = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    code = ["".join(block).replace("\\\n", " ") for block in blocks]
    code += [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", outside)]
    for line in "\n".join(code).splitlines():
        if found := re.search(r"(?:^\s*|/bin/|run --rm |-- )proxytune ([a-z-].*)", line):
            yield shlex.split(re.split(r" [|&;>]", found[1])[0], comments=True)


def require_parses(words: list[str]) -> None:
    """Fails unless the command exists and takes these options and arguments."""
    command: click.Command = main
    context = click.Context(command)
    words = list(words)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name = words.pop(0)
        found = command.get_command(context, name)
        assert found is not None, f"{command.name} has no command {name}"
        command = found
    known = {
        option: parameter
        for parameter in command.get_params(context)
        if isinstance(parameter, click.Option)
        for option in parameter.opts
    }
    arguments = 0
    while words:
        option, given, _ = words.pop(0).partition("=")
        if not option.startswith("-"):
            arguments += 1
            continue
        if option in ("--help", "-h"):
            continue
        assert option in known, f"{command.name} has no option {option}"
        if not given and not known[option].is_flag:
            assert words, f"{command.name} {option} needs a value"
            words.pop(0)
    taken = sum(isinstance(parameter, click.Argument) for parameter in command.params)
    assert arguments <= taken, f"{command.name} takes {taken} arguments"


@of_each_document
def test_a_command_that_is_shown_exists(document: Path) -> None:
    for words in commands(document):
        require_parses(words)


@pytest.mark.parametrize(
    "words",
    ["study create --fast study.yaml", "study make", "ui 5000", "plan --target"],
)
def test_a_command_that_does_not_exist_is_found(words: str) -> None:
    with pytest.raises(AssertionError):
        require_parses(words.split())
