"""An export as a report, and its folder: settings, loader, the trainer's files, and a README."""

import json
from functools import partial
from importlib.resources import files as resources
from pathlib import Path

from proxytune.config.base import Report
from proxytune.exports.build import Projected
from proxytune.exports.document import Clip, Dropped, ExportDocument
from proxytune.exports.format import Exported
from proxytune.files import replace

DOCUMENT, LOADER = "param_groups.json", "proxytune_projection.py"
"""Files that every export has."""


class ExportReport(Report):
    """What was exported, and what the format could not take."""

    study: str
    """The study that was tuned."""
    target: str
    """The target's name."""
    trainer: str
    """The format."""
    folder: str
    """Where the files are."""
    files: tuple[str, ...]
    """Their names; README.md says what to paste where."""
    folded: bool
    """Whether weights have taken in all forward multipliers that they can."""
    forward: dict[str, float]
    """The forward multipliers that the model must be given, by name."""
    clip: Clip
    """Clipping."""
    dropped: tuple[Dropped, ...]
    """What the format cannot take, with what that costs."""


def write_export(exported: Exported, projected: Projected, folder: Path) -> ExportReport:
    """Writes an export's files into a folder; each is replaced as a whole."""
    document = exported.document
    texts = {
        "README.md": _readme(exported, projected),
        DOCUMENT: _document_text(document),
        LOADER: (resources("proxytune.models") / "portable.py").read_text(encoding="utf-8"),
        **exported.files,
    }
    for name, text in texts.items():
        replace(folder / name, partial(Path.write_text, data=text, encoding="utf-8"))
    return ExportReport(
        study=document.study,
        target=document.target,
        trainer=document.trainer,
        folder=str(folder),
        files=tuple(texts),
        folded=document.folded,
        forward=document.multipliers_left(),
        clip=document.clip,
        dropped=document.dropped,
    )


def _document_text(document: ExportDocument) -> str:
    """JSON with one line for each field, and for each group."""
    lines = []
    for name, value in document.document().items():
        if name == "groups" and isinstance(value, list):
            rows = ",\n".join(f"    {_line(group)}" for group in value)
            lines.append(f'  "groups": [\n{rows}\n  ]')
        else:
            lines.append(f'  "{name}": {_line(value)}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _run(document: ExportDocument) -> str:
    """What run the settings are for, and the horizon rule that made them so."""
    planned = (document.run and document.run.text) or "the target names no length and no batch"
    if document.horizon is None:
        return f"{planned}; no horizon rule is on: these are settings for the study's own run"
    at = document.horizon
    factors = {
        "learning rate": at.learning_rate,
        "weight decay": at.weight_decay,
        "eps": at.eps,
        "1 − β₁": at.one_minus_beta1,
        "1 − β₂": at.one_minus_beta2,
    }
    by = ", ".join(f"{name} × {factor:.4g}" for name, factor in factors.items())
    clamped = "".join(f"; {says}" for says in at.clamped)
    return f"{planned}; horizon rule {at.rule}, which the settings have in them: {by}{clamped}"


def _readme(exported: Exported, projected: Projected) -> str:
    """Ten lines or so: what to paste where, and what to know."""
    document = exported.document
    schedule = document.schedule
    falls = f"then {schedule.kind} to {schedule.final_lr_fraction:g} of the peak"
    if schedule.kind == "wsd":
        falls += f" over the last {schedule.decay_fraction:g} of the steps"
    lines = [
        f"# {document.target}: settings from study {document.study}, for {document.trainer}",
        "",
        f"{DOCUMENT} holds every setting by role; {LOADER} applies them, with torch alone.",
        "",
        "```python",
        *exported.paste,
        "```",
        "",
        f"- Forward multipliers: {exported.forward}.",
        "- Initial weights: projection.init_weights_(model), in place of the trainer's own: "
        "normal with the std of each role, gains and biases constant.",
        f"- Schedule: linear warm-up over {schedule.warmup_fraction:g} of the steps, {falls}; "
        f"{exported.schedule}.",
        f"- Run: {_run(document)}.",
        f"- Clipping: {document.clip.says}; {exported.clip}.",
        *(f"- Dropped: {item.what}. {item.cost}." for item in document.dropped),
        *(f"- Not modelled: {item.what}." for item in projected.scaling.not_modelled),
        "- Check: `proxytune verify GROUPS.json --projection FOLDER`, where GROUPS.json holds "
        "what `proxytune.trainer.describe(optimizer, model)` returns before the first step.",
    ]
    return "\n".join(lines) + "\n"
