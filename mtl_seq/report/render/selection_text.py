"""A test for hidden selection in sentences."""

import math

from mtl_seq.records import SelectionTest
from mtl_seq.report.compute.selection import QUANTILE, Selection
from mtl_seq.report.render.formatting import format_percent

__all__ = ["selection_lines", "selection_test_lines"]


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
