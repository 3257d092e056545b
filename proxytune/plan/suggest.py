"""Which proxy to take: a rule, and why it says so."""

from collections.abc import Sequence
from dataclasses import dataclass

from proxytune.config.study import StudySpec
from proxytune.plan.estimate import Estimate

LEAST_WIDTH, LEAST_DEPTH = 256, 4
LEAST_BATCH, LEAST_LENGTH, LEAST_STEPS = 32, 128, 5000
SOURCE = "arXiv 2203.03466, section 6.1"
"""Yang et al. (Tensor Programs V): where transfer was seen to hold, proxies had at least these."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What a study may take."""

    share: float
    """Of the target's run."""
    hours: float
    """On this machine."""

    @property
    def text(self) -> str:
        """The rule in words."""
        return (
            f"the largest proxy whose study costs at most {100 * self.share:g}% of the target's "
            f"run, fits into memory and takes at most {self.hours:g} hours here; else the smallest"
        )


@dataclass(frozen=True, slots=True)
class Option:
    """A study on one proxy."""

    study: StudySpec
    share: float | None
    """Of the target's run; None without a token budget."""
    estimate: Estimate

    @property
    def width(self) -> int:
        """Names it, to people."""
        return self.study.proxy.d_model


def suggest(options: Sequence[Option], rule: Rule) -> int:
    """The index of the option to take, of options in ascending size."""
    good = [i for i, option in enumerate(options) if not obstacles(option, rule)]
    return good[-1] if good else 0


def obstacles(option: Option, rule: Rule) -> list[str]:
    """Why the rule leaves an option out."""
    found = []
    if option.share is not None and option.share > rule.share:
        found.append(f"costs {100 * option.share:.2g}% of the run")
    if not option.estimate.fits:
        found.append("does not fit into memory")
    if option.estimate.hours > rule.hours:
        found.append(f"takes {option.estimate.hours:.3g} hours")
    return found


def reason(options: Sequence[Option], rule: Rule) -> str:
    """Why it is this one, in a sentence; and another if it is small for transfer."""
    index = suggest(options, rule)
    option = options[index]
    against = obstacles(option, rule)
    if against:
        told = f"d_model {option.width} is the smallest, though it {' and '.join(against)}"
    elif index + 1 < len(options):
        larger = options[index + 1]
        told = (
            f"d_model {option.width} is the largest that the rule allows: {larger.width} "
            f"{' and '.join(obstacles(larger, rule))}"
        )
    else:
        told = f"d_model {option.width} is the largest, and within the rule"
    if option.share is None:
        told += "; the target names no tokens, so its run is not compared"
    return f"{told}.{_too_small(option.study)}"


def _too_small(study: StudySpec) -> str:
    sizes = {
        f"width {study.proxy.d_model}": (study.proxy.d_model, LEAST_WIDTH),
        f"depth {study.proxy.n_layers}": (study.proxy.n_layers, LEAST_DEPTH),
        f"batch {study.training.batch_size}": (study.training.batch_size, LEAST_BATCH),
        f"length {study.proxy.seq_len}": (study.proxy.seq_len, LEAST_LENGTH),
        f"{study.training.steps} steps": (study.training.steps, LEAST_STEPS),
    }
    small = [
        f"{name} (less than {least})" for name, (size, least) in sizes.items() if size < least
    ]
    if not small:
        return ""
    return f" Smaller than where transfer was seen to hold ({SOURCE}): {', '.join(small)}."
