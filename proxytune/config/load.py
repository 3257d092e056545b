"""YAML files -> specs. Mistakes are reported in words: file, field, value, what is allowed."""

import difflib
import types
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from proxytune import __version__
from proxytune.config.base import Spec
from proxytune.config.evidence import EvidenceSpec
from proxytune.config.experiment import SCHEMA_VERSION, ExperimentSpec, require_same_style
from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.config.shape import Shape
from proxytune.config.study import StudySpec
from proxytune.config.target import TargetSpec
from proxytune.errors import InputError

SpecT = TypeVar("SpecT", bound=Spec)
ExperimentT = TypeVar("ExperimentT", bound=ExperimentSpec)


def load_study(path: Path) -> StudySpec:
    """Reads study.yaml."""
    return _load_experiment(StudySpec, path)


def load_evidence(path: Path) -> EvidenceSpec:
    """Reads evidence.yaml."""
    return _load_experiment(EvidenceSpec, path)


def load_target(path: Path) -> TargetSpec:
    """Reads target.yaml."""
    return validate(TargetSpec, {"name": path.stem.lower()} | read_yaml(path), path)


def load_shape(path: Path) -> Shape:
    """The shape in a file: a target's shape, a study's base, or a bare shape."""
    document = read_yaml(path)
    if "proxy" in document:
        return load_study(path).base
    if "shape" in document:
        return load_target(path).shape
    return validate(Shape, document, path)


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


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping that a YAML file holds; safe loading only."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not UTF-8 text, so it cannot be YAML") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path}: is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(document, dict):
        found = "nothing" if document is None else f"a {type(document).__name__}"
        raise InputError(f"{path}: holds {found}; a mapping of fields is needed")
    return document


def validate(model: type[SpecT], document: object, where: object) -> SpecT:
    """`document` as a `model`, or one InputError that names every bad field."""
    if issubclass(model, ExperimentSpec):
        require_readable(document, where)
    try:
        return model.model_validate(document)
    except ValidationError as error:
        told = [e for e in error.errors() if not _follows(e, error.errors())]
        raise InputError("\n".join(f"{where}: {_in_words(model, e)}" for e in told)) from None


def _follows(error: ErrorDetails, errors: Sequence[ErrorDetails]) -> bool:
    """Whether an error only follows from another one in the list."""
    if error["type"] == "too_short":
        # Pydantic counts a list without its bad items.
        depth = len(error["loc"])
        return any(e["loc"][:depth] == error["loc"] for e in errors if len(e["loc"]) > depth)
    return error["type"] == "default_factory_not_called"


def require_readable(document: object, where: object) -> None:
    """Refuses an experiment that was written for a newer program, before any other mistake."""
    version = document.get("schema_version") if isinstance(document, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise InputError(
            f"{where}: schema_version = {version}: is newer than what proxytune {__version__} "
            f"reads, which is {SCHEMA_VERSION}; upgrade proxytune"
        )


def _load_experiment(model: type[ExperimentT], path: Path) -> ExperimentT:
    """Reads an experiment. Relative paths in `data.text` start at the file's folder."""
    spec = validate(model, {"name": path.stem.lower()} | read_yaml(path), path)
    if spec.data.text is None:
        return spec
    folder = path.resolve().parent
    text = tuple(str(folder / Path(pattern).expanduser()) for pattern in spec.data.text)
    return spec.model_copy(update={"data": spec.data.model_copy(update={"text": text})})


def _in_words(model: type[BaseModel], error: ErrorDetails) -> str:
    """One pydantic error as `field = value: what is allowed`."""
    # Tags of unions, such as <range>, are not fields in the file.
    path = [str(part) for part in error["loc"] if not str(part).startswith("<")]
    # A validator of a whole block says in `at` which part holds the mistake.
    path += [part for part in error.get("ctx", {}).get("at", "").split(".") if part]
    field, given = ".".join(path), error["input"]
    if error["type"] == "extra_forbidden":
        known = _fields_at(model, path[:-1])
        return f"{field}: unknown key{_nearest(path[-1], known)}"
    if error["type"] == "unknown_hyperparameter":
        known = list(BaseHyperparameters.model_fields)
        name = error["ctx"]["name"]
        return f"{field}: unknown hyperparameter {name!r}{_nearest(name, known)}"
    if error["type"] == "missing":
        return f"{field}: is missing, and has no default"
    shown = "" if isinstance(given, (dict, BaseModel)) else f" = {given!r}"
    message = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return f"{field}{shown}: {message}" if field else message


def _nearest(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; known are {', '.join(known)}"


def _fields_at(model: type[BaseModel], path: list[str]) -> list[str]:
    """Names of the fields of the model that `path` leads to from `model`."""
    for part in path:
        field = model.model_fields.get(part)
        nested = _model_in(field.annotation) if field else None
        if nested is None:
            return _space_entry_fields() if "space" in path else []
        model = nested
    return list(model.model_fields)


def _space_entry_fields() -> list[str]:
    return ["low", "high", "log", "choices"]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model class in an annotation such as `Shape` or `Shape | None`."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return next(filter(None, map(_model_in, typing.get_args(annotation))), None)
    is_model = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return annotation if is_model else None
