"""A study's outcome in a few lines of Markdown, for stores that show it beside its runs."""

from collections.abc import Sequence

from proxytune.packs.selection import Candidate, Selection
from proxytune.reports.words import loss, number, sentence, shape_in_words
from proxytune.search.report import StudyReport


def study_note(study: StudyReport, selection: Selection) -> str:
    """The answer, the candidates as a table, what to know, and what was searched on."""
    names = list(study.spec.search.space)
    parts = [
        # Short: MLflow shows one line of it above the runs.
        f"**{sentence(selection, names, ranges=False)}**",
        *_ranges(selection),
        _candidates(selection, names),
        *(f"Warning: {remark}" for remark in selection.remarks),
        f"{len(study.trials)} trials of proxies of {shape_in_words(study.spec.proxy)}, "
        f"{study.spec.parameterization.name}; {study.flops.total:.3g} FLOPs.",
    ]
    return "\n\n".join(parts)


def _ranges(selection: Selection) -> list[str]:
    told = [f"{of} {number(a)} to {number(b)}" for of, (a, b) in selection.interval.items()]
    return [f"With a probability of 80 %, the optimum lies at {', '.join(told)}."] if told else []


def _candidates(selection: Selection, names: Sequence[str]) -> str:
    headings = ("candidate", *names, "in the search", "on fresh seeds")
    rows = [headings, ["---"] * len(headings)]
    rows += [_row(candidate, selection, names) for candidate in selection.candidates]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _row(one: Candidate, selection: Selection, names: Sequence[str]) -> tuple[str, ...]:
    if not one.confirmed:
        fresh = "–"
    elif None in one.confirmed:
        fresh = "diverged"
    else:
        error = one.standard_error
        fresh = loss(one.mean) + ("" if error is None else f" ± {error:.4f}")
    return (
        f"**{one.name}** (chosen)" if one is selection.best else one.name,
        *(number(getattr(one.hyperparameters, name)) for name in names),
        loss(one.value),
        fresh,
    )
