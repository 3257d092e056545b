"""The page of a study: its answer first, then what the answer rests on."""

import shlex
from collections.abc import Sequence

import yaml

from proxytune.packs.selection import Candidate, Selection
from proxytune.packs.trial import TrialRecord, TrialState, best_of
from proxytune.reports.figures import MOST, MOST_IN_CONTOUR, study_figures
from proxytune.reports.page import Code, Drawing, Page, Part, Section, Table, Text, Warnings
from proxytune.reports.report import Origin
from proxytune.reports.transfer import transfer_section
from proxytune.reports.words import duration, loss, lowest_so_far, number, sentence, shape_in_words
from proxytune.search.report import StudyReport
from proxytune.transfer.report import TransferReport

HEADINGS = {
    "losses": (
        "Loss against each hyperparameter",
        "Points: one trial each. Star: the chosen point, at its mean loss on fresh seeds. Band "
        "across: that mean ± one standard error. Band upright: where the optimum lies with a "
        "probability of 80 %. Crosses at the upper edge diverged. Double-click to see all losses.",
    ),
    "history": ("History", "Loss of each trial, and the lowest so far."),
    "slices": ("Slices", "Loss against each hyperparameter; later trials are darker."),
    "contour": (
        "The two hyperparameters that matter most",
        "Loss between the trials (points), as Optuna interpolates it; the star is the chosen "
        "point.",
    ),
    "importance": (
        "Importance",
        "How much each hyperparameter tells the best trials from the others (PED-ANOVA).",
    ),
    "parallel": ("Parallel coordinates", "One line per trial. Drag along an axis to select."),
    "curves": ("Learning curves", "One line per trial; the chosen trial stands out."),
}
"""Each figure's heading and caption."""
MOST_ROWS = 500
"""Trials in the table of all trials."""


def study_page(
    study: StudyReport,
    trials: Sequence[TrialRecord],
    transfers: Sequence[TransferReport],
    origin: Origin,
    remarks: Sequence[str] = (),
) -> Page:
    """The page of a study and of its transfers; `remarks` are further warnings."""
    space = study.spec.search.space
    finished = [trial for trial in trials if trial.state.finished]
    if study.selection is None:
        answer = lowest_so_far(best_of(trials), len(finished), study.spec.search.trials)
    else:
        answer = sentence(study.selection, space)
    sections = [
        *_warnings(study, finished, remarks),
        *_figures(study, trials),
        *_confirmation(study),
        *(transfer_section(transfer) for transfer in transfers),
        _cost(study, finished),
        *_all_trials(study, finished),
        _reproduce(study, transfers, origin),
    ]
    return Page(study.study, f"Study {study.study}", answer, tuple(sections), origin.footer)


def _warnings(
    study: StudyReport, finished: Sequence[TrialRecord], remarks: Sequence[str]
) -> list[Section]:
    lines = list(remarks)
    if study.state != "complete":
        lines.append(
            "the study is not complete: this page shows one moment of it; finish it with: "
            f"proxytune study run {study.study}"
        )
    if study.selection is not None:
        lines += study.selection.remarks
    diverged = sum(trial.state is TrialState.DIVERGED for trial in finished)
    if diverged:
        lines.append(f"{diverged} of {len(finished)} trials diverged")
    vocab_size = study.spec.proxy.vocab_size
    if any(trial.curve and trial.curve[0].starts_high(vocab_size) for trial in finished):
        lines.append(
            "trials start far above the loss of a uniform guess: their logits are too large; "
            "tune with a smaller output_multiplier"
        )
    lines += [f"trial {t.number} failed: {t.reason}" for t in finished if t.reason is not None]
    return [Section("Warnings", (Warnings(tuple(lines)),))] if lines else []


def _figures(study: StudyReport, trials: Sequence[TrialRecord]) -> list[Section]:
    figures = study_figures(study.spec, trials, study.selection)
    return [
        Section(HEADINGS[name][0], (Drawing(name, figure, _caption(name, len(trials))),))
        for name, figure in figures.items()
    ]


def _caption(name: str, trials: int) -> str:
    """What a figure shows, and of how many trials if not of all."""
    most = {"contour": MOST_IN_CONTOUR, "slices": MOST, "parallel": MOST, "curves": MOST}
    caption = HEADINGS[name][1]
    if trials <= most.get(name, trials):
        return caption
    return f"{caption} Only the {most[name]} trials of the lowest loss are drawn."


