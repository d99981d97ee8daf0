"""Effect of each parameter of the simulator, as figures, and the rates of the named scenarios.

    python -m benchmarks.simulated.parameters [--rows 200000] [--scenario-rows 1000000]

Draws docs/simulator/*.png and keeps benchmarks/results/scenarios.jsonl.gz. Every panel varies one
parameter of a scenario of 2,000 users and 500 items and leaves the others at their defaults (CTR
20%, CVR on clicks 20%, rho 0.4); curves are of the truth, not of labels.
"""

import argparse
from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from benchmarks.lib.pages import ROOT
from benchmarks.lib.results_store import write
from benchmarks.simulated import (
    parameters_events,
    parameters_exposure,
    parameters_population,
    parameters_selection,
)
from benchmarks.simulated.parameter_curves import SEED, ceiling, effective_share, rows, set_rows
from mtl_seq import simulate
from mtl_seq.experiments.compare import versions

FIGURES = ROOT / "docs" / "simulator"
GRIDS: dict[str, dict[str, Callable[[Axes], None]]] = {
    "selection": parameters_selection.PANELS,
    "population": parameters_population.PANELS,
    "exposure_and_context": parameters_exposure.PANELS,
    "actions_delay_drift": parameters_events.PANELS,
}


def draw_grid(name: str, panels: dict[str, Callable[[Axes], None]]) -> None:
    figure, grid = plt.subplots(2, 4, figsize=(13, 5.6), layout="constrained")
    for axes, (title, panel) in zip(grid.flat, panels.items(), strict=False):
        panel(axes)
        axes.set_title(title, fontsize=10, loc="left", family="monospace")
        axes.tick_params(labelsize=7)
        axes.xaxis.label.set_size(8)
        axes.yaxis.label.set_size(8)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_visible(False)
    FIGURES.mkdir(exist_ok=True)
    figure.savefig(FIGURES / f"{name}.png", dpi=80)
    plt.close(figure)


def rates(name: str, many: int) -> dict[str, float | int | str]:
    """Rates of a named scenario, from the truth of a draw."""
    scenario = simulate.scenario(name)
    log, truth = scenario.sample(many, np.random.default_rng(SEED + 1))
    clicked = truth.pctcvr.mean() / truth.pctr.mean()
    return {
        "CTR": round(float(truth.pctr.mean()), 4),
        "CVR on clicks": round(float(clicked), 4),
        "CVR over all impressions": round(float(truth.pcvr.mean()), 4),
        "clicks over all": round(float(clicked / truth.pcvr.mean()), 2),
        "effective share of clicks": round(float(effective_share(truth.pctr)), 3),
        "bias of the ceiling": round(float(ceiling(truth)), 3) + 0.0,
        "users in the draw": log["user_id"].nunique(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=rows())
    parser.add_argument("--scenario-rows", type=int, default=1_000_000)
    parser.add_argument("--only", choices=[*GRIDS, "scenarios"], help="draw one of them")
    given = parser.parse_args()
    set_rows(given.rows)
    for name, panels in GRIDS.items():
        if given.only in (None, name):
            draw_grid(name, panels)
    if given.only not in (None, "scenarios"):
        return
    metadata = {
        "command": "python -m benchmarks.simulated.parameters --scenario-rows "
        f"{given.scenario_rows}",
        "versions": versions(),
        "seed": SEED,
    }
    cells = [{"scenario": n, **rates(n, given.scenario_rows)} for n in simulate.scenarios()]
    write("scenarios", metadata, cells)


if __name__ == "__main__":
    main()
