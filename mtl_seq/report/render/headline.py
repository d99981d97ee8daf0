"""Sentences of a report: its first lines, rank disagreements, a test for hidden selection."""

import math

import numpy as np

from mtl_seq.records import SelectionTest
from mtl_seq.report.compute.bootstrap import LEVEL
from mtl_seq.report.compute.metrics import Estimate
from mtl_seq.report.compute.ranking_models import REASON
from mtl_seq.report.compute.result import CEILING, ReportResult
from mtl_seq.report.compute.selection import QUANTILE, Selection
from mtl_seq.report.render.formatting import format_estimate, format_metric, format_percent

__all__ = ["headline", "rank_disagreement_lines", "selection_lines", "selection_test_lines"]

_BIAS = ("pcvr", "all", "relative_bias")
_PCOC = ("pctcvr", "all", "pcoc")
_NOTABLE = 0.005
_CI = f"{LEVEL:.0%} CI"


def headline(report: ReportResult) -> list[str]:
    """Sentences on the best model, its bias, where the bias is, and how certain that is."""
    return _against_truth(report) if report.has_truth else _from_log(report)


def rank_disagreement_lines(report: ReportResult) -> list[str]:
    """A sentence for each pair of models whose order on clicks is not that over all impressions."""
    return [
        f"On clicks {one.clicked} ranks above {one.entire} (AUC higher by "
        f"{_lead(one.lead_on_clicks)}), over all impressions below it (AUC lower by "
        f"{_lead(one.lead_on_all)})."
        for one in report.rank_disagreements
    ]


def selection_test_lines(test: SelectionTest) -> list[str]:
    """The test in sentences: lambda with its interval, p value, verdict."""
    p_value = math.erfc(abs(test.t) / math.sqrt(2))
    if math.isnan(test.log_odds_ratio):
        estimate = "The log odds ratio lambda of click and potential conversion has no estimate"
    else:
        margin = QUANTILE * test.standard_error
        low, high = test.log_odds_ratio - margin, test.log_odds_ratio + margin
        estimate = (
            "The log odds ratio lambda of click and potential conversion, given the features, is "
            f"{test.log_odds_ratio:.2f} (standard error {test.standard_error:.2f}, 90% CI "
            f"{low:.2f} to {high:.2f}; odds ratio {math.exp(test.log_odds_ratio):.2f})"
        )
    verdict = "rejected" if p_value < 0.05 else "not rejected"
    p_text = "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"
    lines = [
        f"{estimate}: {test.verdict}.",
        f"Test of lambda = 0, no hidden confounding: t = {test.t:.2f}, {p_text}; {verdict} at the "
        "5% level.",
    ]
    if not math.isnan(test.strength):
        lines.append(
            "Strength of the click-only features in the click model: likelihood ratio "
            f"{test.strength:.1f} per degree of freedom, about 1 where they are not predictive."
        )
    if test.level_share:
        lines.append(f"P(level of the click-only features | x): {test.level_share}.")
    return lines


def selection_lines(selection: Selection) -> list[str]:
    """`selection_test_lines`, then the mean CVR over all impressions under the test."""
    low, high = format_percent(selection.low), format_percent(selection.high)
    verdict = selection.test.verdict
    if verdict == "identified":
        mean = (
            f"Mean CVR over all impressions at that lambda: {format_percent(selection.mean)} "
            f"(90% CI {low} to {high})."
        )
    elif verdict == "weak":
        mean = (
            "lambda is too uncertain for a point estimate: over its 90% CI the mean CVR over all "
            f"impressions is between {low} and {high}."
        )
    else:
        mean = (
            "This log does not identify lambda, so no model of it can be debiased: for odds ratios "
            f"between 1/3 and 3 the mean CVR over all impressions is between {low} and {high}."
        )
    return [*selection_test_lines(selection.test), mean]


