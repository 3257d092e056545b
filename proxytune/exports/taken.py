"""What a trainer says it trains each parameter with: the entries of a groups.json."""

from pathlib import Path

from pydantic import ConfigDict, TypeAdapter, ValidationError

from proxytune.config.base import Spec
from proxytune.errors import InputError
from proxytune.exports.load import load_json


class Taken(Spec):
    """One parameter, before the first step."""

    model_config = ConfigDict(extra="ignore")

    name: str
    """The parameter's name."""
    shape: tuple[int, ...]
    """Its sizes, of the whole tensor where it is sharded."""
    role: str | None = None
    """Its role, where the name does not tell."""
    lr: float | None
    """The peak learning rate; None: no optimizer has the parameter."""
    weight_decay: float | None
    """AdamW's weight decay."""
    eps: float | None
    """AdamW's eps."""
    betas: tuple[float, float] | None
    """AdamW's betas."""
    std: float | None
    """Standard deviation of its values; None: not measured."""


_LIST = TypeAdapter(list[Taken])


def load_taken(path: Path) -> list[Taken]:
    """Reads a groups.json. Raises InputError as `require_taken` does."""
    return require_taken(load_json(path), path)


def require_taken(document: object, where: object) -> list[Taken]:
    """The entries of a document. Raises InputError that names the first one that is wrong."""
    try:
        found = _LIST.validate_python(document)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the document"
        raise InputError(
            f"{where}: {place}: {first['msg']}; a list of {{name, shape, lr, weight_decay, eps, "
            "betas, std}} is needed, as proxytune.trainer.describe(optimizer, model) returns"
        ) from None
    if not found:
        raise InputError(f"{where}: lists no parameters")
    return found
