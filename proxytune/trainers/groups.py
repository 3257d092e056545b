"""groups.json, if a trainer writes it: what it trains with, against the projection."""

from pathlib import Path

from proxytune.errors import InputError
from proxytune.exports.build import Projected
from proxytune.exports.formats import FORMATS
from proxytune.exports.taken import load_taken
from proxytune.packs.pack import PackSpec
from proxytune.scaling.report import projection_report


def require_projected(file: Path, pack: PackSpec) -> None:
    """Raises InputError for groups that are not those of the projection, folded or not."""
    # Not before it is needed: it imports torch.
    from proxytune.exports.verify import verify

    taken = load_taken(file)
    found = min(
        (verify(taken, FORMATS["pytorch"].export(one).document) for one in _projected(pack)),
        key=lambda report: len(report.findings),
    )
    if not found.passed:
        raise InputError(f"{file}: {'; '.join(finding.says for finding in found.findings)}")


def _projected(pack: PackSpec) -> list[Projected]:
    (member,) = pack.members
    scaling = projection_report(
        member.hyperparameters,
        pack.base,
        pack.shape,
        pack.parameterization,
        clip_norm=pack.training.clip_norm,
    )
    return [
        Projected(
            study=pack.name,
            target=pack.name,
            scaling=scaling,
            training=pack.training,
            folded=folded,
        )
        for folded in (False, True)
    ]
