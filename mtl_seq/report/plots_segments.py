"""Bias by segment as a heat map: a row a group, a column a model."""

import numpy as np
from matplotlib.figure import Figure

from mtl_seq.report.findings import Findings
from mtl_seq.report.style import GREY, INK, SIZE, WIDE, Layout, canvas

__all__ = ["segment_figure"]

_LONGEST = 24
_LEVEL = 8
"""Models whose names fit side by side."""
_REACH = 0.8
"""Relative bias of the strongest colour; the same in every figure, so that colours compare."""


def segment_figure(report: Findings, by: str, layout: Layout) -> Figure:
    """Relative bias of every model in every group of a column.

    With a truth of pCVR over all impressions; without one, of pCTCVR, which a log identifies.
    """
    quantity = "pcvr" if report.known else "pctcvr"
    rows = report.segments[
        (report.segments["by"] == by)
        & (report.segments["quantity"] == quantity)
        & (report.segments["space"] == "all")
    ]
    groups = list(dict.fromkeys(rows["segment"]))
    table = rows.pivot(index="segment", columns="model", values="relative_bias")
    values = table.loc[groups, list(report.models)].to_numpy(dtype=np.float64)
    few = rows.drop_duplicates("segment").set_index("segment")
    figure, axes = canvas(layout, 1.0 + 0.26 * len(groups))
    axes.imshow(values, vmin=-_REACH, vmax=_REACH, cmap="RdBu_r", aspect="auto", alpha=0.85)
    for row, column in np.ndindex(*values.shape):
        value = values[row, column]
        strong = abs(value) > 0.65 * _REACH
        text = "n/a" if np.isnan(value) else f"{round(value, 2) + 0.0:+.0%}"
        colour = "white" if strong else INK
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=SIZE)
    wide = layout is WIDE
    marks = [
        _mark(group, few.loc[group, "rows"], few.loc[group, "small"], wide) for group in groups
    ]
    axes.set_yticks(range(len(groups)), marks)
    axes.set_xticks(range(len(report.models)), [_short(name) for name in report.models])
    axes.xaxis.tick_top()
    if not wide or len(report.models) > _LEVEL:
        for label in axes.get_xticklabels():
            label.set(rotation=40, ha="left")
    axes.tick_params(length=0, labelsize=SIZE, labelcolor=INK, color=GREY)
    axes.spines[:].set_visible(False)
    axes.grid(visible=False)
    axes.set_ylabel(by, fontsize=SIZE, fontweight="bold")
    return figure


def _mark(group: str, rows: float, small: str | None, wide: bool) -> str:
    star = "*" if isinstance(small, str) else ""
    return f"{_short(group)}{star} ({int(rows):,})" if wide else f"{_short(group)}{star}"


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
