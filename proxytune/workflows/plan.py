"""What proxies of a target would cost, how long that takes here, and which to take."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.config.load import load_study, load_target, require_scalable, validate
from proxytune.config.shape import Shape
from proxytune.config.study import StudySpec
from proxytune.config.target import TargetSpec
from proxytune.errors import InputError, RunError
from proxytune.files import replace
from proxytune.home import Home
from proxytune.packs.calibration import Calibration
from proxytune.plan.cost import cost_document, study_runs, trial_flops
from proxytune.plan.estimate import estimate
from proxytune.plan.proxies import proxies
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
from proxytune.training.calibration import packs_here
from proxytune.workflows.calibration import calibration_of, kept

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


def make_plan(
    folder: Path, target_file: Path, study_file: Path | None, share: float, hours: float
) -> dict[str, Any]:
    """The plan as a document; `study` in it is the suggested study, as a user would write it.

    A short training is all that runs, of the smallest proxy, unless one was measured before.
    """
    home, rule = Home.writable(folder), Rule(share=share, hours=hours)
    target = load_target(target_file)
    given = load_study(study_file) if study_file else None
    if given:
        require_scalable(given.proxy, target.shape, target_file)
    try:
        documents = _documents(target, given)
    except InputError as error:
        raise InputError(f"{target_file}: {error}") from None
    studies = [validate(StudySpec, document, "plan") for document in documents]
    measured, calibration = _nearest_measured(home, studies)
    slots = packs_here(studies[0].execution)
    options = [
        Option(
            study=study,
            share=cost_document(_flops(study), target)["share"],
            estimate=estimate(study, measured, calibration, slots),
        )
        for study in studies
    ]
    chosen = suggest(options, rule)
    return {
        "target": {
            "name": target.name,
            "shape": target.shape.model_dump(),
            "parameters": target.shape.count_parameters(),
            "tokens": target.tokens,
            "flops": target.flops,
        },
        "machine": {
            "device": calibration.device,
            "packs_at_once": slots,
            "pack_memory": calibration.memory,
            "measured": measured.proxy.d_model,
        },
        "runs": {
            "trials": studies[0].search.trials,
            "confirmation": study_runs(studies[0]) - studies[0].search.trials,
            "steps": studies[0].training.steps,
            "tokens": studies[0].training.tokens(studies[0].proxy.seq_len),
        },
        "proxies": [_option_document(option, rule) for option in options],
        "rule": rule.text,
        "suggestion": {"proxy": chosen, "reason": reason(options, rule)},
        "study": documents[chosen],
    }


def write_study(document: dict[str, Any], path: Path) -> None:
    """Writes the suggested study. Raises RunError if the file cannot be written."""
    replace(path, lambda new: new.write_text(study_yaml(document), encoding="utf-8"))


def study_yaml(document: dict[str, Any]) -> str:
    """The suggested study as a file, with a word on where it comes from."""
    name = document["target"]["name"]
    head = (
        f"# A proxy for {name}, by proxytune plan. The corpus is that of Python's own library;\n"
    )
    more = "# name yours under data.text. One token is one byte, so vocab_size is 256.\n"
    return head + more + yaml.safe_dump(document["study"], sort_keys=False, allow_unicode=True)


def _documents(target: TargetSpec, given: StudySpec | None) -> list[dict[str, Any]]:
    """Studies on proxies of the target, ascending in size; the given one among them."""
    depth = given.proxy.n_layers if given else LEAST_DEPTH
    length = given.proxy.seq_len if given else LEAST_LENGTH
    shapes = proxies(target.shape, depth, length)
    if given and given.proxy not in shapes:
        shapes = sorted([*shapes, given.proxy], key=Shape.count_parameters)
    rest = _without_shape(given) if given else DEFAULT
    return [
        {
            "name": f"{target.name[:50]}-width-{shape.d_model}",
            "proxy": shape.model_dump(mode="json"),
            **rest,
        }
        for shape in shapes
    ]


def _without_shape(study: StudySpec) -> dict[str, Any]:
    """What the user wrote, without what belongs to the one shape."""
    written = study.model_dump(
        mode="json", exclude_unset=True, exclude={"name", "proxy", "base", "hyperparameters"}
    )
    own = BaseHyperparameters.defaults_at(study.base.d_model)
    fixed = study.hyperparameters.model_dump(exclude_defaults=True)
    fixed = {name: value for name, value in fixed.items() if value != own["init_std"]}
    return written | ({"hyperparameters": fixed} if fixed else {})


def _nearest_measured(home: Home, studies: list[StudySpec]) -> tuple[StudySpec, Calibration]:
    """The largest proxy that was measured before, or the smallest, measured now."""
    for study in reversed(studies):
        found = kept(home.calibrations, study.proxy, study.training, study.execution)
        if found is not None and found.speeds:
            return study, found
    smallest = studies[0]
    place = (home.calibrations, smallest.proxy, smallest.training, smallest.execution)
    calibration = calibration_of(*place)
    if not calibration.speeds:
        raise RunError("not even the smallest proxy fits into the memory of this machine")
    return smallest, calibration


def _flops(study: StudySpec) -> float:
    return study_runs(study) * trial_flops(study)


def _option_document(option: Option, rule: Rule) -> dict[str, Any]:
    study = option.study
    return {
        "shape": study.proxy.model_dump(),
        "parameters": study.proxy.count_parameters(),
        "trial_flops": trial_flops(study),
        "study_flops": _flops(study),
        "share": option.share,
        **asdict(option.estimate),
        "obstacles": obstacles(option, rule),
    }
