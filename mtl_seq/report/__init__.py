"""Reports of CVR bias. Matplotlib and templates are loaded when something is drawn."""

from mtl_seq.report.bias_report import BiasReport
from mtl_seq.report.describe import describe, describe_chunks, plot_description
from mtl_seq.report.description import Description
from mtl_seq.report.estimator_study import EstimatorStudy
from mtl_seq.report.findings import CEILING, TRUTH, Estimate, Findings
from mtl_seq.report.gates import gate_summary, gate_warnings, plot_gates
from mtl_seq.report.study_inputs import usual_imputations, usual_propensities

__all__ = [
    "CEILING",
    "TRUTH",
    "BiasReport",
    "Description",
    "Estimate",
    "EstimatorStudy",
    "Findings",
    "describe",
    "describe_chunks",
    "gate_summary",
    "gate_warnings",
    "plot_description",
    "plot_gates",
    "usual_imputations",
    "usual_propensities",
]
