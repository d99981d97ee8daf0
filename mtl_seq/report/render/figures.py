"""Every figure of a report, with what it shows in words for those who cannot see it."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from mtl_seq.report.compute.result import TRUTH, Estimate, Findings
from mtl_seq.report.render.formatting import figure, percent, with_interval
from mtl_seq.report.render.plot_bias import Panel, decile_figure, interval_figure, save
from mtl_seq.report.render.plot_curves import overlap_figure, reliability_figure, sensitivity_figure
from mtl_seq.report.render.plot_segments import segment_figure
from mtl_seq.report.render.style import WIDE, Layout, signed_percent

__all__ = ["Picture", "pictures", "write_pictures"]


_TICKS = {"relative_bias": signed_percent, "gap_closed": "{:.0%}".format}


class Picture(NamedTuple):
    """One figure.

    Attributes:
        name: Its file's name, without a suffix.
        caption: What is drawn, and how to read it.
        alternative: What it shows, in words and numbers.
        draw: Draws it for a layout.
        about: The column it parts the rows by; empty for most.
    """

    name: str
    caption: str
    alternative: str
    draw: Callable[[Layout], Figure]
    about: str = ""


def write_pictures(report: Findings, folder: str | Path) -> list[Path]:
    """Draw every figure as PNG into a folder; what was written."""
    written = []
    for picture in pictures(report).values():
        written.append(Path(folder) / f"{picture.name}.png")
        save(picture.draw(WIDE), written[-1])
    return written


def pictures(report: Findings) -> dict[str, Picture]:
    """The figures of a report by name, in the order of the page."""
    drawn = _truth(report) if report.known else _log(report)
    if len(report.reliability):
        drawn.append(_reliability(report))
    drawn.append(_auc(report))
    if report.known and any(not np.isnan(value) for value, _ in report.gap.values()):
        drawn.append(_gap(report))
    drawn += [_segment(report, by) for by in dict.fromkeys(report.segments["by"])]
    if report.overlap is not None:
        drawn.append(_overlap(report))
    if report.sensitivity is not None and report.sensitivity.reason is None:
        drawn.append(_sensitivity(report))
    return {picture.name: picture for picture in drawn}


def _panel(
    report: Findings, title: str, label: str, at: tuple[str, str, str], reference: float | None
) -> Panel:
    def lookup(model: str) -> Estimate:
        return report.estimate(model, *at)

    return Panel(title, label, lookup, reference, _TICKS.get(at[2]), ranked=at[2] == "auc")


def _intervals(
    report: Findings, name: str, caption: str, shown: list[Panel], metric: str
) -> Picture:
    said = [
        f"{panel.title}: "
        + ", ".join(f"{m} {with_interval(metric, panel.lookup(m))}" for m in report.models)
        for panel in shown
    ]
    return Picture(
        name,
        caption,
        ". ".join(said) + ".",
        lambda layout: interval_figure(report.models, shown, layout),
    )


def _truth(report: Findings) -> list[Picture]:
    label = "relative bias of mean pCVR"
    spaces = {"all": "all impressions", "clicks": "clicks", "non-clicks": "non-clicks"}
    shown = [
        _panel(report, title, label, ("pcvr", space, "relative_bias"), 0.0)
        for space, title in spaces.items()
    ]
    caption = (
        "Relative bias of mean predicted CVR by space, with its 90% interval. Right of the line "
        "the model promises more conversions than there would be."
    )
    found = report.deciles
    assert found is not None
    ends = [
        f"{name} {figure('relative_bias', float(bias[0]))} in the lowest to "
        f"{figure('relative_bias', float(bias[-1]))} in the highest"
        for name, bias in ((m, found.relative_bias[m]) for m in report.models)
    ]
    return [
        _intervals(report, "relative_bias", caption, shown, "relative_bias"),
        Picture(
            "bias_by_decile",
            "Relative bias of predicted CVR by decile of the true propensity, all impressions, one "
            "line a model, with 90% intervals. A line at 0 is unbiased everywhere; bias on the "
            "left is bias where clicks are rare."
            + " The oracle's line is what the features allow: what a tower cannot see, it averages."
            * (report.oracle is not None),
            f"Relative bias by decile of the propensity ({percent(float(found.propensity[0]))} to "
            f"{percent(float(found.propensity[-1]))}): {'; '.join(ends)}.",
            lambda layout: decile_figure(report, layout),
        ),
    ]


def _log(report: Findings) -> list[Picture]:
    label = "predicted over observed (PCOC)"
    asked = {
        "pCTR, all impressions": ("pctr", "all"),
        "pCTCVR, all impressions": ("pctcvr", "all"),
        "pCVR, clicks": ("pcvr", "clicks"),
    }
    shown = [_panel(report, title, label, (*at, "pcoc"), 1.0) for title, at in asked.items()]
    caption = (
        "Predicted over observed clicks and conversions (PCOC), with its 90% interval; 1 is right. "
        "These three a log identifies."
    )
    return [_intervals(report, "pcoc", caption, shown, "pcoc")]


def _auc(report: Findings) -> Picture:
    asked = (
        {"pCVR, clicks": ("pcvr", "clicks"), "pCVR, all impressions": ("pcvr", "all")}
        if report.known
        else {
            "pCTR, all impressions": ("pctr", "all"),
            "pCTCVR, all impressions": ("pctcvr", "all"),
            "pCVR, clicks": ("pcvr", "clicks"),
        }
    )
    shown = [_panel(report, title, "AUC", (*at, "auc"), None) for title, at in asked.items()]
    caption = "AUC by space, with its 90% interval and each model's place. " + (
        "First on clicks, which is all that a log lets one compute of CVR; then over all rows."
        if report.known
        else "That of CVR is on clicks only: all impressions might rank the models otherwise."
    )
    return _intervals(report, "auc_by_space", caption, shown, "auc")


def _gap(report: Findings) -> Picture:
    at = ("pcvr", "all", "gap_closed")
    panel = _panel(report, "all impressions", "share of the gap in log loss", at, 1.0)
    caption = (
        "Share of the log loss between the naive model (0%) and the oracle (100%) that each model "
        "closes, all impressions, with its 90% interval."
    )
    return _intervals(report, "gap_closed", caption, [panel], "gap_closed")


def _reliability(report: Findings) -> Picture:
    target = "mean true probability" if report.known else "observed rate"
    said = []
    for (model, quantity, space), own in report.reliability.groupby(
        ["model", "quantity", "space"], sort=False
    ):
        first, last = own.iloc[0], own.iloc[-1]
        said.append(
            f"{model}, {quantity} on {space}: predicted {percent(first['predicted'])} against "
            f"{percent(first['observed'])} in the lowest tenth, {percent(last['predicted'])} "
            f"against {percent(last['observed'])} in the highest"
        )
    return Picture(
        "reliability",
        f"Reliability: {target} against mean prediction in tenths of each model's predictions, "
        "logarithmic axes. Below the line the model predicts too much.",
        "; ".join(said) + ".",
        lambda layout: reliability_figure(report, layout),
    )


def _overlap(report: Findings) -> Picture:
    found = report.overlap
    assert found is not None
    middle = {
        name: float(found.edges[int(np.searchsorted(counts.cumsum(), counts.sum() / 2))])
        for name, counts in (("clicks", found.clicks), ("non-clicks", found.others))
        if counts.sum()
    }
    said = ", ".join(
        f"half of the {name} lie below about {percent(p)}" for name, p in middle.items()
    )
    whose = "the true propensity" if found.source == TRUTH else f"propensity by {found.source}"
    return Picture(
        "overlap",
        f"Overlap: {whose} of clicked and other impressions, each as a share of its own rows. "
        "Where there are non-clicks and hardly a click, weights explode and nothing is learned.",
        f"{said[:1].upper()}{said[1:]}; all lie between {percent(float(found.edges[0]))} and "
        f"{percent(float(found.edges[-1]))}.",
        lambda layout: overlap_figure(report, layout),
    )


def _segment(report: Findings, by: str) -> Picture:
    quantity = "pcvr" if report.known else "pctcvr"
    rows = report.segments[
        (report.segments["by"] == by)
        & (report.segments["quantity"] == quantity)
        & (report.segments["space"] == "all")
    ]
    said = []
    for model, own in rows.groupby("model", sort=False):
        defined = own[own["relative_bias"].notna()]
        if len(defined):
            ends = (defined.loc[defined["relative_bias"].agg(f)] for f in ("idxmin", "idxmax"))
            said.append(
                f"{model} "
                + " to ".join(
                    f"{figure('relative_bias', e['relative_bias'])} in {e['segment']}" for e in ends
                )
            )
    name = "pCVR" if report.known else "pCTCVR"
    return Picture(
        f"segments_{_file(by)}",
        f"Relative bias of mean {name} over all impressions by {by}. "
        "Red is too much, blue too little; a star marks groups too small to lean on.",
        f"From the least to the most biased group: {'; '.join(said)}."
        if said
        else "No group has a figure.",
        lambda layout: segment_figure(report, by, layout),
        by,
    )


def _sensitivity(report: Findings) -> Picture:
    found = report.sensitivity
    assert found is not None
    ranges = "; ".join(
        f"for psi within 1/{gamma:g} and {gamma:g} from {percent(low)} to {percent(high)}"
        for gamma, (low, high) in found.ranges.items()
    )
    means = ", ".join(f"{row.model} {percent(row.mean_pcvr)}" for row in found.models.itertuples())
    return Picture(
        "sensitivity",
        "Mean CVR over all impressions by assumed odds ratio psi of click and potential "
        f"conversion, with pCTR and pCTCVR of {found.base}; each model's mean pCVR is right where "
        "its line meets the curve. psi = 1: nothing hidden moves both. The band is psi from 1/2 "
        "to 2.",
        f"The mean CVR falls as psi rises: {ranges}. Mean pCVR: {means}.",
        lambda layout: sensitivity_figure(report, layout),
    )


def _file(by: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in by)
