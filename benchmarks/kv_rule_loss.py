"""What the K/V rule costs or gains in loss, from the curves of `studies/evidence/kv*.yaml`.

    python benchmarks/kv_rule_loss.py .proxytune/evidence/kv/evidence.json …

The best multiplier at repeat factor 1, chosen by all seeds but one, is carried to repeat factor r
unchanged (`none`) and times s(r) = (1 + √r)/2 (`paper`), and both are judged on the seed that was
left out. Printed is the loss of paper less that of none, with its paired 95% t-interval.
"""

import sys
from pathlib import Path

import numpy as np

from proxytune.config.axis import coordinate
from proxytune.evidence.curve import loss_at, optimum
from proxytune.evidence.findings import log2_s
from proxytune.evidence.report import EvidenceReport
from proxytune.intervals import paired


def main(files: list[str]) -> None:
    for file in files:
        report = EvidenceReport.model_validate_json(Path(file).read_text(encoding="utf-8"))
        x_P = np.array(report.spec.grid.log2_values())
        (found,) = report.parameterizations.values()
        losses = [
            np.array([point.loss for point in curve], dtype=np.float64).T
            for curve in found.curves.values()
        ]
        for shape, loss_SxP in zip(report.spec.shapes(), losses, strict=True):
            repeat = coordinate("repeat", shape)
            differences = []
            for seed, loss_P in enumerate(loss_SxP):
                x = optimum(x_P, np.delete(losses[0], seed, axis=0).mean(axis=0)).x
                paper = x + float(log2_s(np.array([repeat]))[0])
                differences.append(loss_at(x_P, loss_P, paper) - loss_at(x_P, loss_P, x))
            gain = paired(np.array(differences)).interval
            told = f"{gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]"
            print(f"{report.evidence} r={repeat}: {told} nats")


if __name__ == "__main__":
    main(sys.argv[1:])
