"""Targets and shapes from files: those that users write, and those of other programs."""

import re
from pathlib import Path
from typing import Any

from proxytune.config.load import load_study, read_text, validate
from proxytune.config.shape import Shape
from proxytune.config.target import TargetSpec
from proxytune.config.written import Written, parse_yaml
from proxytune.errors import InputError
from proxytune.targets.architecture import Architecture
from proxytune.targets.formats import architecture_in, file_in
from proxytune.targets.huggingface.reader import HuggingFace


def load_target(path: Path) -> TargetSpec:
    """Reads target.yaml, or another program's model file: the file, or a folder that holds it.

    Raises InputError for a file that is none of these, for wrong fields, and for a model that no
    shape describes.
    """
    path = file_in(path)
    text = read_text(path)
    found = architecture_in(path, text)
    if found is None:
        return _target(parse_yaml(text, path), path)
    return TargetSpec(
        name=_name(path),
        config=str(path),
        shape=found.shape,
        not_modelled=found.not_modelled,
    )


def load_architecture(path: Path) -> Architecture:
    """The shape in a file that `load_target` reads, a study's base, or a bare shape.

    Raises InputError as `load_target` does.
    """
    path = file_in(path)
    text = read_text(path)
    found = architecture_in(path, text)
    if found is not None:
        return found
    document = parse_yaml(text, path)
    if "proxy" in document:
        return Architecture(shape=load_study(path).base)
    if {"shape", "config"} & document.keys():
        target = _target(document, path)
        return Architecture(shape=target.shape, not_modelled=target.not_modelled)
    return Architecture(shape=validate(Shape, document, path, document.lines))


def load_shape(path: Path) -> Shape:
    """The shape alone, where what is not modelled is of no interest."""
    return load_architecture(path).shape


def huggingface_config(path: Path) -> dict[str, Any] | None:
    """What a target's model file holds, if it is a Hugging Face config.json; else None."""
    return HuggingFace().document(path, read_text(path))


def _target(document: Written, path: Path) -> TargetSpec:
    """A target.yaml's fields, with the shape of the `config` that it names."""
    named: dict[str, Any] = {"name": path.stem.lower()} | document
    place = document.get("config")
    if not isinstance(place, str):
        return validate(TargetSpec, named, path, document.lines)
    if "shape" in document:
        raise InputError(
            f"{path}: config = {place!r}: gives the shape; remove config, or shape (beside "
            "config, seq_len sets the length)"
        )
    config = file_in(path.parent / Path(place).expanduser())
    found = architecture_in(config, read_text(config))
    if found is None:
        raise InputError(f"{path}: config = {place!r}: is no model file that proxytune reads")
    named |= {"config": str(config), "shape": found.shape}
    spec = validate(TargetSpec, named, path, document.lines)
    shape = spec.shape.at(seq_len=spec.seq_len or spec.shape.seq_len)
    told = (*found.not_modelled, *spec.not_modelled)
    return spec.model_copy(update={"shape": shape, "not_modelled": told})


def _name(path: Path) -> str:
    """A target's name: that of its file, or of its folder if all such files are called alike."""
    usual = path.stem in ("config", "model_config")
    stem = path.resolve().parent.name if usual else path.stem
    return re.sub(r"[^a-z0-9._-]+", "-", stem.lower()).lstrip("._-")[:64] or "target"
