"""Figures of docs/selection_bias.md: what clicks show, and what they hide, in four scenarios.

    python -m benchmarks.simulated.selection_bias [--rows 400000]

Nothing is trained. The simulator knows pCTR and pCVR of every impression, so that what a model
learns from endless clicks can be written down: for what its CVR tower sees, the mean CVR over
clicks, or over clicks weighted by the inverse of their true propensity. Figures carry the sampling
of rows and no noise of labels. The numbers are kept in benchmarks/results/selection_bias.jsonl.gz.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from benchmarks.lib.pages import ROOT
from benchmarks.lib.results_store import path_of, write
from mtl_seq import simulate
from mtl_seq.experiments.compare import versions
from mtl_seq.records import FunnelTruth
from mtl_seq.report.render.plot_bias import save

SCENARIOS = {
    "dense": "nothing is hidden",
    "cvr_blind": "the CVR tower does not see the user",
    "hidden": "an unlogged confounder",
    "mnar": "clicks depend on the conversion itself",
}
DECILES = 10
FloatArray = NDArray[np.float64]


def learned(truth: FunnelTruth, seen: NDArray[Any] | None, *, weighted: bool) -> FloatArray:
    """CVR that a tower of unlimited capacity learns from unlimited clicks.

    Args:
        truth: The truth of the rows.
        seen: Code of the features that the tower sees; None for all of x.
        weighted: Whether clicks are weighted by the inverse of their propensity.

    Returns:
        ``(N,)`` its pCVR.
    """
    weight = np.ones_like(truth.pctr) if weighted else truth.pctr
    if seen is None:
        return truth.pcvr_clicked
    rows = pd.DataFrame({"seen": seen, "w": weight, "wr": weight * truth.pcvr_clicked})
    sums = rows.groupby("seen").transform("sum")
    return np.asarray(sums["wr"] / sums["w"])


def measured(name: str, rows: int, seed: int) -> dict[str, Any]:
    """Means over spaces, and by decile of the propensity, of one scenario."""
    scenario = simulate.scenario(name, seed=seed)
    log, truth = scenario.sample(rows, np.random.default_rng(seed))
    hidden = scenario.schema.hidden.get("conversion", ())
    seen = log["item_id"].to_numpy() if hidden else None
    curves = {
        "true": truth.pcvr,
        "learned on clicks": learned(truth, seen, weighted=False),
        "learned on weighted clicks": learned(truth, seen, weighted=True),
    }
    decile = pd.qcut(truth.pctr, DECILES, labels=False)
    means = {"all": truth.pcvr.mean(), "clicks": truth.pctcvr.sum() / truth.pctr.sum()}
    off = truth.pctr.size - truth.pctr.sum()
    means["non-clicks"] = (truth.pcvr.sum() - truth.pctcvr.sum()) / off
    return {
        "scenario": name,
        "what": SCENARIOS[name],
        "hidden from the CVR tower": list(hidden),
        "mean true CVR": {space: round(float(mean), 5) for space, mean in means.items()},
        "relative bias over all impressions": {
            curve: round(float(values.mean() / truth.pcvr.mean() - 1), 4)
            for curve, values in curves.items()
        },
        "by propensity decile": {
            curve: np.round(pd.Series(values).groupby(decile).mean(), 5).tolist()
            for curve, values in curves.items()
        },
        "propensity of the deciles": np.round(
            pd.Series(truth.pctr).groupby(decile).mean(), 5
        ).tolist(),
    }


def draw_means(scenarios: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """The mean CVR of three spaces."""
    figure = Figure(figsize=(8, 3.2))
    panel = figure.subplots()
    colours = {"clicks": "#E69F00", "all": "#222222", "non-clicks": "#56B4E9"}
    for offset, (space, colour) in enumerate(colours.items()):
        heights = [100 * found["mean true CVR"][space] for found in scenarios.values()]
        places = np.arange(len(scenarios)) + 0.27 * (offset - 1)
        bars = panel.bar(places, heights, 0.25, color=colour, label=space)
        panel.bar_label(bars, fmt="%.1f", fontsize=8)
    panel.set_xticks(range(len(scenarios)), list(scenarios))
    panel.set_ylabel("mean true CVR, %")
    panel.legend(frameon=False, fontsize=8, ncols=3, loc="upper center", bbox_to_anchor=(0.5, 1.17))
    panel.spines[["top", "right"]].set_visible(False)
    save(figure, path)


def draw_curves(scenarios: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """What is learned against what is true, by propensity."""
    styles = {
        "true": {"color": "#222222", "lw": 4, "alpha": 0.35},
        "learned on clicks": {"color": "#D55E00", "marker": "o", "ms": 4},
        "learned on weighted clicks": {"color": "#0072B2", "marker": "s", "ms": 3, "ls": "--"},
    }
    figure = Figure(figsize=(10, 3.4))
    for panel, (name, found) in zip(
        figure.subplots(1, len(scenarios)), scenarios.items(), strict=True
    ):
        for curve, style in styles.items():
            values = [100 * value for value in found["by propensity decile"][curve]]
            panel.plot(found["propensity of the deciles"], values, label=curve, **style)
        panel.set_title("\n".join((name, *wrap(found["what"], 26))), fontsize=8)
        panel.set_xlabel("propensity, P(click | x)", fontsize=8)
        panel.set_ylim(bottom=0)
        panel.tick_params(labelsize=7)
        panel.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("mean CVR over all impressions\nof the decile, %", fontsize=8)
    figure.axes[0].legend(frameon=False, fontsize=7)
    save(figure, path)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=path_of("selection_bias"))
    parser.add_argument("--figures", type=Path, default=ROOT / "docs")
    given = parser.parse_args(arguments)
    scenarios = {name: measured(name, given.rows, given.seed) for name in SCENARIOS}
    metadata = {
        "command": f"python -m benchmarks.simulated.selection_bias --rows {given.rows}",
        "versions": versions(),
        "settings": {"rows": given.rows, "seed": given.seed},
    }
    write(given.out, metadata, scenarios.values())
    for name, found in scenarios.items():
        print(name, found["mean true CVR"], found["relative bias over all impressions"])
    draw_means(scenarios, given.figures / "selection_means.png")
    draw_curves(scenarios, given.figures / "selection_learned.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
