"""Whether a trainer took the settings: its own numbers, parameter by parameter, against ours.

Findings are by role, with the likely reason where the wrong number gives it away.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from proxytune.exports.document import ExportDocument, Group
from proxytune.exports.reasons import reason
from proxytune.exports.taken import Taken
from proxytune.exports.verdict import Finding, VerifyReport
from proxytune.models.portable import role_of, unwrapped

TOLERANCE = 1e-3
"""Relative difference below which two settings are the same: rounding, and no more."""
STD_TOLERANCE = 0.02
"""The same for a std, or five standard errors of its measurement, whichever is more."""
CONSTANT = 1e-3
"""A std below this is that of a constant."""
NO_ROLE = ""


@dataclass(frozen=True, slots=True)
class _Number:
    """A setting of one parameter, projected and as the trainer has it."""

    setting: str
    expected: float
    given: float

    def holds(self, count: int) -> bool:
        """Whether the two are the same, of a parameter with so many numbers."""
        if self.setting != "std":
            return math.isclose(self.given, self.expected, rel_tol=TOLERANCE)
        if self.expected == 0:
            return self.given < CONSTANT
        # The standard error of a measured std is 1/√(2n) of it.
        allowed = max(STD_TOLERANCE, 5 / math.sqrt(2 * count))
        return abs(self.given / self.expected - 1) < allowed


def verify(taken: Sequence[Taken], document: ExportDocument) -> VerifyReport:
    """Compares every parameter with the settings of its role."""
    patterns = {p: group.role for group in document.groups for p in group.patterns}
    by_role: dict[str, list[Taken]] = {}
    for parameter in taken:
        role = parameter.role or role_of(unwrapped(parameter.name), patterns) or NO_ROLE
        by_role.setdefault(role, []).append(parameter)
    groups = {group.role: group for group in document.groups}
    ratios = [
        p.lr / groups[role].lr
        for role, parameters in by_role.items()
        if role in groups
        for p in parameters
        if p.lr is not None
    ]
    of_all = _one_rate(taken, document) or _one_factor(ratios)
    findings = [of_all] if of_all else []
    for role, parameters in by_role.items():
        if role not in groups:
            names = ", ".join(p.name for p in parameters)
            says = f"{names}: the projection has no {role or 'role'} for this"
            findings.append(_finding(role, "name", parameters, says))
            continue
        found = _findings(groups[role], parameters, document)
        findings += [f for f in found if of_all is None or f.setting != "lr"]
    for role in groups.keys() - by_role.keys():
        if not role.endswith("bias"):
            says = f"{role}: no parameter is called {' or '.join(groups[role].patterns)}"
            findings.append(_finding(role, "name", [], says))
    return VerifyReport(
        study=document.study,
        target=document.target,
        trainer=document.trainer,
        parameters=len(taken),
        findings=tuple(findings),
    )


def _one_rate(taken: Sequence[Taken], document: ExportDocument) -> Finding | None:
    """That all parameters have one learning rate, where the projection has several."""
    given = {p.lr for p in taken if p.lr is not None}
    if len(given) != 1 or len({group.lr for group in document.groups}) == 1:
        return None
    (rate,) = given
    says = (
        f"all roles: every parameter has learning rate {rate:.4g}: a scheduler or the trainer has "
        "overwritten those of the groups; let it multiply each group's own"
    )
    return Finding(role=NO_ROLE, setting="lr", parameters=(), expected=None, given=rate, says=says)


def _one_factor(ratios: Sequence[float]) -> Finding | None:
    """That all learning rates are off by the same factor, given over projected."""
    lowest, highest = min(ratios, default=1.0), max(ratios, default=1.0)
    if math.isclose(highest, 1.0, rel_tol=TOLERANCE) or highest > lowest * (1 + TOLERANCE):
        return None
    says = (
        f"all roles: every learning rate is {highest:.4g} times what was projected: the peak is "
        "another, or a warm-up has begun"
    )
    return Finding(role=NO_ROLE, setting="lr", parameters=(), expected=None, given=None, says=says)


def _findings(
    group: Group, parameters: Sequence[Taken], document: ExportDocument
) -> Iterator[Finding]:
    """What is off at the parameters of one role, each setting once for each wrong number."""
    without = [p for p in parameters if p.lr is None]
    if without:
        says = f"{_label(group, without)}: no optimizer has {len(without)} of its parameters"
        yield _finding(group.role, "name", without, says)
    misshapen = [p for p in parameters if not _fits(group, p)]
    if misshapen:
        first = misshapen[0]
        says = (
            f"{_label(group, misshapen)}: shape {first.shape}, where the target has "
            f"{group.rows or 'any'} rows and {group.columns} columns"
        )
        yield _finding(group.role, "shape", misshapen, says)
    wrong: dict[tuple[str, str], list[tuple[Taken, _Number]]] = {}
    for parameter in parameters:
        for number in _numbers(group, parameter):
            if not number.holds(math.prod(parameter.shape)):
                # Measured stds differ a little from one parameter to the next.
                key = "" if number.setting == "std" else f"{number.given:.4g}"
                wrong.setdefault((number.setting, key), []).append((parameter, number))
    for (setting, _), pairs in wrong.items():
        at, number = [parameter for parameter, _ in pairs], pairs[0][1]
        why = reason(document, group, setting, number.given)
        says = f"{_label(group, at)}: {_off(number)}" + (f": {why}" if why else "")
        yield _finding(group.role, setting, at, says, number)


def _numbers(group: Group, parameter: Taken) -> Iterator[_Number]:
    """The settings of a parameter that the trainer tells."""
    beta1, beta2 = parameter.betas or (None, None)
    std = 0.0 if group.init_std is None else group.init_std
    pairs = {
        "lr": (group.lr, parameter.lr),
        "weight_decay": (group.weight_decay, parameter.weight_decay),
        "eps": (group.eps, parameter.eps),
        "beta1": (group.betas[0], beta1),
        "beta2": (group.betas[1], beta2),
        "std": (std, parameter.std),
    }
    for setting, (expected, given) in pairs.items():
        if given is not None:
            yield _Number(setting, expected, given)


def _fits(group: Group, parameter: Taken) -> bool:
    """Whether a matrix has the sides that its settings are for."""
    if group.columns is None:
        return True
    shape = parameter.shape
    rows_fit = group.rows is None or shape[:1] == (group.rows,)
    return len(shape) == 2 and rows_fit and shape[-1] == group.columns


def _off(number: _Number) -> str:
    """By how much a number is off."""
    name = {"weight_decay": "weight decay", "std": "init std"}.get(number.setting, number.setting)
    expected, given = number.expected, number.given
    if expected == 0 or given == 0 or number.setting.startswith("beta"):
        return f"{name} is {given:.4g} where it must be {expected:.4g}"
    ratio = given / expected
    factor, way = (ratio, "high") if ratio > 1 else (1 / ratio, "low")
    return f"{name} {factor:.3g} times too {way} ({given:.4g}, not {expected:.4g})"


def _label(group: Group, parameters: Sequence[Taken]) -> str:
    """The role, with what its matrices are called: "key (k_proj)"."""
    modules = [p.name.split(".")[-2] for p in parameters if "." in p.name]
    called = dict.fromkeys(module for module in modules if module != group.role)
    return f"{group.role} ({', '.join(called)})" if called else group.role


def _finding(
    role: str, setting: str, at: Sequence[Taken], says: str, number: _Number | None = None
) -> Finding:
    return Finding(
        role=role,
        setting=setting,
        parameters=tuple(parameter.name for parameter in at),
        expected=number and number.expected,
        given=number and number.given,
        says=says,
    )
