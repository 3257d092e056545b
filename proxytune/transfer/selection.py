"""Which trial is best, and not just luckiest: the top few train again on fresh seeds."""

import math
from collections.abc import Sequence
from pathlib import Path

from proxytune.config.study import StudySpec
from proxytune.errors import RunError
from proxytune.packs.fixed import FixedPacks
from proxytune.packs.pack import Member, PackSpec
from proxytune.packs.selection import Candidate, Selection


def confirmation_packs(
    study: StudySpec, candidates: Sequence[Candidate], tokens: Path
) -> list[PackSpec]:
    """The candidates' training on fresh seeds: one pack per seed, with all candidates in it.

    A fresh seed means other initial weights and another order of batches.
    """
    seeds = range(study.seed + 1, study.seed + 1 + study.selection.seeds)
    return [
        PackSpec.of_experiment(
            study,
            f"confirmation-{seed}",
            [
                Member(number=c.number, seed=seed, hyperparameters=c.hyperparameters)
                for c in candidates
            ],
            parameterization=study.parameterization,
            tokens=tokens,
            seed=seed,
        )
        for seed in seeds
    ]


def select(study: str, candidates: Sequence[Candidate], packs: FixedPacks) -> Selection:
    """The candidates by their mean loss, once their packs have trained.

    Raises RunError if a pack was lost, since that says nothing about its candidates, or if every
    candidate diverged on some fresh seed.
    """
    if packs.lost:
        raise RunError(
            f"study {study!r}: {'; '.join(packs.lost)}; "
            f"try again with: proxytune study run {study}"
        )
    last = {
        c.number: [run.evaluations(c.number)[-1] for run in packs.runs.values()]
        for c in candidates
    }
    confirmed = [
        c.model_copy(
            update={
                "confirmed": tuple(
                    None if end.diverged else end.validation_loss for end in last[c.number]
                )
            }
        )
        for c in candidates
    ]
    confirmed.sort(key=lambda c: (c.mean, c.value))
    if math.isinf(confirmed[0].mean):
        raise RunError(
            f"study {study!r}: each of its best {len(confirmed)} trials diverged "
            "on a fresh seed; search lower learning rates"
        )
    return Selection.of(
        confirmed, tokens=sum(end.tokens for ends in last.values() for end in ends)
    )
