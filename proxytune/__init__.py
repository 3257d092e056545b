"""proxytune: tune on small GQA-μP proxies, train large.

The functions are the commands: `run_study`, `run_transfer`, `run_evidence`, … Each takes a file or
the spec itself, works in a `Workspace`, and returns the report that the command prints.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = [
    "LLAMA",
    "ComparisonReport",
    "CoordinateReport",
    "EvidenceReport",
    "ExportReport",
    "InputError",
    "PageReport",
    "PlanReport",
    "RunError",
    "Shape",
    "StudyReport",
    "StudySpec",
    "TargetSpec",
    "TransferReport",
    "VerifyReport",
    "Workspace",
    "compare_studies",
    "enqueue_points",
    "extend_study",
    "forward_multipliers",
    "init_weights_",
    "load_projection",
    "make_plan",
    "param_groups",
    "record_check",
    "run_coordinates",
    "run_evidence",
    "run_export",
    "run_report",
    "run_study",
    "run_transfer",
    "run_verify",
    "write_check_settings",
]

if TYPE_CHECKING:
    from proxytune.comparison.report import ComparisonReport
    from proxytune.config.shape import Shape
    from proxytune.config.study import StudySpec
    from proxytune.config.target import TargetSpec
    from proxytune.coordinates.report import CoordinateReport
    from proxytune.errors import InputError, RunError
    from proxytune.evidence.report import EvidenceReport
    from proxytune.exports.load import load_projection
    from proxytune.exports.report import ExportReport
    from proxytune.exports.verdict import VerifyReport
    from proxytune.models.library import forward_multipliers, init_weights_, param_groups
    from proxytune.plan.report import PlanReport
    from proxytune.reports.report import PageReport
    from proxytune.scaling.names import LLAMA
    from proxytune.search.report import StudyReport
    from proxytune.transfer.report import TransferReport
    from proxytune.workflows.check import record_check, write_check_settings
    from proxytune.workflows.coordinates import run_coordinates
    from proxytune.workflows.evidence import run_evidence
    from proxytune.workflows.exports import run_export, run_verify
    from proxytune.workflows.growth import compare_studies, enqueue_points, extend_study
    from proxytune.workflows.plan import make_plan
    from proxytune.workflows.reports import run_report
    from proxytune.workflows.studies import run_study
    from proxytune.workflows.transfer import run_transfer
    from proxytune.workflows.workspace import Workspace

_HOMES = {
    "ComparisonReport": "proxytune.comparison.report",
    "CoordinateReport": "proxytune.coordinates.report",
    "EvidenceReport": "proxytune.evidence.report",
    "ExportReport": "proxytune.exports.report",
    "LLAMA": "proxytune.scaling.names",
    "InputError": "proxytune.errors",
    "PageReport": "proxytune.reports.report",
    "PlanReport": "proxytune.plan.report",
    "RunError": "proxytune.errors",
    "Shape": "proxytune.config.shape",
    "StudyReport": "proxytune.search.report",
    "StudySpec": "proxytune.config.study",
    "TargetSpec": "proxytune.config.target",
    "TransferReport": "proxytune.transfer.report",
    "VerifyReport": "proxytune.exports.verdict",
    "Workspace": "proxytune.workflows.workspace",
    "compare_studies": "proxytune.workflows.growth",
    "enqueue_points": "proxytune.workflows.growth",
    "extend_study": "proxytune.workflows.growth",
    "load_projection": "proxytune.exports.load",
    "make_plan": "proxytune.workflows.plan",
    "record_check": "proxytune.workflows.check",
    "run_coordinates": "proxytune.workflows.coordinates",
    "run_evidence": "proxytune.workflows.evidence",
    "run_export": "proxytune.workflows.exports",
    "run_report": "proxytune.workflows.reports",
    "run_study": "proxytune.workflows.studies",
    "run_transfer": "proxytune.workflows.transfer",
    "run_verify": "proxytune.workflows.exports",
    "write_check_settings": "proxytune.workflows.check",
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
