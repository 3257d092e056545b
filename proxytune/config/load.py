"""YAML files -> specs. Mistakes are reported in words: file, field, value, what is allowed."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from proxytune import __version__
from proxytune.config.base import Spec
from proxytune.config.evidence import EvidenceSpec
from proxytune.config.experiment import (
    SCHEMA_VERSION,
    ExperimentSpec,
    ExperimentT,
    require_same_style,
)
from proxytune.config.mistakes import misread, mistakes
from proxytune.config.shape import Shape
from proxytune.config.study import StudySpec
from proxytune.config.target import TargetSpec
from proxytune.config.written import Lines, parse_yaml
from proxytune.errors import InputError

SpecT = TypeVar("SpecT", bound=Spec)


def load_study(path: Path) -> StudySpec:
    """Reads study.yaml."""
    return _load_experiment(StudySpec, path)


def load_evidence(path: Path) -> EvidenceSpec:
    """Reads evidence.yaml."""
    return _load_experiment(EvidenceSpec, path)


def loaded(given: SpecT | str | Path, load: Callable[[Path], SpecT]) -> SpecT:
    """The spec itself, or the one that `load` reads from the file that was given."""
    return load(Path(given)) if isinstance(given, (str, Path)) else given


def told(given: TargetSpec | StudySpec | str | Path) -> str:
    """What was given, as messages call it: a file by its path, a spec by its name."""
    return str(given) if isinstance(given, (str, Path)) else given.name


def require_scalable(base: Shape, target: Shape, where: object) -> None:
    """Refuses a target that no rule scales to from the base; `where` starts the message."""
    try:
        require_same_style(base, target)
    except PydanticCustomError as error:
        raise InputError(f"{where}: {error.message()}") from None


def read_text(path: Path) -> str:
    """What a file holds. Raises InputError if it cannot be read or is no text."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not UTF-8 text, so it cannot be YAML") from None


def validate(
    model: type[SpecT], document: object, where: object, lines: Lines | None = None
) -> SpecT:
    """`document` as a `model`, or one InputError that names every bad field, and its line."""
    if issubclass(model, ExperimentSpec):
        require_readable(document, where)
    try:
        read = model.model_validate(document)
        found = misread(document, read)
    except ValidationError as error:
        found = mistakes(model, error)
    if found:
        raise InputError("\n".join(f"{where}: {one.told(lines or {})}" for one in found))
    return read


def require_readable(document: object, where: object) -> None:
    """Refuses an experiment that was written for a newer program, before any other mistake."""
    version = document.get("schema_version") if isinstance(document, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise InputError(
            f"{where}: schema_version = {version}: is newer than what proxytune {__version__} "
            f"reads, which is {SCHEMA_VERSION}; upgrade proxytune"
        )


def _load_experiment(model: type[ExperimentT], path: Path) -> ExperimentT:
    """Reads an experiment. Relative paths in it start at the file's folder."""
    written = parse_yaml(read_text(path), path)
    spec = validate(model, {"name": path.stem.lower()} | written, path, written.lines)
    folder = path.resolve().parent
    if spec.trainer is not None:
        place = str((folder / Path(spec.trainer.folder).expanduser()).resolve())
        trainer = spec.trainer.model_copy(update={"folder": place})
        spec = spec.model_copy(update={"trainer": trainer})
    if "data" not in spec.model_fields_set:
        return spec
    return spec.model_copy(update={"data": spec.data.below(folder)})
