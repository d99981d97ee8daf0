"""What a report says in its first lines."""

import math

from mtl_seq.report.bias_report import CEILING, BiasReport

__all__ = ["glossary", "headline"]


def headline(report: BiasReport) -> list[str]:
    """Sentences for a reader with ten seconds: which model, how biased, where, how sure."""
    if report.deciles is None:
        return _from_log(report)
    metrics = report.metrics[
        (report.metrics["quantity"] == "pcvr") & (report.metrics["space"] == "all")
    ].set_index(["model", "metric"])
    bias = metrics.xs("relative_bias", level="metric")
    best = min(report.models, key=lambda name: float(metrics.loc[(name, "log_loss"), "value"]))
    lines = [
        f"Over all impressions {best} predicts CVR best (least log loss against the truth); on "
        f"average it is off by {_signed(bias, best)}."
    ]
    others = [name for name in report.models if name != best]
    if others:
        said = ", ".join(f"{name} {_signed(bias, name)}" for name in others)
        lines.append(f"The others: {said}.")
    ceiling = float(bias.loc[CEILING, "value"])
    if abs(ceiling) > 0.005:
        lines.append(
            f"Something hidden moves clicks and conversions: a method that assumes otherwise can "
            f"at best be off by {ceiling:+.0%}."
        )
    return lines


def _from_log(report: BiasReport) -> list[str]:
    table = report.table
    lines = [
        "Identified from a log: CTR and CTCVR over all impressions, CVR on clicks. CVR on "
        "impressions without a click is not: no figure here says how biased it is."
    ]
    for name in report.models:
        row = table.loc[name]
        lines.append(
            f"{name}: CTCVR AUC {row['CTCVR AUC, all']:.4f}, predicted over observed conversions "
            f"(PCOC) {row['CTCVR PCOC, all']:.3f}; on clicks CVR AUC "
            f"{row['CVR AUC, clicks']:.4f}, PCOC {row['CVR PCOC, clicks']:.3f}."
        )
    return lines


def glossary(report: BiasReport) -> dict[str, str]:
    """What the columns mean."""
    common = {
        "all / clicks / non-clicks": "the impressions a figure is computed on",
        "AUC": "probability that a converting impression scores above one that does not",
        "PCOC": "predicted over observed conversions; 1 is right",
        "ECE": "mean distance between prediction and target over 20 bins of equal mass",
    }
    if report.deciles is None:
        return common
    return {
        **common,
        "relative bias": "mean predicted CVR over mean true CVR, minus 1",
        "log loss": "expected cross-entropy against the true CVR; the truth has the least possible",
        "RMSE": "root mean squared distance to the true CVR",
        "gap closed": "share of the log loss between the naive model (0) and the oracle (1), which "
        "is trained on potential outcomes, that a model closes",
        CEILING: "the true CVR among clicks: the best any method can reach that assumes nothing "
        "hidden moves both click and conversion",
    }


def _signed(bias: "object", name: str) -> str:
    row = bias.loc[name]  # type: ignore[attr-defined]
    value, low, high = float(row["value"]), float(row["low"]), float(row["high"])
    if math.isnan(value):
        return "undefined"
    return f"{value:+.1%} [{low:+.1%}, {high:+.1%}]"
