"""What proxies of a target would cost, how long that takes here, and which to take."""

import textwrap
from pathlib import Path
from typing import Any

import yaml

from proxytune.config.data import DataSpec
from proxytune.config.experiment import BYTES_VOCABULARY
from proxytune.config.load import (
    load_study,
    loaded,
    require_scalable,
    told,
    validate,
)
from proxytune.config.shape import Shape
from proxytune.config.study import StudySpec
from proxytune.config.target import TargetSpec
from proxytune.errors import InputError, RunError
from proxytune.files import replace
from proxytune.libraries import libraries_in_words
from proxytune.packs.calibration import Calibration
from proxytune.packs.phase import Phase
from proxytune.plan.cost import Cost, study_runs, trial_flops
from proxytune.plan.estimate import estimate
from proxytune.plan.proxies import proxies
from proxytune.plan.report import (
    Machine,
    PlannedRuns,
    PlannedTarget,
    PlanReport,
    ProxyPlan,
    Suggestion,
    as_written,
)
from proxytune.plan.suggest import (
    LEAST_BATCH,
    LEAST_DEPTH,
    LEAST_LENGTH,
    LEAST_STEPS,
    Option,
    Rule,
    obstacles,
    reason,
    suggest,
)
from proxytune.plan.tables import TargetTokens
from proxytune.scaling.runs import run_remarks
from proxytune.targets.load import load_target
from proxytune.workflows.horizon import runs_between
from proxytune.workflows.workspace import Workspace

DEFAULT: dict[str, Any] = {
    "training": {"steps": LEAST_STEPS, "batch_size": LEAST_BATCH},
    "search": {
        "space": {
            "learning_rate": {"low": 0.002, "high": 0.1, "log": True},
            "weight_decay": {"low": 0.001, "high": 0.5, "log": True},
            "beta2": {"choices": [0.9, 0.95, 0.99]},
        }
    },
}
"""A study, unless the user has one: as long as transfer was seen to need."""


@libraries_in_words()
def make_plan(
    target: TargetSpec | str | Path,
    study: StudySpec | str | Path | None = None,
    workspace: Workspace | None = None,
    *,
    share: float = 0.05,
    hours: float = 24.0,
) -> PlanReport:
    """What studies on proxies of a target would cost here, and which one to take.

    `target` is a file that `load_target` reads, `study` a YAML file, or they are the specs
    themselves; the study's training, search and proxy are planned with, or else the defaults. The
    suggested proxy is the largest whose study costs at most `share` of the target's run and takes
    at most `hours`. A short training is all that runs, of the smallest proxy, unless one was
    measured before. Raises InputError for a target without smaller proxies, or one that no rule
    leads to from the study's proxy.

    A study on tokens, not bytes, takes the target's vocabulary and length if it names none.
    """
    goal = loaded(target, load_target)
    given = None if study is None else loaded(study, load_study)
    where = workspace or Workspace()
    rule = Rule(share=share, hours=hours)
    if given:
        require_scalable(given.proxy, goal.shape, told(target))
        given = _on_own_tokens(given, goal.shape, where)
    try:
        studies = _studies(goal, given)
    except InputError as error:
        raise InputError(f"{told(target)}: {error}") from None
    # Not before the input is known to be good: torch takes seconds to import.
    from proxytune.training.calibration import packs_here

    measured, calibration = _nearest_measured(where, studies)
    slots = packs_here(studies[0].execution)
    options = [
        Option(
            study=study,
            share=Cost.of(_flops(study), goal).share,
            estimate=estimate(study, measured, calibration, slots),
        )
        for study in studies
    ]
    chosen = suggest(options, rule)
    runs = runs_between(studies[chosen], goal, where)
    return PlanReport(
        target=PlannedTarget.of(goal),
        machine=Machine(
            device=calibration.device,
            packs_at_once=slots,
            pack_memory=calibration.memory,
            measured=measured.proxy.d_model,
        ),
        runs=PlannedRuns.of(studies[0]),
        proxies=tuple(_proxy_plan(option, rule) for option in options),
        rule=rule.text,
        suggestion=Suggestion(proxy=chosen, reason=reason(options, rule)),
        target_tokens=TargetTokens.of(studies[chosen].proxy, goal.shape),
        study=studies[chosen],
        # Multipliers alone: nothing is tuned yet.
        horizon=runs.horizon(None, goal.parameters / studies[chosen].proxy.count_parameters()),
        warnings=run_remarks(runs),
    )


