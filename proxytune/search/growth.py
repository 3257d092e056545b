"""How a study grows: more trials, a wider space, points to try; and what may not change."""

from collections.abc import Iterator, Mapping, Sequence

from proxytune.config.load import validate
from proxytune.config.search import Choices, Point, SpaceEntry
from proxytune.config.study import StudySpec
from proxytune.errors import InputError
from proxytune.packs.selection import Selection, candidates
from proxytune.packs.trial import TrialRecord

Space = Mapping[str, SpaceEntry]


def grown(spec: StudySpec, trials: int, space: Space | None = None) -> StudySpec:
    """The definition with so many trials more, in a space that is as wide or wider.

    Raises InputError for a space that leaves out what was searched, or searches something else.
    """
    if space is not None and (reasons := list(_narrower(spec.search.space, space))):
        raise InputError(
            f"study = {spec.name!r}: its space can only grow: {'; '.join(reasons)}; for another "
            f"space, create another study with start_from: {spec.name}, which tries the best "
            "points of this one first"
        )
    wider = {"trials": spec.search.trials + trials}
    search = spec.search.model_copy(update=wider | ({"space": dict(space)} if space else {}))
    # Ends of a range that the hyperparameter cannot have are refused as in a file.
    document = spec.model_dump(mode="json") | {"search": search.model_dump(mode="json")}
    return validate(StudySpec, document, f"study {spec.name!r}")


def how_to_grow(stored: StudySpec, given: StudySpec) -> str:
    """What the owner of another definition of the same name can do, as the end of a sentence."""
    name, more = stored.name, given.search.trials - stored.search.trials
    wider = stored.search.space != given.search.space
    fits = not list(_narrower(stored.search.space, given.search.space))
    changes = {"trials": given.search.trials, "space": given.search.space}
    alike = stored.model_copy(update={"search": stored.search.model_copy(update=changes)}) == given
    if alike and fits and more >= 0:
        space = " --space FILE" if wider else ""
        return f"make it grow with: proxytune study extend {name} --trials {max(more, 1)}{space}"
    if alike and not wider:
        trials = stored.search.trials
        return f"it has {trials} trials by now; run it with: proxytune study run {name}"
    return f"choose another name; start_from: {name} tries the best points of this one first"


def _narrower(old: Space, new: Space) -> Iterator[str]:
    """Where a space does not hold another, in words."""
    for name in [*old, *(name for name in new if name not in old)]:
        before, after = old.get(name), new.get(name)
        if before is None:
            yield f"{name} was not searched"
        elif after is None:
            yield f"{name} is missing"
        elif isinstance(before, Choices) or isinstance(after, Choices):
            if before != after:
                yield f"{name} cannot change its choices"
        elif before.log != after.log:
            yield f"{name}.log must stay {str(before.log).lower()}"
        elif after.low > before.low or after.high < before.high:
            yield f"{name} must hold {before.low:g} to {before.high:g}"


def best_points(
    other: StudySpec,
    selection: Selection | None,
    trials: Sequence[TrialRecord],
    spec: StudySpec,
) -> list[Point]:
    """The best points of another study that lie in this one's space, best first.

    As many as the other study would confirm. Of hyperparameters that both search, the values are
    taken as they are. Raises InputError where there are none.
    """
    names = [name for name in spec.search.space if name in other.search.space]
    confirmed = [] if selection is None else selection.candidates
    ranked = [one.hyperparameters for one in (*confirmed, *candidates(trials))]
    points = [{name: getattr(hp, name) for name in names} for hp in ranked if names]
    inside = [p for p in points if not list(spec.search.misfits(p))]
    most = min(other.selection.top, spec.search.trials - len(spec.search.start))
    chosen = [point for i, point in enumerate(inside) if point not in inside[:i]][:most]
    if chosen or most == 0:
        return chosen
    if not ranked:
        says = "has no trial with a finite loss"
    elif not names:
        says = f"searches none of {', '.join(spec.search.space)}"
    else:
        says = "has no good point inside of search.space"
    raise InputError.of_field("start_from", other.name, says)
