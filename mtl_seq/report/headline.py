"""What a report says in its first lines."""

import math

from mtl_seq.report.findings import CEILING, Findings

__all__ = ["glossary", "headline"]


def headline(report: Findings) -> list[str]:
    """Sentences for a reader with ten seconds: which model, how biased, where, how sure."""
    if report.deciles is None:
        return _from_log(report)
    metrics = report.metrics[
        (report.metrics["quantity"] == "pcvr") & (report.metrics["space"] == "all")
    ].set_index(["model", "metric"])
    bias = metrics.xs("relative_bias", level="metric")
    usable = [
        name
        for name in report.models
        if name != report.oracle and not math.isnan(bias.loc[name, "value"])
    ]
    ranking = [name for name in report.models if math.isnan(bias.loc[name, "value"])]
    lines = []
    if usable:
        best = min(usable, key=lambda name: float(metrics.loc[(name, "log_loss"), "value"]))
        lines.append(
            f"Over all impressions {best} comes closest to the true CVR (least log loss); on "
            f"average it is off by {_signed(bias, best)}."
        )
        others = ", ".join(f"{name} {_signed(bias, name)}" for name in usable if name != best)
        lines += [f"The others: {others}."] if others else []
    if report.oracle:
        lines.append(
            f"{report.oracle}, trained on what nobody can observe: {_signed(bias, report.oracle)}."
        )
    if ranking:
        lines.append(f"No probabilities, only an order: {', '.join(ranking)}.")
    ceiling = float(bias.loc[CEILING, "value"])
    if abs(ceiling) > 0.005:
        lines.append(
            f"Something hidden moves clicks and conversions: a method that assumes otherwise can "
            f"at best be off by {ceiling:+.0%}."
        )
    return lines


def _from_log(report: Findings) -> list[str]:
    table = report.table
    lines = [
        "Identified from a log: CTR and CTCVR over all impressions, CVR on clicks. CVR on "
        "impressions without a click is not: no figure here says how biased it is."
    ]
    for name in report.models:
        row = table.loc[name]
        lines.append(
            f"{name}: CTCVR AUC {_plain(row['CTCVR AUC, all'])}, predicted over observed "
            f"conversions (PCOC) {_plain(row['CTCVR PCOC, all'])}; on clicks CVR AUC "
            f"{_plain(row['CVR AUC, clicks'])}, PCOC {_plain(row['CVR PCOC, clicks'])}."
        )
    return lines


def glossary(report: Findings) -> dict[str, str]:
    """What the columns mean."""
    if report.deciles is None:
        return {
            "all / clicks": "the impressions a figure is computed on",
            "AUC": "probability that a converting impression scores above one that does not",
            "PCOC": "predicted over observed conversions; 1 is right",
            "ECE": "mean distance between predicted and observed rates over 20 bins of equal mass",
            "effective sample size": "of the clicks, were they weighted by 1/pCTR to stand for all "
            "impressions; far below the number of clicks, such weights are not to be trusted",
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
        "AUC": "probability that a converting impression scores above one that does not",
        "PCOC": "mean prediction over mean target; 1 is right",
        "ECE": "mean distance between prediction and target over 20 bins of equal mass",
        "relative bias": "mean prediction over mean target, minus 1",
        "log loss": "expected cross-entropy against the true CVR; the truth has the least possible",
        "RMSE": "root mean squared distance to the true CVR",
        **(gap if report.gap else {}),
        CEILING: "the true CVR among clicks given all that the log shows: the best any method can "
        "reach that assumes nothing hidden moves both click and conversion. A tower that may not "
        "see some of the log stays behind it, as the oracle does",
    }


def _plain(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{value:.4f}"


def _signed(bias: "object", name: str) -> str:
    row = bias.loc[name]  # type: ignore[attr-defined]
    value, low, high = float(row["value"]), float(row["low"]), float(row["high"])
    if math.isnan(value):
        return "undefined"
    return f"{value:+.1%} [{low:+.1%}, {high:+.1%}]"
