"""Definitions of a report's columns and sections."""

from mtl_seq.report.compute.bootstrap import LEVEL
from mtl_seq.report.compute.result import CEILING, ReportResult

__all__ = ["glossary"]

_SHARED = {
    "AUC": "probability that a converting impression scores above one that does not",
    "[low, high]": f"{LEVEL:.0%} CI from a bootstrap of the users, the same resamples for every "
    "model",
    "against the control": "a model's metric minus the control's on the same rows, with the CI of "
    "that paired difference",
    "|relative bias|": "distance of the relative bias from 0; a negative difference: less biased "
    "than the control, whatever the sign of either",
    "effective sample size": "of the clicks weighted by 1 / propensity; far below the number of "
    "clicks, estimates with such weights are unreliable",
    "clipped share": "share of the clicks whose propensity is below the 1% quantile over all "
    "impressions, the floor of counterfactual models",
    "psi": "odds ratio of click and potential conversion given the features: 1 without hidden "
    "confounding, above 1 where users who would convert click more often; not identified from a "
    "log",
    "small groups": "fewer than 20 users, or of labels fewer than 30 positives; their intervals "
    "are unreliable",
    "n/a": "not defined; the reasons are listed below the table",
}


def glossary(report: ReportResult) -> dict[str, str]:
    """Definitions by term, of the terms of this report."""
    if not report.has_truth:
        return {
            "all / clicks": "the impressions that a metric is computed on",
            "PCOC": "predicted over observed clicks or conversions; unbiased at 1",
            "ECE": "mean distance between predicted and observed rates over 20 bins of equal mass; "
            "above 0 also for the truth, since labels scatter: its expectation for unbiased "
            "predictions is printed below it",
            **_SHARED,
        }
    gap = {
        "gap closed": "share of the log loss between the naive model (0) and the oracle (1), which "
        "is trained on potential outcomes, that a model closes"
    }
    return {
        "all / clicks / non-clicks": "the impressions that a metric is computed on",
        "target": "the true CVR over all impressions; on clicks P(r | x, click), on non-clicks "
        "P(r | x, no click), with r the potential conversion after a click. These are "
        "probabilities, so metrics carry no label noise",
        "PCOC": "mean prediction over mean target; unbiased at 1",
        "ECE": "mean distance between prediction and target over 20 bins of equal mass",
        "relative bias": "mean prediction over mean target, minus 1",
        "log loss": "expected cross-entropy against the true CVR; least for the truth",
        "RMSE": "root mean squared error against the true CVR",
        **(gap if report.has_gap else {}),
        CEILING: "the true CVR among clicks given everything in the log: the best that a method "
        "can do which assumes no hidden confounding. A tower that does not see every feature does "
        "worse, as the oracle does",
        **_SHARED,
    }