def _confirmation(study: StudyReport) -> list[Section]:
    """All that trained on fresh seeds; the chosen one and its equals stand out."""
    selection = study.selection
    if selection is None or not selection.best.confirmed:
        return []
    names = list(study.spec.search.space)
    rows = tuple(_candidate(candidate, selection, names) for candidate in selection.candidates)
    headings = ("candidate", *names, "in the search", "mean", "standard error", "fresh seeds", "")
    told = Text(
        "The best of many trials is partly lucky, so the best candidates trained on fresh seeds: "
        "other initial weights and another order of batches."
    )
    return [Section("Confirmation", (told, Table(headings, rows, frozenset({0}))))]


def _candidate(one: Candidate, selection: Selection, names: Sequence[str]) -> tuple[str, ...]:
    note = "chosen" if one is selection.best else "equal within noise" if one.equal else ""
    return (
        one.name,
        *(number(getattr(one.hyperparameters, name)) for name in names),
        loss(one.value),
        loss(None if None in one.confirmed else one.mean),
        "–" if one.standard_error is None else f"{one.standard_error:.4f}",
        ", ".join("diverged" if value is None else loss(value) for value in one.confirmed),
        note,
    )


def _cost(study: StudyReport, finished: Sequence[TrialRecord]) -> Section:
    rows = [
        ("training of trials", f"{study.flops.trials:.3g} FLOPs"),
        ("training on fresh seeds", f"{study.flops.confirmation:.3g} FLOPs"),
        ("tokens of trials", f"{sum(trial.tokens for trial in finished):,}"),
        ("time of trials, one after another", duration(sum(trial.seconds for trial in finished))),
    ]
    if study.pack_size is not None:
        rows.append(("trials that train at the same time, as one pack", str(study.pack_size)))
    if study.corpus is not None:
        rows.append(("corpus", study.corpus.text))
    return Section("Cost", (Table(("", ""), tuple(rows)),))


def _all_trials(study: StudyReport, finished: Sequence[TrialRecord]) -> list[Section]:
    if not finished:
        return []
    names = list(study.spec.search.space)
    best_first = sorted(finished, key=lambda t: (t.value is None, t.value or 0.0, t.number))
    chosen = None if study.selection is None else study.selection.trial
    shown = best_first[:MOST_ROWS]
    rows = tuple(
        (
            str(trial.number),
            str(trial.state),
            loss(trial.value),
            *(number(trial.params.get(name)) for name in names),
            f"{trial.seconds:.1f}",
        )
        for trial in shown
    )
    marked = frozenset(nth for nth, trial in enumerate(shown) if trial.number == chosen)
    count = f"the best {len(shown)} of {len(finished)}" if len(shown) < len(finished) else "all"
    headings = ("trial", "state", "validation loss", *names, "seconds")
    return [
        Section("Trials", (Table(headings, rows, marked, f"Show {count} trials, best first"),))
    ]


def _reproduce(study: StudyReport, transfers: Sequence[TransferReport], origin: Origin) -> Section:
    """The study's file and the commands."""
    file = f"{study.study}.yaml"
    home = f" --home {shlex.quote(origin.home)}"
    commands = [
        f"proxytune study create {file}",
        *(f"proxytune transfer --target {t.name}.yaml --study {t.study}" for t in transfers),
        f"proxytune report {study.study} --to {study.study}.html",
    ]
    spec = study.spec.model_dump(mode="json", exclude_none=True)
    text = yaml.safe_dump(spec, sort_keys=False, allow_unicode=True)
    corpus = (
        "" if study.corpus is None else f"# corpus: {study.corpus.text}, {study.corpus.digest}\n"
    )
    parts: tuple[Part, ...] = (
        Text(
            f"proxytune {origin.version}; proxy: {shape_in_words(study.spec.proxy)}; "
            f"parameterization: {study.spec.parameterization.name}."
        ),
        Code("\n".join(command + home for command in commands)),
        Code(corpus + text, folded=f"Show {file}, with every default"),
    )
    return Section("How to reproduce it", parts)
