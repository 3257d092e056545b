"""proxytune: tune on small GQA-μP proxies, train large.

The functions are the commands: `run_study`, `run_transfer`, `run_evidence`, … Each takes a file or
the spec itself, works in a `Workspace`, and returns the report that the command prints.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = [
    "LLAMA",
    "CoordinateReport",
    "EvidenceReport",
    "InputError",
    "PlanReport",
    "RunError",
    "Shape",
    "StudyReport",
    "StudySpec",
    "TargetSpec",
    "TransferReport",
    "Workspace",
    "forward_multipliers",
    "init_weights_",
    "make_plan",
    "param_groups",
    "run_coordinates",
    "run_evidence",
    "run_study",
    "run_transfer",
]

if TYPE_CHECKING:
    from proxytune.config.shape import Shape
    from proxytune.config.study import StudySpec
    from proxytune.config.target import TargetSpec
    from proxytune.coordinates.report import CoordinateReport
    from proxytune.errors import InputError, RunError
    from proxytune.evidence.report import EvidenceReport
    from proxytune.models.library import forward_multipliers, init_weights_, param_groups
    from proxytune.models.roles import LLAMA
    from proxytune.plan.report import PlanReport
    from proxytune.search.report import StudyReport
    from proxytune.transfer.report import TransferReport
    from proxytune.workflows.coordinates import run_coordinates
    from proxytune.workflows.evidence import run_evidence
    from proxytune.workflows.plan import make_plan
    from proxytune.workflows.studies import run_study
    from proxytune.workflows.transfer import run_transfer
    from proxytune.workflows.workspace import Workspace

_HOMES = {
    "CoordinateReport": "proxytune.coordinates.report",
    "EvidenceReport": "proxytune.evidence.report",
    "LLAMA": "proxytune.models.roles",
    "InputError": "proxytune.errors",
    "PlanReport": "proxytune.plan.report",
    "RunError": "proxytune.errors",
    "Shape": "proxytune.config.shape",
    "StudyReport": "proxytune.search.report",
    "StudySpec": "proxytune.config.study",
    "TargetSpec": "proxytune.config.target",
    "TransferReport": "proxytune.transfer.report",
    "Workspace": "proxytune.workflows.workspace",
    "make_plan": "proxytune.workflows.plan",
    "run_coordinates": "proxytune.workflows.coordinates",
    "run_evidence": "proxytune.workflows.evidence",
    "run_study": "proxytune.workflows.studies",
    "run_transfer": "proxytune.workflows.transfer",
}


if not TYPE_CHECKING:  # A checker would take every name for one that is there.

    def __getattr__(name: str) -> Any:
        """Loads what is asked for: `import proxytune` alone loads no torch.

        Raises InputError where a library that it needs is not installed.
        """
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from proxytune.libraries import libraries_in_words

        with libraries_in_words():
            return getattr(import_module(_HOMES.get(name, "proxytune.models.library")), name)
