"""The tables and the figure of benchmarks/simulated/cart_stage.py.

    python benchmarks/simulated/cart_stage_page.py

writes them anew between the marks of docs/esm2_cart.md; a test holds the page to them.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from pages import bullets, fill, markdown
from study import Pair, compared, pair_of

RESULT = Path(__file__).parent / "results" / "esm2_cart.json"
PAGE = Path(__file__).parents[1] / "docs" / "esm2_cart.md"
CART, ESMM, CONTROL, ORACLE = "esm2", "esmm", "multitask", "oracle"
AUC, CTCVR, LOSS, BIAS = "AUC, all", "CTCVR AUC, all", "log loss, all", "relative bias, all"
COLOURS = {CART: "#D55E00", ESMM: "#0072B2", CONTROL: "#56B4E9", ORACLE: "#5B5B5B"}
NAMES = {CONTROL: "multitask (the control)"}
SHIFTS = {CART: 0.94, ESMM: 0.98, CONTROL: 1.02, ORACLE: 1.06}
Records = Sequence[Mapping[str, Any]]
Place = tuple[str, float]


class Sweep:
    """Figures by encoding, rate, method and seed; AUC in points."""

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

    def of(self, place: Place, figure: str) -> pd.Series:
        """By method and seed: AUC times 100, log loss times 1000."""
        values: pd.Series = self.frame.loc[place][figure].astype(float)
        return (100 if "AUC" in figure else 1000 if "loss" in figure else 1) * values

    def mean(self, place: Place, figure: str, method: str) -> Pair:
        """Over the seeds."""
        return pair_of(self.of(place, figure)[method])

    def gap(self, place: Place, figure: str, method: str = CART, other: str = ESMM) -> Pair:
        """A method minus another, paired over the seeds."""
        return compared(self.of(place, figure), method, other)

    def purchases(self, rate: float) -> float:
        """Mean number in the training log."""
        return float(self.frame.xs(rate, level="rate")["purchases"].mean())


def blocks(records: Records, content: Mapping[str, Any]) -> dict[str, str]:
    """Markdown by the name of its mark."""
    sweep = Sweep(records)
    settings = content["settings"]
    carts = sweep.frame["carts"].mean()
    found = {
        "setting": f"{sweep.seeds} seeds; {settings['rows']:,} impressions to train on, which "
        f"hold about {carts:,.0f} carts, {settings['test_rows']:,} to test on; "
        f"{content['versions']}.",
        "findings": findings(sweep),
    }
    for encoding in sweep.encodings:
        name = encoding.replace(" ", "-")
        found[f"gains {name}"] = markdown(gains(sweep, encoding), f"{encoding}")
        found[f"levels {name}"] = markdown(levels(sweep, encoding), f"{encoding}")
    return found


def findings(sweep: Sweep) -> str:
    """What came out, in words."""
    raw, encoded = sweep.encodings
    most, least = sweep.rates[0], sweep.rates[-1]

    def ends(encoding: str, figure: str, method: str, other: str, form: str = "+.1f") -> str:
        few, many = (sweep.gap((encoding, at), figure, method, other) for at in (least, most))
        return f"{few.said(form)} at {least:.1%} and {many.said(form)} at {most:.1%}"

    def rarest(encoding: str, method: str) -> str:
        return sweep.mean((encoding, least), BIAS, method).said("+.0%")

    def above(encoding: str) -> str:
        return sweep.gap((encoding, least), AUC, CART, ORACLE).said("+.1f")

    return bullets(
        f"""**The rarer the purchase, the more a cart is worth.** On raw ids ESM2's CVR AUC minus
        ESMM's is {ends(raw, AUC, CART, ESMM)} purchases per click; with target encodings
        {ends(encoded, AUC, CART, ESMM)}. That is {sweep.purchases(least):,.0f} and
        {sweep.purchases(most):,.0f} purchases in the log. With plenty of them no gain is
        seen.""",
        f"""**Against the control it is much the same**: {ends(raw, AUC, CART, CONTROL)} on raw ids,
        {ends(encoded, AUC, CART, CONTROL)} with target encodings. ESMM minus the control is
        {ends(raw, AUC, ESMM, CONTROL)} on raw ids: at the rarest what ESM2 gains is the cart's,
        not that of the entire-space losses.""",
        f"""**Log loss agrees where purchases are rare.** ESM2 minus ESMM, thousandths of a nat:
        {ends(raw, LOSS, CART, ESMM, "+.2f")} on raw ids,
        {ends(encoded, LOSS, CART, ESMM, "+.2f")} with target encodings.""",
        f"""**At the rarest the oracle is no ceiling**: ESM2's CVR AUC minus the oracle's is
        {above(raw)} on raw ids and {above(encoded)} with target encodings. The oracle learns from
        every impression's potential purchase, but knows no cart.""",
        f"""**The level is better on raw ids only, and poorly known.** Relative bias at
        {least:.1%} is {rarest(raw, CART)} for ESM2 and {rarest(raw, ESMM)} for
        ESMM on raw ids, paired
        {ends(raw, BIAS, CART, ESMM, "+.1%")}; {rarest(encoded, CART)} and
        {rarest(encoded, ESMM)} with target encodings, paired
        {ends(encoded, BIAS, CART, ESMM, "+.1%")}.""",
    )


