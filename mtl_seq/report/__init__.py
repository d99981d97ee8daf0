"""Reports of CVR bias. Matplotlib and templates are loaded when something is drawn."""

from mtl_seq.report.bias_report import CEILING, TRUTH, BiasReport, Estimate

__all__ = ["CEILING", "TRUTH", "BiasReport", "Estimate"]
