"""What the columns and sections of a report mean."""

from mtl_seq.report.compute.result import CEILING, Findings

__all__ = ["glossary"]

_SHARED = {
    "AUC": "probability that a converting impression scores above one that does not",
    "[low, high]": "90% interval from resampling users, the same resamples for every model",
    "against the control": "a model's figure minus the control's on the same rows, with the "
    "interval of that difference; where it excludes 0 the two surely differ",
    "distance from 0 of the relative bias": "below 0: less biased than the control, whatever the "
    "sign of either",
    "effective sample size": "of the clicks, were they weighted by 1 / propensity to stand for all "
    "impressions; far below the number of clicks, such weights are not to be trusted",
    "clipped share": "share of the clicks whose propensity lies below the 1% quantile over all "
    "impressions, where counterfactual models floor it",
    "psi": "odds ratio of click and potential conversion given the features: 1 where nothing "
    "hidden moves both, above 1 where clicks pick out those who would convert; no log can tell it",
    "small groups": "fewer than 20 users, or of drawn labels fewer than 30 positives; their "
    "intervals are not to be trusted",
    "n/a": "not defined; the reasons are listed below the table",
}


def glossary(report: Findings) -> dict[str, str]:
    """By term, what it means in this report."""
    if not report.known:
        return {
            "all / clicks": "the impressions a figure is computed on",
            "PCOC": "predicted over observed clicks or conversions; 1 is right",
            "ECE": "mean distance between predicted and observed rates over 20 bins of equal mass; "
            "above 0 also for the truth, since drawn labels scatter: what it would be on average, "
            "were the predictions right, stands below it",
            **_SHARED,
        }
    gap = {
        "gap closed": "share of the log loss between the naive model (0) and the oracle (1), which "
        "is trained on potential outcomes, that a model closes",
    }
    return {
        "all / clicks / non-clicks": "the impressions a figure is computed on",
        "target": "the true CVR over all impressions; on clicks P(r | x, click), on the rest "
        "P(r | x, no click), with r the conversion there would be after a click. These are "
        "probabilities, so no figure carries the noise of drawn labels",
        "PCOC": "mean prediction over mean target; 1 is right",
        "ECE": "mean distance between prediction and target over 20 bins of equal mass",
        "relative bias": "mean prediction over mean target, minus 1",
        "log loss": "expected cross-entropy against the true CVR; the truth has the least possible",
        "RMSE": "root mean squared distance to the true CVR",
        **(gap if report.gap else {}),
        CEILING: "the true CVR among clicks given all that the log shows: the best any method can "
        "reach that assumes nothing hidden moves both click and conversion. A tower that may not "
        "see some of the log stays behind it, as the oracle does",
        **_SHARED,
    }
