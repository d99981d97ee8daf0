"""The sweep of benchmarks.simulated.cart_stage over purchases per click, and its figure."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from benchmarks.lib.metrics import Pair, pair_of, paired

CART, ESMM, CONTROL, ORACLE = "esm2", "esmm", "multitask", "oracle"
AUC, CTCVR, LOSS, BIAS = "AUC, all", "CTCVR AUC, all", "log loss, all", "relative bias, all"
COLOURS = {CART: "#D55E00", ESMM: "#0072B2", CONTROL: "#56B4E9", ORACLE: "#5B5B5B"}
NAMES = {CONTROL: "multitask (the control)"}
# Factors of x, so that no line hides another.
SHIFTS = {CART: 0.94, ESMM: 0.98, CONTROL: 1.02, ORACLE: 1.06}
Records = Sequence[Mapping[str, Any]]
Place = tuple[str, float]


class Sweep:
    """Metrics by encoding, rate, method and seed; AUC in points."""

    def __init__(self, records: Records) -> None:
        frame = pd.DataFrame(records)
        self.frame = frame.set_index(["encoding", "rate", "method", "seed"]).sort_index()
        # Raw ids first.
        self.encodings = sorted(set(frame["encoding"]))
        self.rates = sorted(set(frame["rate"]), reverse=True)
        self.methods = [name for name in COLOURS if name in set(frame["method"])]
        self.seeds = int(frame.groupby(["encoding", "rate", "method"]).size().min())

    @property
    def places(self) -> list[Place]:
        """Encoding and rate."""
        return [(encoding, rate) for encoding in self.encodings for rate in self.rates]

    def of(self, place: Place, metric: str) -> pd.Series:
        """By method and seed: AUC times 100, log loss times 1000."""
        values: pd.Series = self.frame.loc[place][metric].astype(float)
        return (100 if "AUC" in metric else 1000 if "loss" in metric else 1) * values

    def mean(self, place: Place, metric: str, method: str) -> Pair:
        """Over the seeds."""
        return pair_of(self.of(place, metric)[method])

    def gap(self, place: Place, metric: str, method: str = CART, other: str = ESMM) -> Pair:
        """A method minus another, paired over the seeds."""
        return paired(self.of(place, metric), method, other)

    def purchases(self, rate: float) -> float:
        """Mean number in the training log."""
        return float(self.frame.xs(rate, level="rate")["purchases"].mean())


def draw_sweep(sweep: Sweep) -> Figure:
    """By purchases in the log: CVR AUC of all, what ESM2 gains, and bias."""
    figure = Figure(figsize=(11.5, 0.8 + 3.1 * len(sweep.encodings)), layout="constrained")
    axes = figure.subplots(len(sweep.encodings), 3, sharex=True, sharey="col", squeeze=False)
    x = [sweep.purchases(rate) for rate in sweep.rates]
    for row, encoding in enumerate(sweep.encodings):
        level, gain, bias = axes[row]
        for method in sweep.methods:
            for panel, metric in ((level, AUC), (bias, BIAS)):
                found = [sweep.mean((encoding, rate), metric, method) for rate in sweep.rates]
                panel.errorbar(
                    [SHIFTS[method] * at for at in x],
                    [f.mean for f in found], [2 * f.error for f in found],
                    color=COLOURS[method], marker="o", ms=4, lw=1.3, capsize=2,
                    label=NAMES.get(method, method),
                )  # fmt: skip
        for other in (ESMM, CONTROL):
            found = [sweep.gap((encoding, rate), AUC, CART, other) for rate in sweep.rates]
            gain.errorbar(
                [SHIFTS[other] * at for at in x],
                [f.mean for f in found], [2 * f.error for f in found],
                color=COLOURS[other], marker="o", ms=4, lw=1.3, capsize=2,
                label=f"esm2 minus {NAMES.get(other, other)}",
            )  # fmt: skip
        for panel in (gain, bias):
            panel.axhline(0, color="#222222", lw=0.9)
        level.set_ylabel(f"{encoding}\n\nCVR AUC, points", fontsize=9)
        gain.set_ylabel("CVR AUC gained, points", fontsize=9)
        bias.set_ylabel("relative bias of pCVR", fontsize=9)
        for panel in axes[row]:
            panel.set_xscale("log")
            panel.grid(color="#E3E3E3", lw=0.6)
            panel.spines[["top", "right"]].set_visible(False)
            panel.tick_params(labelsize=8)
    for panel in axes[-1]:
        ticks = [f"{n:,.0f}\n{rate:.1%}" for n, rate in zip(x, sweep.rates, strict=True)]
        panel.set_xticks(x, ticks)
        panel.set_xticks([], minor=True)
        panel.set_xlabel("purchases in the training log; purchases per click", fontsize=9)
    axes[0, 0].legend(frameon=False, fontsize=8)
    axes[0, 1].legend(frameon=False, fontsize=8)
    figure.suptitle(
        f"What a cart stage adds, over all impressions; mean of {sweep.seeds} seeds and two "
        "standard errors",
        fontsize=11,
    )
    return figure
