"""Plot of the Pareto front of a fusion, without pyplot."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

__all__ = ["front_figure"]

_BLUE, _ORANGE, _INK, _FAINT = "#0072B2", "#D55E00", "#222222", "#BBBBBB"


def front_figure(table: pd.DataFrame, names: Sequence[str], *, kind: str, grouped: bool) -> Figure:
    """AUC of clicks against AUC of conversions: all trials, their Pareto front, and the best.

    Args:
        table: The trials of a `FusionSearch`.
        names: The components.
        kind: The kind of fusion.
        grouped: Whether AUCs are within users or requests.
    """
    figure = Figure(figsize=(6.8, 4.8))
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=_FAINT, lw=0.4)
    axes.set_axisbelow(True)
    axes.scatter(table["ctr"], table["ctcvr"], s=14, color=_FAINT, label="a fusion")
    front = table[table["front"]].sort_values("ctr")
    axes.plot(
        front["ctr"], front["ctcvr"], color=_BLUE, marker="o", ms=4, lw=1.4, label="Pareto front"
    )
    best = table.loc[table["utility"].where(table["allowed"]).idxmax()]
    weights = ", ".join(f"{name} {best[f'weight:{name}']:.2f}" for name in names)
    axes.plot(
        [best["ctr"]], [best["ctcvr"]], color=_ORANGE, marker="*", ms=15, ls="", label="chosen"
    )
    for name in names:
        alone = table[table[f"weight:{name}"] == 1].iloc[0]
        axes.plot([alone["ctr"]], [alone["ctcvr"]], color=_INK, marker="D", ms=5, ls="")
        axes.annotate(
            f"{name} alone",
            (alone["ctr"], alone["ctcvr"]),
            xytext=(6, 5),
            textcoords="offset points",
            color=_INK,
        )
    where = "within users or requests" if grouped else "all impressions"
    axes.set_xlabel(f"AUC of clicks, {where}")
    axes.set_ylabel(f"AUC of conversions, {where}")
    axes.set_title(
        f"{kind.capitalize()} fusion, {len(table)} trials\nchosen: {weights}",
        loc="left",
        fontsize=10,
    )
    axes.margins(0.12)
    axes.legend(frameon=False, loc="best")
    return figure
