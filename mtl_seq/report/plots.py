"""Figures, drawn without pyplot, so that no window and no global state is touched."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from mtl_seq._files import atomic_path
from mtl_seq.report.findings import CEILING, TRUTH, Findings

__all__ = ["decile_figure", "interval_figure", "main_figure", "save"]

# Okabe and Ito's colours: told apart with any kind of colour vision.
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#8C6D1F", "#5B5B5B")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_INK = "#222222"
_FAINT = "#BBBBBB"


def main_figure(report: Findings) -> Figure:
    """The figure a report opens with."""
    if report.deciles is not None:
        return decile_figure(report)
    return interval_figure(report, "pctcvr", "all", "pcoc", "PCOC of pCTCVR, all impressions", 1.0)


def decile_figure(report: Findings) -> Figure:
    """Relative bias of predicted CVR by decile of the true propensity, one line a model."""
    assert report.deciles is not None
    found = report.deciles
    figure, axes = _canvas(7.6, 4.4)
    place = np.arange(1, len(found.propensity) + 1)
    for name, colour, marker in _styles(report.models):
        if name not in found.relative_bias:
            continue  # a model that only ranks
        # A label that begins with an underscore would be left out of the legend.
        label = f" {name}" if name.startswith("_") else name
        axes.plot(place, found.relative_bias[name], color=colour, marker=marker, ms=5, label=label)
    if not np.allclose(found.relative_bias[CEILING], 0, atol=1e-9):
        ceiling = found.relative_bias[CEILING]
        axes.plot(place, ceiling, color=_INK, ls=":", lw=1.6, label=f"ceiling: {CEILING}")
    axes.axhline(0, color=_INK, lw=1)
    labels = [f"{i}\n{p:.1%}" for i, p in zip(place, found.propensity, strict=True)]
    axes.set_xticks(place, labels)
    axes.set_xlabel("decile of the true propensity P(click | x), with its mean")
    axes.set_ylabel("relative bias of pCVR")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_title("Bias of predicted CVR by propensity, all impressions", loc="left")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


def interval_figure(
    report: Findings, quantity: str, space: str, metric: str, label: str, reference: float
) -> Figure:
    """One figure of every model with its interval, a row a model."""
    figure, axes = _canvas(7.6, 1.3 + 0.42 * len(report.models))
    for row, (name, colour, marker) in enumerate(_styles(report.models)):
        at = report.estimate(name, quantity, space, metric)
        axes.plot([at.low, at.high], [row, row], color=colour, lw=2.4, solid_capstyle="round")
        axes.plot([at.value], [row], color=colour, marker=marker, ms=7)
    axes.axvline(reference, color=_INK, lw=1)
    axes.set_yticks(range(len(report.models)), report.models)
    axes.set_ylim(len(report.models) - 0.5, -0.5)
    axes.set_xlabel(label)
    if metric == "relative_bias":
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", color=_FAINT, lw=0.5)
    return figure


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure, whole or not at all; the suffix says whether PNG or SVG."""
    with atomic_path(path) as aside:
        figure.savefig(aside, dpi=160, bbox_inches="tight", metadata=_undated(Path(path).suffix))


def _undated(suffix: str) -> dict[str, Any]:
    return {"Date": None} if suffix == ".svg" else {}


def _canvas(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height))
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color=_FAINT, lw=0.5)
    axes.set_axisbelow(True)
    return figure, axes


def _styles(models: Sequence[str]) -> list[tuple[str, str, str]]:
    return [
        (name, _COLOURS[i % len(_COLOURS)], _MARKERS[i % len(_MARKERS)])
        for i, name in enumerate(models)
        if name not in (CEILING, TRUTH)
    ]
