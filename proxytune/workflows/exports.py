"""A study's settings at a target, written as another trainer takes them; and whether it did."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from proxytune.config.load import loaded, told
from proxytune.config.target import TargetSpec
from proxytune.errors import InputError
from proxytune.exports.build import Projected
from proxytune.exports.formats import FORMATS
from proxytune.exports.load import load_document
from proxytune.exports.report import ExportReport, write_export
from proxytune.exports.taken import load_taken, require_taken
from proxytune.exports.verdict import VerifyReport
from proxytune.libraries import libraries_in_words
from proxytune.targets.load import huggingface_config, load_target
from proxytune.workflows.transfer import projected_study
from proxytune.workflows.workspace import Workspace


@libraries_in_words()
def run_export(
    target: TargetSpec | str | Path,
    trainer: str,
    study: str | None = None,
    workspace: Workspace | None = None,
    *,
    folder: str | Path | None = None,
    folded: bool = False,
) -> ExportReport:
    """Writes a study's settings at a target as a trainer takes them.

    `trainer` is one of FORMATS; `study` the name of a complete study, None: the one completed
    last; `folder` what to write, None: a folder beside the target's projection. `folded` asks for
    a model without forward multipliers, where the format leaves the choice.

    Raises InputError for a target or study that cannot be used, and for a target that the format
    cannot express.
    """
    if trainer not in FORMATS:
        raise InputError.of_field("trainer", trainer, f"is no format; one of {', '.join(FORMATS)}")
    where = workspace or Workspace()
    goal = loaded(target, load_target)
    found, report = projected_study(where, goal, told(target), study)
    projected = Projected(
        study=found.name,
        target=goal.name,
        scaling=report,
        training=found.spec.training,
        config=huggingface_config(Path(goal.config)) if goal.config else None,
        run=goal.run,
        folded=folded,
    )
    exported = FORMATS[trainer].export(projected)
    usual = where.paths.transfer(found.name, goal.name) / trainer
    return write_export(exported, projected, Path(folder) if folder else usual)


@libraries_in_words()
def run_verify(
    groups: str | Path | Sequence[dict[str, Any]], projection: str | Path
) -> VerifyReport:
    """Compares what a trainer trains each parameter with, with what was projected.

    `groups` is what `proxytune.trainer.describe(optimizer, model)` returns, or a file that holds
    it; `projection` an exported folder. Raises InputError where either is none.
    """
    taken = (
        load_taken(Path(groups))
        if isinstance(groups, (str, Path))
        else require_taken(groups, "groups")
    )
    document = load_document(projection)
    # Not before it is needed: it imports torch.
    from proxytune.exports.verify import verify

    return verify(taken, document)
