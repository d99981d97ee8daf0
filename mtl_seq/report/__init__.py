"""Reports of CVR bias. Matplotlib and templates are loaded when something is drawn."""

from mtl_seq.report.bias_report import BiasReport
from mtl_seq.report.compute.metrics import Estimate
from mtl_seq.report.compute.result import CEILING, TRUTH, ReportResult
from mtl_seq.report.estimator_study.study import EstimatorStudy
from mtl_seq.report.estimator_study.study_inputs import usual_imputations, usual_propensities
from mtl_seq.report.expert_gates import gate_summary, gate_warnings, plot_gates
from mtl_seq.report.simulation.simulation_summary import SimulationSummary

__all__ = [
    "CEILING",
    "TRUTH",
    "BiasReport",
    "Estimate",
    "EstimatorStudy",
    "ReportResult",
    "SimulationSummary",
    "gate_summary",
    "gate_warnings",
    "plot_gates",
    "usual_imputations",
    "usual_propensities",
]


def __dir__() -> list[str]:
    return __all__
