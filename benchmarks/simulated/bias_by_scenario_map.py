"""The map of benchmarks.simulated.bias_by_scenario: bias and gap closed by scenario and method."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.lib.metrics import Pair, pair_of, paired

NAIVE, CONTROL, TARGETED, ORACLE = "click_space", "multitask", "targeted", "oracle"
ORDER = (NAIVE, CONTROL, "esmm", "escm2_ips", "escm2_dr", "dcmt", TARGETED, ORACLE)
BIAS, LOSS = "relative bias, all", "log loss, all"
CEILING = "relative bias of P(r | x, click), all"
# In the order of the page; titles of the figure.
SCENARIOS = {
    "dense": "nothing wrong (dense)",
    "cvr_blind": "CVR tower blind",
    "ctr_blind": "CTR tower blind",
    "hidden": "hidden confounder",
    "mnar": "click depends on\nconversion (mnar)",
    "low_overlap": "little overlap",
}
Records = Sequence[Mapping[str, Any]]
Place = tuple[str, float]


class BiasMap:
    """Metrics of every method by scenario and correlation."""

    def __init__(self, records: Records) -> None:
        frame = pd.DataFrame(records)
        self.frame = frame.set_index(["scenario", "rho", "method", "seed"]).sort_index()
        self.scenarios = [name for name in SCENARIOS if name in set(frame["scenario"])]
        self.rhos = sorted(set(frame["rho"]))
        self.methods = [name for name in ORDER if name in set(frame["method"])]
        self.seeds = int(frame.groupby(["scenario", "rho", "method"]).size().min())

    @property
    def places(self) -> list[Place]:
        """Scenario and correlation."""
        return [(scenario, rho) for scenario in self.scenarios for rho in self.rhos]

    def of(self, place: Place, metric: str) -> pd.Series:
        """By method and seed."""
        values: pd.Series = self.frame.loc[place][metric].astype(float)
        return values

    def bias(self, place: Place, method: str) -> Pair:
        """Relative bias over all impressions."""
        return pair_of(self.of(place, BIAS)[method])

    def above(self, place: Place, method: str, other: str = ORACLE) -> Pair:
        """Log loss over all impressions, above that of another, in nats."""
        return paired(self.of(place, LOSS), method, other)

    def closed(self, place: Place, method: str) -> float:
        """Share of the gap between naive and oracle; NaN where that is within two errors."""
        width = self.above(place, NAIVE)
        if width.mean <= 0 or (width.seeds > 1 and not width.apart()):
            return float("nan")
        return 1 - self.above(place, method).mean / width.mean

    def over_rhos(self, scenario: str, metric: str, method: str, other: str | None = None) -> Pair:
        """Mean over the correlations, by seed: of its size, or of how far above another's."""
        values = self.frame.loc[scenario][metric].astype(float)
        found = values.xs(method, level="method")
        found = found.abs() if other is None else found - values.xs(other, level="method")
        return pair_of(found.unstack("rho").dropna().mean(axis=1))

    def leaders(self, place: Place) -> list[str]:
        """The method of least log loss, then those within two standard errors of it."""
        contest = [m for m in self.methods if m not in (NAIVE, ORACLE)]
        first = min(contest, key=lambda m: self.above(place, m).mean)
        behind = [m for m in contest if m != first and not self.above(place, m, first).apart()]
        return [first, *sorted(behind, key=lambda m: self.above(place, m).mean)]

    def leaders_text(self, place: Place) -> str:
        """`leaders` as text; with one seed there is no standard error."""
        leaders = self.leaders(place)
        if self.above(place, leaders[0]).seeds < 2:
            return f"{leaders[0]} (one seed)"
        return "all" if len(leaders) == len(self.methods) - 2 else ", ".join(leaders)

    def ceiling(self, place: Place) -> float:
        """Relative bias of P(r | x, click)."""
        return float(self.of(place, CEILING).mean())

    @property
    def seeds_text(self) -> str:
        """How many seeds, and where there are fewer."""
        counts = self.frame.groupby(["scenario", "rho", "method"]).size()
        by_scenario = counts.groupby("scenario").min()
        most = int(by_scenario.max())
        fewer = [f"{by_scenario[s]} in `{s}`" for s in self.scenarios if by_scenario[s] < most]
        text = f"{most} seed" + ("s" if most > 1 else "")
        return f"{text} ({', '.join(fewer)})" if fewer else text


def draw_map(found: BiasMap) -> Figure:
    """Relative bias, and the gap closed: a panel a method, a row a scenario, a column a rho."""
    shown = [m for m in found.methods if m != NAIVE]
    figure = Figure(figsize=(2.0 + 2.05 * len(shown), 6.4), layout="constrained")
    axes = figure.subplots(2, len(shown), squeeze=False)
    for column, method in enumerate(shown):
        biases = _values(found, lambda p, m=method: found.bias(p, m).mean)
        _panel(axes[0, column], found, biases, "RdBu_r", (-0.6, 0.6))
        axes[0, column].set_title(
            f"{method}, the control" if method == CONTROL else method, fontsize=9
        )
        if method == ORACLE:  # all of it, by definition
            axes[1, column].set_axis_off()
            continue
        closed = _values(found, lambda p, m=method: found.closed(p, m))
        _panel(axes[1, column], found, closed, "BrBG", (-1.0, 1.0))
        axes[1, column].set_xlabel("rho", fontsize=8)
    for row, title in enumerate(("relative bias, %", "gap closed, %")):
        axes[row, 0].set_yticks(
            range(len(found.scenarios)), [SCENARIOS[s] for s in found.scenarios], fontsize=8
        )
        axes[row, 0].set_ylabel(title, fontsize=10)
        for panel in axes[row, 1:]:
            panel.set_yticks([])
    figure.suptitle(
        "pCVR over all impressions, held to the true CVR. Above: relative bias. Below: share of "
        "the log loss between\nthe naive model and the oracle that is closed; grey: no gap beyond "
        f"two standard errors over the seeds. {found.seeds_text}",
        fontsize=10,
    )
    return figure


def _values(found: BiasMap, value: Callable[[Place], float]) -> np.ndarray:
    return np.array([[value((w, r)) for r in found.rhos] for w in found.scenarios])


def _panel(
    axes: Axes, found: BiasMap, values: np.ndarray, colours: str, bounds: tuple[float, float]
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
