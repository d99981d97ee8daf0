"""A test for hidden selection in sentences."""

import math

from mtl_seq.records import SelectionTest
from mtl_seq.report.compute.selection import QUANTILE, Selection
from mtl_seq.report.render.formatting import percent

__all__ = ["evidence_lines", "selection_lines"]


def evidence_lines(test: SelectionTest) -> list[str]:
    """The test in sentences: lambda, its evidence, the verdict."""
    chance = math.erfc(abs(test.t) / math.sqrt(2))
    if math.isnan(test.log_odds_ratio):
        found = "The log odds ratio lambda of click and potential conversion has no estimate"
    else:
        low, high = (
            test.log_odds_ratio + sign * QUANTILE * test.standard_error for sign in (-1, 1)
        )
        found = (
            f"The log odds ratio lambda of click and potential conversion, given the features, is "
            f"{test.log_odds_ratio:.2f} (standard error {test.standard_error:.2f}, 90% interval {low:.2f} to "
            f"{high:.2f}; an odds ratio of {math.exp(test.log_odds_ratio):.2f})"
        )
    hidden = "something hidden moves both" if chance < 0.05 else "it does not show any"
    lines = [
        f"{found}: {test.verdict}.",
        f"Test of lambda = 0, that nothing hidden moves both: t {test.t:.2f}, p {_shown(chance)}; "
        f"at the 5% level {hidden}.",
    ]
    if not math.isnan(test.strength):
        lines.append(
            f"Strength of the click-only features in the click model: likelihood ratio "
            f"{test.strength:.1f} per degree of freedom, about 1 where they tell nothing."
        )
    if test.level_share:
        lines.append(f"P(level of the click-only features | x): {test.level_share}.")
    return lines


def selection_lines(found: Selection) -> list[str]:
    """`evidence_lines`, then what they say of the mean CVR over all impressions."""
    low, high = percent(found.low), percent(found.high)
    verdict = found.test.verdict
    if verdict == "identified":
        last = (
            f"Mean CVR over all impressions at that lambda: {percent(found.mean)}, in its 90% "
            f"interval {low} to {high}."
        )
    elif verdict == "weak":
        last = (
            f"lambda is too uncertain for one figure: in its 90% interval the mean CVR over all "
            f"impressions lies between {low} and {high}."
        )
    else:
        last = (
            "This log does not tell lambda, and no model of it is debiased: for odds ratios within "
            f"1/3 and 3 the mean CVR over all impressions lies between {low} and {high}."
        )
    return [*evidence_lines(found.test), last]


def _shown(chance: float) -> str:
    return "below 0.001" if chance < 0.001 else f"{chance:.3f}"
