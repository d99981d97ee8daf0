"""Every figure of a report, with a caption and a text alternative."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from mtl_seq.report.compute.bootstrap import LEVEL
from mtl_seq.report.compute.comparisons import GAP_CLOSED
from mtl_seq.report.compute.metrics import Estimate, MetricKey
from mtl_seq.report.compute.result import IDENTIFIED, TRUTH, ReportResult
from mtl_seq.report.render.formatting import (
    format_estimate,
    format_metric,
    format_percent,
    format_space,
    format_target,
)
from mtl_seq.report.render.plot_bias import Panel, decile_figure, interval_figure, save
from mtl_seq.report.render.plot_curves import overlap_figure, reliability_figure, sensitivity_figure
from mtl_seq.report.render.plot_segments import segment_figure
from mtl_seq.report.render.style import WIDE, Layout, signed_percent

__all__ = ["ReportFigure", "report_figures", "write_figures"]


_TICKS = {"relative_bias": signed_percent, "gap_closed": "{:.0%}".format}
_CI = f"with {LEVEL:.0%} CI"


class ReportFigure(NamedTuple):
    """One figure.

    Attributes:
        name: Name of its file, without a suffix.
        caption: What is drawn, and how to read it.
        alternative: The same in words and numbers.
        draw: Draws it for a layout.
        segment_column: The column that its rows are grouped by; empty for most.
    """

    name: str
    caption: str
    alternative: str
    draw: Callable[[Layout], Figure]
    segment_column: str = ""


def write_figures(report: ReportResult, folder: str | Path) -> list[Path]:
    """Draw every figure as PNG into a folder; returns the files."""
    paths = []
    for figure in report_figures(report).values():
        paths.append(Path(folder) / f"{figure.name}.png")
        save(figure.draw(WIDE), paths[-1])
    return paths


def report_figures(report: ReportResult) -> dict[str, ReportFigure]:
    """The figures of a report by name, in the order of the page."""
    if report.has_truth:
        figures = [_bias_by_space(report), _bias_by_decile(report)]
    else:
        figures = [_pcoc(report)]
    if len(report.reliability):
        figures.append(_reliability(report))
    figures.append(_auc(report))
    gap = report.metrics.loc[report.metrics["metric"] == "gap_closed", "value"]
    if gap.notna().any():
        figures.append(_gap(report))
    figures += [_segment(report, by) for by in dict.fromkeys(report.segments["by"])]
    if report.overlap is not None:
        figures.append(_overlap(report))
    if report.sensitivity is not None and report.sensitivity.reason is None:
        figures.append(_sensitivity(report))
    return {figure.name: figure for figure in figures}


def _panel(
    report: ReportResult, title: str, label: str, key: MetricKey, reference: float | None
) -> Panel:
    def lookup(model: str) -> Estimate:
        return report.estimate(model, *key)

    return Panel(title, label, lookup, reference, _TICKS.get(key[2]), ranked=key[2] == "auc")


def _intervals(
    report: ReportResult, name: str, caption: str, panels: list[Panel], metric: str
) -> ReportFigure:
    texts = [
        f"{panel.title}: "
        + ", ".join(f"{m} {format_estimate(metric, panel.lookup(m))}" for m in report.models)
        for panel in panels
    ]
    return ReportFigure(
        name,
        caption,
        ". ".join(texts) + ".",
        lambda layout: interval_figure(report.models, panels, layout),
    )


def _bias_by_space(report: ReportResult) -> ReportFigure:
    label = "relative bias of mean pCVR"
    panels = [
        _panel(report, format_space(space), label, ("pcvr", space, "relative_bias"), 0.0)
        for space in ("all", "clicks", "non-clicks")
    ]
    caption = (
        f"Relative bias of mean predicted CVR by space, {_CI}. Right of the line the model "
        "predicts too many conversions."
    )
    return _intervals(report, "relative_bias", caption, panels, "relative_bias")


def _bias_by_decile(report: ReportResult) -> ReportFigure:
    deciles = report.deciles
    assert deciles is not None
    ends = [
        f"{name} {format_metric('relative_bias', float(bias[0]))} in the lowest to "
        f"{format_metric('relative_bias', float(bias[-1]))} in the highest"
        for name, bias in ((m, deciles.relative_bias[m]) for m in report.models)
    ]
    caption = (
        "Relative bias of predicted CVR by decile of the true propensity, all impressions, one "
        f"line per model, {_CI}. Unbiased at 0; bias on the left is bias where clicks are rare."
    )
    if report.oracle is not None:
        caption += (
            " The oracle is limited only by its features: it averages over those that its CVR "
            "tower does not see."
        )
    return ReportFigure(
        "bias_by_decile",
        caption,
        "Relative bias by decile of the propensity "
        f"({format_percent(float(deciles.propensity[0]))} to "
        f"{format_percent(float(deciles.propensity[-1]))}): {'; '.join(ends)}.",
        lambda layout: decile_figure(report, layout),
    )


def _pcoc(report: ReportResult) -> ReportFigure:
    label = "predicted over observed (PCOC)"
    panels = [_panel(report, format_target(*key), label, (*key, "pcoc"), 1.0) for key in IDENTIFIED]
    caption = (
        f"Predicted over observed clicks and conversions (PCOC), {_CI}; unbiased at 1. A log "
        "identifies these three."
    )
    return _intervals(report, "pcoc", caption, panels, "pcoc")


def _auc(report: ReportResult) -> ReportFigure:
    keys = (("pcvr", "clicks"), ("pcvr", "all")) if report.has_truth else IDENTIFIED
    panels = [_panel(report, format_target(*key), "AUC", (*key, "auc"), None) for key in keys]
    caption = f"AUC by space, {_CI} and each model's rank. " + (
        "First on clicks, the only space in which a log identifies the AUC of CVR; then over all "
        "impressions."
        if report.has_truth
        else "AUC of CVR is on clicks only: the order over all impressions may differ."
    )
    return _intervals(report, "auc_by_space", caption, panels, "auc")


def _gap(report: ReportResult) -> ReportFigure:
    panel = _panel(report, "all impressions", "share of the gap in log loss", GAP_CLOSED, 1.0)
    caption = (
        "Share of the log loss between the naive model (0%) and the oracle (100%) that each model "
        f"closes, all impressions, {_CI}."
    )
    return _intervals(report, "gap_closed", caption, [panel], "gap_closed")


def _reliability(report: ReportResult) -> ReportFigure:
    target = "mean true probability" if report.has_truth else "observed rate"
    texts = []
    for (model, quantity, space), bins in report.reliability.groupby(
        ["model", "quantity", "space"], sort=False
    ):
        first, last = (
            (format_percent(row["predicted"]), format_percent(row["observed"]))
            for row in (bins.iloc[0], bins.iloc[-1])
        )
        texts.append(
            f"{model}, {quantity} on {space}: predicted {first[0]} against {first[1]} in the "
            f"lowest tenth, {last[0]} against {last[1]} in the highest"
        )
    return ReportFigure(
        "reliability",
        f"Reliability: {target} against mean prediction in tenths of each model's predictions, "
        "logarithmic axes. Below the line the model predicts too much.",
        "; ".join(texts) + ".",
        lambda layout: reliability_figure(report, layout),
    )


def _overlap(report: ReportResult) -> ReportFigure:
    overlap = report.overlap
    assert overlap is not None
    median = {
        name: float(overlap.edges[int(np.searchsorted(counts.cumsum(), counts.sum() / 2))])
        for name, counts in (("clicks", overlap.clicks), ("non-clicks", overlap.others))
        if counts.sum()
    }
    text = ", ".join(
        f"median of the {name} about {format_percent(p)}" for name, p in median.items()
    )
    whose = "true propensity" if overlap.source == TRUTH else f"propensity by {overlap.source}"
    return ReportFigure(
        "overlap",
        f"Overlap: {whose} of clicks and non-clicks, each as a share of its space. Where there are "
        "non-clicks and hardly a click, inverse propensity weights are large and estimates "
        "unreliable.",
        f"{text[:1].upper()}{text[1:]}; range {format_percent(float(overlap.edges[0]))} to "
        f"{format_percent(float(overlap.edges[-1]))}.",
        lambda layout: overlap_figure(report, layout),
    )


def _segment(report: ReportResult, by: str) -> ReportFigure:
    texts = []
    for model, rows in report.main_segments(by).groupby("model", sort=False):
        defined = rows[rows["relative_bias"].notna()]
        if len(defined):
            ends = (defined.loc[defined["relative_bias"].agg(f)] for f in ("idxmin", "idxmax"))
            texts.append(
                f"{model} "
                + " to ".join(
                    f"{format_metric('relative_bias', end['relative_bias'])} in {end['segment']}"
                    for end in ends
                )
            )
    name = "pCVR" if report.has_truth else "pCTCVR"
    return ReportFigure(
        f"segments_{_file(by)}",
        f"Relative bias of mean {name} over all impressions by {by}. Red: too high, blue: too low; "
        "a star marks groups too small to rely on.",
        f"From the least to the greatest bias: {'; '.join(texts)}."
        if texts
        else "No group has a value.",
        lambda layout: segment_figure(report, by, layout),
        by,
    )


def _sensitivity(report: ReportResult) -> ReportFigure:
    curve = report.sensitivity
    assert curve is not None
    ranges = "; ".join(
        f"for psi between 1/{gamma:g} and {gamma:g} from {format_percent(low)} to "
        f"{format_percent(high)}"
        for gamma, (low, high) in curve.ranges.items()
    )
    means = ", ".join(
        f"{row.model} {format_percent(row.mean_pcvr)}" for row in curve.models.itertuples()
    )
    return ReportFigure(
        "sensitivity",
        "Mean CVR over all impressions by assumed odds ratio psi of click and potential "
        f"conversion, with pCTR and pCTCVR of {curve.base}; each model's mean pCVR is unbiased "
        "where its line meets the curve. psi = 1: no hidden confounding. The bands are psi between "
        "1/G and G, with G above them.",
        f"The mean CVR decreases in psi: {ranges}. Mean pCVR: {means}.",
        lambda layout: sensitivity_figure(curve, layout),
    )


def _file(by: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in by)
