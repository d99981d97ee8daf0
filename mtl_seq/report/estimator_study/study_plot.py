"""The forest plot of an estimator study."""

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from mtl_seq.report.render.style import BAND, FAINT, GREY, INK

__all__ = ["forest"]

_RIGHT, _WRONG = "#0072B2", "#D55E00"
_ROW, _MARGIN = 0.24, 1.9
_CHANCE = 4
_HEADINGS = {"estimator": "estimator", "propensity": "propensity", "imputation": "imputed CVR"}
_LETTER, _GAP = 5.6, 14.0  # points
_TITLES = {"log loss": "Ideal log loss of the prediction", "mean CVR": "Mean CVR"}


def forest(table: pd.DataFrame, metadata: Mapping[str, Any]) -> Figure:
    """Relative bias and spread of every estimator, a panel per estimand."""
    estimands = list(dict.fromkeys(table["estimand"]))
    rows = len(table) // len(estimands)
    figure = Figure(figsize=(5.2 + 3.6 * len(estimands), _MARGIN + _ROW * rows))
    panels = figure.subplots(1, len(estimands), sharey=True, squeeze=False)[0]
    for panel, estimand in zip(panels, estimands, strict=True):
        estimates = table[table["estimand"] == estimand].reset_index(drop=True)
        _panel(panel, estimates)
        truth = float(estimates["truth"].iloc[0])
        panel.set_title(f"{_TITLES.get(estimand, estimand)}: {truth:.4f}", loc="left", fontsize=10)
        if panel is panels[0]:
            _name_rows(panel, estimates)
    figure.suptitle(
        f"Estimates of two means over all impressions, from {metadata['redraws']:,} logs of "
        f"{metadata['impressions']:,} impressions at a CTR of {metadata['CTR']:.1%}",
        x=0.01,
        ha="left",
        fontsize=11,
    )
    figure.legend(handles=_legend(), ncols=2, frameon=False, loc="lower center", fontsize=9)
    figure.tight_layout(rect=(0, 0.55 / figure.get_figheight(), 1, 1))
    return figure


def _panel(panel: Axes, estimates: pd.DataFrame) -> None:
    place = np.arange(len(estimates))
    truth = estimates["truth"].to_numpy()
    bias, spread = estimates["bias"].to_numpy() / truth, 2 * estimates["sd"].to_numpy() / truth
    biased = estimates["bias"].abs().to_numpy() > _CHANCE * estimates["mc_error"].to_numpy()
    for _, group in [*estimates.groupby(_starts(estimates).cumsum())][::2]:
        panel.axhspan(group.index[0] - 0.5, group.index[-1] + 0.5, color=BAND, zorder=0)
    panel.axvline(0, color=INK, lw=1, zorder=1)
    for colour, marker, rows in ((_RIGHT, "o", ~biased), (_WRONG, "D", biased)):
        panel.hlines(
            place[rows], (bias - spread)[rows], (bias + spread)[rows], color=colour, lw=1.8
        )
        panel.plot(bias[rows], place[rows], ls="", marker=marker, ms=5, color=colour, zorder=3)
    analytic = estimates["analytic_bias"].to_numpy() / truth
    panel.plot(analytic, place, ls="", marker="|", ms=11, mew=1.2, color=INK, zorder=4)
    panel.set_ylim(len(estimates) - 0.5, -0.5)
    panel.xaxis.set_major_formatter(PercentFormatter(1.0))
    panel.set_xlabel("relative error of the estimate", fontsize=9)
    panel.grid(axis="x", color=FAINT, lw=0.5)
    panel.set_axisbelow(True)
    panel.spines[["top", "right", "left"]].set_visible(False)
    panel.tick_params(axis="y", length=0)
    panel.tick_params(axis="x", labelsize=9)


def _name_rows(panel: Axes, estimates: pd.DataFrame) -> None:
    """Three columns of text left of the panel; an estimator's name is written once."""
    panel.set_yticks([])
    place = 0.0
    for column in reversed(_HEADINGS):
        heading = _HEADINGS[column]
        if not any(estimates[column]):
            continue
        longest = max(len(name) for name in (*estimates[column], heading))
        place -= _GAP + _LETTER * longest
        _text(panel, -1.0, place, heading, "normal")
        for row, name in enumerate(estimates[column]):
            if column != "estimator" or _starts(estimates)[row]:
                _text(panel, row, place, name, "bold" if column == "estimator" else "normal")


def _text(panel: Axes, row: float, place: float, text: str, weight: str) -> None:
    panel.annotate(
        text,
        xy=(0, row),
        xycoords=("axes fraction", "data"),
        xytext=(place, 0),
        textcoords="offset points",
        va="center",
        fontsize=9,
        fontweight=weight,
        annotation_clip=False,
        color=INK if row >= 0 else GREY,
    )


def _starts(estimates: pd.DataFrame) -> "pd.Series[bool]":
    """Whether a row is the first of its estimator."""
    starts: pd.Series[bool] = estimates["estimator"] != estimates["estimator"].shift()
    return starts


def _legend() -> list[Line2D]:
    mean = "mean ± 2 sd;"
    biased = f"{mean} biased by more than {_CHANCE} Monte Carlo errors"
    line = functools.partial(Line2D, [], [], ms=5, lw=1.8)
    return [
        line(color=_RIGHT, marker="o", label=f"{mean} no significant bias"),
        Line2D([], [], color=INK, marker="|", ms=11, ls="", label="bias by the formula"),
        line(color=_WRONG, marker="D", label=biased),
    ]
