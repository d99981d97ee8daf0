"""Reports of CVR bias. Matplotlib and templates are loaded when something is drawn."""

from mtl_seq.report.bias_report import BiasReport
from mtl_seq.report.estimator_study import EstimatorStudy
from mtl_seq.report.findings import CEILING, TRUTH, Estimate, Findings
from mtl_seq.report.gates import gate_summary, gate_warnings, plot_gates
from mtl_seq.report.study_inputs import usual_imputations, usual_propensities

__all__ = [
    "CEILING",
    "TRUTH",
    "BiasReport",
    "Estimate",
    "EstimatorStudy",
    "Findings",
    "gate_summary",
    "gate_warnings",
    "plot_gates",
    "usual_imputations",
    "usual_propensities",
]