def _against_truth(report: ReportResult) -> list[str]:
    graded = _graded(report, _BIAS[2])
    competing = [name for name in graded if name != report.oracle]
    lines = []
    if competing:
        best = min(competing, key=lambda m: report.estimate(m, "pcvr", "all", "log_loss").value)
        lines.append(
            f"Over all impressions {best} has the least log loss against the true CVR; its "
            f"relative bias is {_bias(report, best)}."
        )
        lines.append(_bias_by_space(report, best))
        lines += [_lead_line(report, "pCVR")] if report.lead else []
        others = ", ".join(f"{name} {_bias(report, name)}" for name in competing if name != best)
        lines += [f"Relative bias of the others: {others}."] if others else []
    if report.oracle:
        lines.append(
            f"Relative bias of {report.oracle}, trained on potential outcomes, which no log holds: "
            f"{_bias(report, report.oracle)}."
        )
    lines += _ranker_lines(report, graded)
    ceiling = report.estimate(CEILING, *_BIAS).value
    if abs(ceiling) > _NOTABLE:
        lines.append(
            "Hidden confounding of clicks and conversions: a method that assumes none has at best "
            f"a relative bias of {ceiling:+.0%}."
        )
    count = len(report.rank_disagreements)
    if count:
        pairs = "one pair" if count == 1 else f"{count} pairs"
        lines.append(
            f"AUC on clicks orders {pairs} of models otherwise than AUC over all impressions."
        )
    return lines


def _bias_by_space(report: ReportResult, best: str) -> str:
    assert report.deciles is not None
    bias = report.deciles.relative_bias[best]
    on = {
        space: _format_bias(report.estimate(best, "pcvr", space, "relative_bias").value)
        for space in ("clicks", "non-clicks")
    }
    text = f"On clicks it is {on['clicks']}, on non-clicks {on['non-clicks']}"
    if np.isnan(bias).all():
        return f"{text}."
    at = int(np.nanargmax(np.abs(bias)))
    if abs(bias[at]) < _NOTABLE:
        return f"{text}; below {_NOTABLE:.1%} in every decile of the propensity."
    return (
        f"{text}; it is largest in decile {at + 1} of the propensity (mean "
        f"{format_percent(float(report.deciles.propensity[at]))}): {_format_bias(float(bias[at]))}."
    )


def _lead_line(report: ReportResult, quantity: str) -> str:
    assert report.lead is not None
    significant = report.lead.lead.excludes_zero
    verdict = f"the {_CI} {'excludes' if significant else 'includes'} 0"
    return (
        f"Log loss of {quantity} over all impressions, next model ({report.lead.second}) minus "
        f"{report.lead.first}: {_lead(report.lead.lead)}; {verdict}."
    )


def _from_log(report: ReportResult) -> list[str]:
    lines = [
        "Identified from a log: CTR and CTCVR over all impressions, CVR on clicks. CVR on "
        "non-clicks is not identified: no metric here measures its bias."
    ]
    if report.metrics["reason"].notna().any():
        lines.append("Some metrics are undefined on this log; the reasons are below the table.")
    if report.lead:
        lines.append(
            f"{report.lead.first} has the least log loss of pCTCVR. {_lead_line(report, 'pCTCVR')}"
        )
    graded = _graded(report, _PCOC[2])
    pcoc = ", ".join(
        f"{name} {format_estimate('pcoc', report.estimate(name, *_PCOC))}" for name in graded
    )
    if graded:
        lines.append(f"Predicted over observed conversions (PCOC), all impressions: {pcoc}.")
    lines += _ranker_lines(report, graded)
    if report.selection is not None:
        lines += selection_lines(report.selection)
    curve = report.sensitivity
    if curve is not None and curve.reason is None:
        low, high = map(format_percent, curve.ranges[2.0])
        least, greatest = map(format_percent, curve.worst)
        lines.append(
            "Not identified: the mean CVR over all impressions. If the odds ratio of click and "
            f"potential conversion is between 1/2 and 2, it is between {low} and {high}; without "
            f"any assumption, between {least} and {greatest}."
        )
    return lines


def _graded(report: ReportResult, metric: str) -> list[str]:
    """Models that predict probabilities."""
    rows = report.metrics[report.metrics["metric"] == metric]
    rankers = set(rows.loc[rows["reason"] == REASON, "model"])
    return [name for name in report.models if name not in rankers]


def _ranker_lines(report: ReportResult, graded: list[str]) -> list[str]:
    names = ", ".join(name for name in report.models if name not in graded)
    return [f"Ranking models, without probabilities: {names}."] if names else []


def _format_bias(value: float) -> str:
    return format_metric("relative_bias", value)


def _bias(report: ReportResult, name: str) -> str:
    return format_estimate("relative_bias", report.estimate(name, *_BIAS))


def _lead(lead: Estimate) -> str:
    value, low, high = lead
    return f"{value:.5f} [{low:.5f}, {high:.5f}]"
