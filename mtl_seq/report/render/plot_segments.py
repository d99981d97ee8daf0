"""Bias by segment as a heat map: a row per group, a column per model."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mtl_seq.report.compute.result import ReportResult
from mtl_seq.report.render.style import GREY, INK, SIZE, WIDE, Layout, panels

__all__ = ["segment_figure"]

_MODELS = {True: 12, False: 6}
"""Models side by side on a desktop, and on a phone; more make a second panel."""

_FEWER, _LONG = 4, 8
"""Models on a phone, where names of groups are longer than eight letters."""

_LONGEST = {True: 28, False: 14}
_LETTERS = {True: 75, False: 20}
"""Letters of the models' names that fit in a row; longer ones are rotated."""

_REACH = 0.8
"""Relative bias of the strongest colour; the same in every figure, so that colours compare."""


def segment_figure(report: ReportResult, by: str, layout: Layout) -> Figure:
    """Relative bias of every model in every group of a column."""
    rows = report.main_segments(by)
    groups = list(dict.fromkeys(rows["segment"]))
    table = rows.pivot(index="segment", columns="model", values="relative_bias").loc[groups]
    sizes = rows.drop_duplicates("segment").set_index("segment")
    wide = layout is WIDE
    long = max(len(_short(one, wide)) for one in groups) > _LONG
    beside = _FEWER if long and not wide else _MODELS[wide]
    parts = [report.models[i : i + beside] for i in range(0, len(report.models), beside)]
    figure, grid = panels(layout, len(parts), 1.1 + 0.26 * len(groups), columns=1)
    marks = [_mark(one, sizes.loc[one, "rows"], sizes.loc[one, "small"], wide) for one in groups]
    for axes, models in zip(grid, parts, strict=True):
        _panel(axes, table[list(models)], wide)
        axes.set_yticks(range(len(groups)), marks)
        axes.set_ylabel(by, fontsize=SIZE, fontweight="bold")
    return figure


def _panel(axes: Axes, table: pd.DataFrame, wide: bool) -> None:
    values = table.to_numpy(dtype=np.float64)
    axes.imshow(values, vmin=-_REACH, vmax=_REACH, cmap="RdBu_r", aspect="auto", alpha=0.85)
    for row, column in np.ndindex(*values.shape):
        value = values[row, column]
        text = "n/a" if np.isnan(value) else f"{round(value, 2) + 0.0:+.0%}"
        colour = "white" if abs(value) > 0.65 * _REACH else INK
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=SIZE)
    axes.set_xticks(range(len(table.columns)), [_short(name, wide) for name in table.columns])
    axes.xaxis.tick_top()
    axes.tick_params(length=0, labelsize=SIZE, labelcolor=INK, color=GREY)
    letters = sum(len(_short(name, wide)) for name in table.columns)
    if letters > _LETTERS[wide]:
        for label in axes.get_xticklabels():
            label.set(rotation=40, ha="left")
    axes.spines[:].set_visible(False)
    axes.grid(visible=False)


def _mark(group: str, rows: float, small: str | None, wide: bool) -> str:
    star = "*" if isinstance(small, str) else ""
    name = f"{_short(group, wide)}{star}"
    return f"{name} ({int(rows):,})" if wide else name


def _short(text: str, wide: bool) -> str:
    half = _LONGEST[wide] // 2  # names often differ in their last letters
    return text if len(text) <= 2 * half else f"{text[: half - 1]}…{text[-half:]}"