def write_study(plan: PlanReport, path: Path) -> None:
    """Writes the suggested study. Raises RunError if the file cannot be written."""
    replace(path, lambda new: new.write_text(study_yaml(plan), encoding="utf-8"))


def study_yaml(plan: PlanReport) -> str:
    """The suggested study as a file, with a word on where it comes from."""
    told = f"A proxy for {plan.target.name}, by proxytune plan."
    if plan.study.data == DataSpec():
        told += (
            " The corpus is that of Python's own library; name yours under data. One token is one "
            f"byte, so vocab_size is 256; {plan.target_tokens.advice}."
        )
    head = "".join(f"# {line}\n" for line in textwrap.wrap(told, 95))
    return head + yaml.safe_dump(as_written(plan.study), sort_keys=False, allow_unicode=True)


def _on_own_tokens(study: StudySpec, target: Shape, workspace: Workspace) -> StudySpec:
    """A study on tokens, not bytes, with the target's vocabulary and length if it names none.

    The vocabulary is larger if the tokens need more.
    """
    if study.data.is_bytes:
        return study
    said = study.proxy.model_fields_set
    if "vocab_size" not in said:
        needed = workspace.with_vocabulary(study).proxy.vocab_size
        study = study.of_vocabulary(max(needed, target.vocab_size))
    if "seq_len" not in said:
        proxy = study.proxy.at(seq_len=target.seq_len)
        study = study.model_copy(update={"proxy": proxy})
    return study


def _studies(target: TargetSpec, given: StudySpec | None) -> list[StudySpec]:
    """Studies on proxies of the target, ascending in size; the given one among them."""
    depth = given.proxy.n_layers if given else LEAST_DEPTH
    length = given.proxy.seq_len if given else LEAST_LENGTH
    vocabulary = given.proxy.vocab_size if given else BYTES_VOCABULARY
    shapes = proxies(target.shape, depth, length, vocabulary)
    if given and given.proxy not in shapes:
        shapes = sorted([*shapes, given.proxy], key=Shape.count_parameters)
    rest = as_written(given) if given else DEFAULT
    of_one_shape = ("name", "proxy", "base")
    rest = {name: value for name, value in rest.items() if name not in of_one_shape}
    return [
        validate(
            StudySpec,
            {
                "name": f"{target.name[:50]}-width-{shape.d_model}",
                "proxy": shape.model_dump(mode="json"),
                **rest,
            },
            "plan",
        )
        for shape in shapes
    ]


def _nearest_measured(
    workspace: Workspace, studies: list[StudySpec]
) -> tuple[StudySpec, Calibration]:
    """The largest proxy that was measured before, or the smallest, measured now."""
    from proxytune.workflows.calibration import calibration_of, kept

    home = workspace.paths
    for study in reversed(studies):
        found = kept(home.calibrations, study.proxy, study.training, study.execution)
        if found is not None and found.speeds:
            return study, found
    smallest = studies[0]
    place = (home.calibrations, smallest.proxy, smallest.training, smallest.execution)
    workspace.on_phase(Phase("measuring speed and memory"))
    calibration = calibration_of(*place)
    if not calibration.speeds:
        raise RunError(
            f"not even the smallest proxy, of d_model {smallest.proxy.d_model}, fits into memory: "
            f"{smallest.training.batch_size} sequences of {smallest.proxy.seq_len} tokens do not "
            f"train in {calibration.memory / 1e9:.3g} GB; plan with a study of a smaller "
            "training.batch_size or proxy.seq_len"
        )
    return smallest, calibration


def _flops(study: StudySpec) -> float:
    return study_runs(study) * trial_flops(study)


def _proxy_plan(option: Option, rule: Rule) -> ProxyPlan:
    study, estimated = option.study, option.estimate
    return ProxyPlan(
        shape=study.proxy,
        parameters=study.proxy.count_parameters(),
        trial_flops=trial_flops(study),
        study_flops=_flops(study),
        share=option.share,
        member_memory=estimated.member_memory,
        pack_size=estimated.pack_size,
        hours=estimated.hours,
        fits=estimated.fits,
        measured=estimated.measured,
        obstacles=tuple(obstacles(option, rule)),
    )
