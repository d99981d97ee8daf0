"""The map of benchmarks/simulated/bias_by_scenario.py."""

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from who_is_right_page import CONTROL, NAIVE, ORACLE, Map, Place, Records, said_of_seeds

NAMES = {CONTROL: "multitask, the control"}
TITLES = {
    "dense": "nothing wrong (dense)",
    "cvr_blind": "CVR tower blind",
    "ctr_blind": "CTR tower blind",
    "hidden": "hidden confounder",
    "mnar": "click depends on\nconversion (mnar)",
    "low_overlap": "little overlap",
}


def the_map(records: Records) -> Figure:
    """Relative bias, and the gap closed: a panel a method, a row a scenario, a column a rho."""
    found = Map(records)
    shown = [m for m in found.methods if m != NAIVE]
    figure = Figure(figsize=(2.0 + 2.05 * len(shown), 6.4), layout="constrained")
    axes = figure.subplots(2, len(shown), squeeze=False)
    for column, method in enumerate(shown):
        biases = _values(found, lambda p, m=method: found.bias(p, m).mean)
        _panel(axes[0, column], found, biases, "RdBu_r", (-0.6, 0.6))
        axes[0, column].set_title(NAMES.get(method, method), fontsize=9)
        if method == ORACLE:  # all of it, by definition
            axes[1, column].set_axis_off()
            continue
        closed = _values(found, lambda p, m=method: found.closed(p, m))
        _panel(axes[1, column], found, closed, "BrBG", (-1.0, 1.0))
        axes[1, column].set_xlabel("rho", fontsize=8)
    for row, title in enumerate(("relative bias, %", "gap closed, %")):
        axes[row, 0].set_yticks(
            range(len(found.scenarios)), [TITLES[w] for w in found.scenarios], fontsize=8
        )
        axes[row, 0].set_ylabel(title, fontsize=10)
        for panel in axes[row, 1:]:
            panel.set_yticks([])
    figure.suptitle(
        "pCVR over all impressions, held to the true CVR. Above: relative bias. Below: share of "
        "the log loss between\nthe naive model and the oracle that is closed; grey: no gap beyond "
        f"two standard errors over the seeds. {said_of_seeds(found)}",
        fontsize=10,
    )
    return figure


def _values(found: Map, value: Callable[[Place], float]) -> np.ndarray:
    return np.array([[value((w, r)) for r in found.rhos] for w in found.scenarios])


def _panel(
    axes: Axes, found: Map, values: np.ndarray, colours: str, bounds: tuple[float, float]
) -> None:
    axes.set_facecolor("#DDDDDD")
    low, high = bounds
    axes.imshow(
        np.ma.masked_invalid(values), cmap=colours, vmin=low, vmax=high, aspect="auto"
    )  # fmt: skip
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            dark = abs(value) > 0.6 * high
            text = "0" if abs(value) < 0.005 else f"{100 * value:+.0f}"
            axes.text(
                column, row, text, ha="center", va="center", fontsize=7.5,
                color="white" if dark else "#222222",
            )  # fmt: skip
    axes.set_xticks(range(len(found.rhos)), [f"{rho:g}" for rho in found.rhos], fontsize=7)
    axes.tick_params(length=0)
