"""How MLflow's UI shows a study: what its page opens on, and the page's address.

MLflow keeps a view that is shared as a tag of the experiment: which charts there are, and how runs
are sorted. A version that does not know a part of it leaves that part out.
"""

import json
from typing import Any

from proxytune.config.study import StudySpec
from proxytune.records.tags import CHOSEN

VIEW = "proxytune"
"""The name of our view in the address of a page."""
VIEW_TAG = f"mlflow.sharedViewState.{VIEW}"
"""The tag of an experiment that holds it."""
SECTION = "proxytune-study"
MOST_CHARTS = 6
"""Hyperparameters that have a chart of their own: a tag has room for little."""
LOSS = "final_validation_loss"


def study_address(server: str, experiment: str) -> str:
    """The page of a study on a server: its runs and charts, by our view."""
    return (
        f"{server}/#/experiments/{experiment}/runs"
        f"?workflowType=machine_learning&compareRunsMode=CHART&viewStateShareKey={VIEW}"
    )


def study_view(study: StudySpec) -> str:
    """The view of a study, as VIEW_TAG holds it.

    Charts of loss against each hyperparameter, learning curves and parallel coordinates. All runs
    are shown; in their list, the chosen one is on top.
    """
    names = list(study.search.space)
    charts = [
        _chart(
            f"loss-{name}",
            type="SCATTER",
            xaxis={"key": name, "type": "PARAM"},
            yaxis={"key": LOSS, "type": "METRIC"},
            runsCountToCompare=1000,
        )
        for name in names[:MOST_CHARTS]
    ]
    charts += [
        _line("validation_loss"),
        _line("best_validation_loss"),
        _chart(
            "parallel",
            type="PARALLEL",
            selectedParams=names,
            selectedMetrics=[LOSS],
            showAllRuns=True,
        ),
    ]
    section = {"uuid": SECTION, "name": "Study", "display": True, "isReordered": False}
    state = {
        "compareRunCharts": charts,
        "compareRunSections": [section | {"deleted": False, "isGenerated": False}],
        "runsHiddenMode": "SHOWALL",
        "hideEmptyCharts": True,
        # With any order but that of time, runs are not folded into the study's own.
        "orderByKey": f"tags.`{CHOSEN}`",
        "orderByAsc": False,
    }
    return json.dumps(state, separators=(",", ":"))


def _line(metric: str) -> dict[str, Any]:
    return _chart(
        metric,
        type="LINE",
        metricKey=metric,
        selectedMetricKeys=[metric],
        xAxisKey="step",
        yAxisKey="metric",
        scaleType="linear",
        xAxisScaleType="linear",
        lineSmoothness=0,
        range={},
        yAxisExpressions=[],
        selectedXAxisMetricKey="",
    )


def _chart(name: str, **about: Any) -> dict[str, Any]:
    common = {"uuid": f"proxytune-{name}", "metricSectionId": SECTION, "deleted": False}
    return common | {"isGenerated": False, "runsCountToCompare": 100} | about
