"""A transfer as a report, and its files: projection.yaml and projection.json."""

import json
from functools import partial
from pathlib import Path
from typing import Literal

import yaml

from proxytune.config.base import Spec
from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.config.shape import Shape
from proxytune.files import replace
from proxytune.packs.selection import Selection
from proxytune.plan.cost import Cost
from proxytune.scaling.report import ScalingReport
from proxytune.transfer.check import CheckRun
from proxytune.transfer.remarks import check_remarks
from proxytune.transfer.verdict import Bracket, Criterion, Verdict, bracket_of


class CheckLosses(Spec):
    """Validation losses at one evaluation, nats per token; None where training diverged."""

    step: int
    """Optimizer steps done."""
    proxy: float | None
    """The proxy's."""
    target: float | None
    """The target's."""


class RelativeUpdates(Spec):
    """‖W − W₀‖/‖W₀‖ of one role over the whole check run."""

    proxy: float | None
    """The proxy's; None if it was not measured."""
    target: float
    """The target's."""


class ClippedShares(Spec):
    """Share of the steps whose gradients were above clip_norm, 0 to 1."""

    proxy: float | None
    """The proxy's; None if the trainer does not tell it."""
    target: float | None
    """The target's; None if the trainer does not tell it."""


class CheckReport(Spec):
    """What the check run trained, and its verdict."""

    shape: Shape
    """What was trained as the target."""
    warmup_steps: int
    """Steps of warm-up."""
    losses: tuple[CheckLosses, ...]
    """By evaluation."""
    updates: dict[str, RelativeUpdates]
    """By role; empty if they were not measured."""
    clipped: ClippedShares
    """How often gradients were clipped."""
    bracket: Bracket | None = None
    """Whether half or twice the learning rate is better; None if only the rate was trained."""
    verdict: Literal["pass", "fail"]
    """fail if a criterion failed."""
    reasons: tuple[str, ...]
    """One per criterion, in words."""
    criteria: tuple[Criterion, ...]
    """What was judged, with numbers."""
    warnings: tuple[str, ...]
    """What to know besides the verdict."""

    @classmethod
    def of(cls, run: CheckRun, verdict: Verdict) -> "CheckReport":
        """The report on a check run."""
        proxy_updates = run.proxy.updates or {}
        return cls(
            shape=run.target.shape,
            warmup_steps=run.warmup_steps,
            losses=tuple(
                CheckLosses(
                    step=target.step, proxy=proxy.validation_loss, target=target.validation_loss
                )
                for proxy, target in zip(
                    run.proxy.evaluations, run.target.evaluations, strict=False
                )
            ),
            updates={
                role: RelativeUpdates(proxy=proxy_updates.get(role), target=size)
                for role, size in (run.target.updates or {}).items()
            },
            clipped=ClippedShares(proxy=run.proxy.clipped_share, target=run.target.clipped_share),
            bracket=bracket_of(run),
            verdict=verdict.word,
            reasons=tuple(f"{c.name}: {c.reason}" for c in verdict.criteria),
            criteria=verdict.criteria,
            warnings=check_remarks(run),
        )


class TransferReport(ScalingReport):
    """A study's best base hyperparameters at a target: its settings, and whether they hold."""

    study: str
    """The study's name."""
    name: str
    """The target's name."""
    selection: Selection
    """The trial that was chosen, how sure that is, and whom it was preferred to."""
    hyperparameters: BaseHyperparameters
    """Its base hyperparameters."""
    cost: Cost
    """What tuning cost, beside the target's run."""
    check: CheckReport | None
    """The check run; None if there was none."""

    @property
    def passed(self) -> bool:
        """Whether no check failed; true where there was none."""
        return self.check is None or self.check.verdict == "pass"


def read_report(folder: Path) -> TransferReport | None:
    """The report that was written there last; None if there is none that can be read."""
    try:
        return TransferReport.model_validate_json((folder / "projection.json").read_bytes())
    except (OSError, ValueError):
        return None


def write_report(report: TransferReport, folder: Path) -> list[Path]:
    """Writes the report as YAML and as JSON; each file is replaced as a whole."""
    document = report.document()
    texts = {
        folder / "projection.yaml": yaml.safe_dump(document, sort_keys=False, allow_unicode=True),
        folder / "projection.json": json.dumps(
            document, indent=2, ensure_ascii=False, allow_nan=False
        )
        + "\n",
    }
    for path, text in texts.items():
        replace(path, partial(Path.write_text, data=text, encoding="utf-8"))
    return list(texts)
