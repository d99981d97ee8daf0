"""Means over seeds of every method in every scenario, and the figure of their bias."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

__all__ = ["NAIVE", "ORACLE", "SCALING", "draw_bias", "summarise"]

NAIVE, ORACLE = "click_space", "oracle"
# Methods that rescale pCVR by design, whether or not it is biased.
SCALING = ("aman", "oversampling", "nise", "ddpo", "dcmt, prior 1")
_INK, _FAINT, _COLOUR, _CONTROL = "#222222", "#BBBBBB", "#0072B2", "#D55E00"
_LOW, _HIGH = -1.0, 1.0


def summarise(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One row per scenario and method: means over seeds, the spread of the bias, the gap closed.

    `gap closed` is the share of the entire-space log loss between the naive model and the oracle
    that a method closes; NaN where the two lie within two standard errors over the seeds, paired.
    """
    every = pd.DataFrame(records).set_index(["scenario", "method", "seed"])
    figures = every.select_dtypes("number")
    for name in ("relative bias, all", "log loss, all"):
        if name not in figures:  # rankers alone
            figures = figures.assign(**{name: np.nan})
    by = figures.groupby(["scenario", "method"], sort=False)
    table = by.mean()
    table["sd of relative bias"] = by["relative bias, all"].std()
    table["|relative bias|, all"] = (
        figures["relative bias, all"].abs().groupby(["scenario", "method"], sort=False).mean()
    )
    table["biases"] = by["relative bias, all"].agg(list)
    table["seeds"] = by.size()
    if "error" in every:
        table["errors"] = every.groupby(["scenario", "method"], sort=False)["error"].agg(
            lambda found: list(found.dropna())
        )
    table["gap closed"] = np.nan
    for scenario in table.index.unique("scenario"):
        losses = figures.loc[scenario]["log loss, all"]
        methods = losses.index.unique("method")
        if NAIVE not in methods or ORACLE not in methods:
            continue
        width = (losses[NAIVE] - losses[ORACLE]).dropna()
        if len(width) > 1 and width.mean() < 2 * width.sem():
            continue
        closed = (losses[NAIVE].mean() - losses.groupby("method").mean()) / width.mean()
        for method in methods:
            table.loc[(scenario, method), "gap closed"] = closed[method]
    return table


def draw_bias(table: pd.DataFrame, path: Path, rows: int) -> None:
    """Relative bias over all impressions: a panel a scenario, a row a method, a dot a seed."""
    scenarios = list(table.index.unique("scenario"))
    probable = table.dropna(subset=["relative bias, all"])
    methods = list(dict.fromkeys(probable.index.get_level_values("method")))
    figure = Figure(figsize=(2.2 + 2.3 * len(scenarios), 1.5 + 0.24 * len(methods)))
    every = figure.subplots(1, len(scenarios), sharey=True, squeeze=False)[0]
    for axes, scenario in zip(every, scenarios, strict=True):
        _panel(axes, probable.loc[scenario], methods)
        axes.set_title(scenario, loc="left")
        axes.set_xlabel("relative bias of pCVR")
    every[0].set_yticks(range(len(methods)), methods)
    every[0].set_ylim(len(methods) - 0.5, -0.5)
    figure.suptitle(
        f"Bias of predicted CVR over all impressions; {rows:,} impressions trained on. "
        "Dot: a seed, bar: their mean; orange: naive and ESMM",
        x=0.01, ha="left", fontsize=10,
    )  # fmt: skip
    figure.tight_layout(rect=(0, 0, 1, 0.98))
    figure.savefig(path, dpi=130, bbox_inches="tight")


def _panel(axes: Axes, part: pd.DataFrame, methods: Sequence[str]) -> None:
    for row, method in enumerate(methods):
        if method not in part.index:
            continue
        biases = np.array(part.loc[method, "biases"], dtype=float)
        colour = _CONTROL if method in (NAIVE, "esmm") else _COLOUR
        shown = np.clip(biases, _LOW, _HIGH)
        axes.plot(shown, [row] * len(shown), "o", ms=3.5, color=colour, alpha=0.55, mew=0)
        mean = biases.mean()
        axes.plot([np.clip(mean, _LOW, _HIGH)], [row], "|", ms=9, mew=2, color=colour)
        if mean > _HIGH:
            axes.annotate(
                f"{mean:+.0%} ▸", (_HIGH, row), xytext=(-5, 0), textcoords="offset points",
                ha="right", va="center", fontsize=7, color=_INK,
            )  # fmt: skip
    axes.axvline(0, color=_INK, lw=1)
    axes.set_xlim(_LOW * 1.06, _HIGH * 1.06)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="both", color=_FAINT, lw=0.4)
    axes.set_axisbelow(True)
