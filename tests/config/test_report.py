"""Laws of every report: it cannot be changed, has a version, and its JSON is finite."""

import json
import math
from dataclasses import dataclass

import pytest
from pydantic import Field, ValidationError

from proxytune.cli.options import print_json
from proxytune.config.base import Report, Spec


@dataclass(frozen=True)
class Slope:
    """A part that is a dataclass."""

    value: float


class Part(Spec):
    """A part that is a spec."""

    loss: float | None


class Finding(Report):
    """A report."""

    name: str
    parts: tuple[Part, ...] = ()
    slopes: dict[str, Slope] = Field(default_factory=dict)


FINDING = Finding(name="größte", parts=(Part(loss=None), Part(loss=1.5)), slopes={"a": Slope(2)})


def test_a_report_tells_its_version_first() -> None:
    assert list(FINDING.document()) == ["schema_version", "name", "parts", "slopes"]
    assert FINDING.document()["schema_version"] == 1


def test_a_report_comes_back_from_its_document() -> None:
    assert Finding.model_validate(json.loads(json.dumps(FINDING.document()))) == FINDING


def test_a_report_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        FINDING.name = "another"  # type: ignore[misc]


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
def test_a_report_holds_no_number_that_json_does_not_have(number: float) -> None:
    with pytest.raises(ValidationError, match="finite"):
        Finding(name="a", parts=(Part(loss=number),))
    with pytest.raises(ValidationError, match="finite"):
        Finding(name="a", slopes={"a": Slope(number)})


def test_a_report_refuses_keys_and_versions_that_it_does_not_know() -> None:
    with pytest.raises(ValidationError, match="nmae"):
        Finding.model_validate({"name": "a", "nmae": "b"})
    with pytest.raises(ValidationError, match="schema_version"):
        Finding.model_validate({"schema_version": 2, "name": "a"})


def test_what_is_printed_is_the_document(capsys: pytest.CaptureFixture[str]) -> None:
    print_json(FINDING)
    assert json.loads(capsys.readouterr().out) == FINDING.document()
    print_json([FINDING, FINDING])
    assert json.loads(capsys.readouterr().out) == [FINDING.document()] * 2
