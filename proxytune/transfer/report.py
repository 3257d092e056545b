"""A transfer as one document, and its files: projection.yaml, projection.json and check.png."""

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from proxytune.files import replace
from proxytune.packs.selection import Selection
from proxytune.transfer.check import CheckRun
from proxytune.transfer.verdict import Verdict


def selection_document(selection: Selection) -> dict[str, Any]:
    """Which trial was chosen, how sure that is, and whom it was preferred to."""
    return {
        "trial": selection.best.number,
        "validation_loss": selection.best.mean,
        "standard_error": selection.best.standard_error,
        "candidates": [
            candidate.model_dump(mode="json", include={"number", "value", "confirmed"})
            for candidate in selection.candidates
        ],
    }


def check_document(run: CheckRun, verdict: Verdict) -> dict[str, Any]:
    """What was trained, the losses, and the verdict with its reasons and numbers."""
    return {
        "shape": run.target.shape.model_dump(),
        "warmup_steps": run.warmup_steps,
        "losses": [
            {"step": target.step, "proxy": proxy.validation_loss, "target": target.validation_loss}
            for proxy, target in zip(run.proxy.evaluations, run.target.evaluations, strict=False)
        ],
        "updates": {
            role: {"proxy": (run.proxy.updates or {}).get(role), "target": size}
            for role, size in (run.target.updates or {}).items()
        },
        "verdict": verdict.word,
        "reasons": [f"{c.name}: {c.reason}" for c in verdict.criteria],
        "criteria": [asdict(criterion) for criterion in verdict.criteria],
    }


def write_documents(document: dict[str, Any], folder: Path) -> list[Path]:
    """Writes the document as YAML and as JSON; each file is replaced as a whole."""
    # Through JSON, so that the YAML holds plain types only.
    plain = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    texts = {
        folder / "projection.yaml": yaml.safe_dump(
            json.loads(plain), sort_keys=False, allow_unicode=True
        ),
        folder / "projection.json": plain + "\n",
    }
    for path, text in texts.items():
        replace(path, partial(Path.write_text, data=text, encoding="utf-8"))
    return list(texts)