def gains(sweep: Sweep, encoding: str) -> pd.DataFrame:
    """ESM2 minus those that know no cart, paired over the seeds."""
    rows = {}
    for rate in sweep.rates:
        row = {"purchases": f"{sweep.purchases(rate):,.0f}"}
        for other, named in ((ESMM, "ESMM"), (CONTROL, "control")):
            for title, figure in (("CVR AUC", AUC), ("CTCVR AUC", CTCVR), ("log loss", LOSS)):
                gap = sweep.gap((encoding, rate), figure, CART, other)
                row[f"{title}, minus {named}"] = gap.said("+.2f")
        rows[f"{rate:.1%}"] = row
    return pd.DataFrame(rows).T


def levels(sweep: Sweep, encoding: str) -> pd.DataFrame:
    """CVR AUC, log loss and relative bias of all."""
    rows = {}
    for rate in sweep.rates:
        for method in sweep.methods:
            place = (encoding, rate)
            rows[f"{rate:.1%}, `{method}`"] = {
                "CVR AUC": f"{sweep.mean(place, AUC, method).mean:.2f}",
                "CTCVR AUC": f"{sweep.mean(place, CTCVR, method).mean:.2f}",
                "log loss, nats / 1000": f"{sweep.mean(place, LOSS, method).mean:.2f}",
                "relative bias": sweep.mean(place, BIAS, method).said("+.1%"),
            }
    return pd.DataFrame(rows).T


def sweep_figure(records: Records) -> Figure:
    """By purchases in the log: CVR AUC of all, what ESM2 gains, and bias."""
    sweep = Sweep(records)
    figure = Figure(figsize=(11.5, 0.8 + 3.1 * len(sweep.encodings)), layout="constrained")
    axes = figure.subplots(len(sweep.encodings), 3, sharex=True, sharey="col", squeeze=False)
    x = [sweep.purchases(rate) for rate in sweep.rates]
    for row, encoding in enumerate(sweep.encodings):
        level, gain, bias = axes[row]
        for method in sweep.methods:
            for panel, figures in ((level, AUC), (bias, BIAS)):
                found = [sweep.mean((encoding, rate), figures, method) for rate in sweep.rates]
                panel.errorbar(
                    beside(x, SHIFTS[method]),
                    [f.mean for f in found], [2 * f.error for f in found],
                    color=COLOURS[method], marker="o", ms=4, lw=1.3, capsize=2,
                    label=NAMES.get(method, method),
                )  # fmt: skip
        for other in (ESMM, CONTROL):
            found = [sweep.gap((encoding, rate), AUC, CART, other) for rate in sweep.rates]
            gain.errorbar(
                beside(x, SHIFTS[other]), [f.mean for f in found], [2 * f.error for f in found],
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


def beside(x: Sequence[float], shift: float) -> list[float]:
    """Moved a little, so that no line hides another."""
    return [shift * at for at in x]


def print_tables(records: Records) -> None:
    """Gains and levels."""
    sweep = Sweep(records)
    for encoding in sweep.encodings:
        print(f"\n{encoding}, {sweep.seeds} seeds\n{gains(sweep, encoding).to_string()}")
        print(levels(sweep, encoding).to_string())


def main() -> int:
    content = json.loads(RESULT.read_text(encoding="utf-8"))
    fill(PAGE, blocks(content["cells"], content))
    return 0


if __name__ == "__main__":
    sys.exit(main())
