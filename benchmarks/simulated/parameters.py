"""What turning each parameter of the simulator does, as pictures, and the rates of the named scenarios.

    python benchmarks/simulated/parameters.py [--rows 200000] [--scenario-rows 1000000]

Draws docs/simulator/*.png and keeps benchmarks/results/scenarios.json; prints the table of
docs/simulator.md. Every panel turns one parameter of a scenario of 2,000 users and 500 items and leaves the
others at their defaults (CTR 20%, CVR on clicks 20%, rho 0.4); curves are of the truth, not of
labels.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import parameters_events
import parameters_exposure
import parameters_population
import parameters_selection
from matplotlib.axes import Axes
from parameter_curves import SEED, ceiling, effective_share, rows, set_rows

from mtl_seq import simulate
from mtl_seq.experiments.compare import versions

ROOT = Path(__file__).parents[1]
PICTURES, RESULT = ROOT / "docs" / "simulator", ROOT / "benchmarks" / "results" / "scenarios.json"
GRIDS: dict[str, dict[str, Callable[[Axes], None]]] = {
    "selection": parameters_selection.PANELS,
    "population": parameters_population.PANELS,
    "exposure_and_context": parameters_exposure.PANELS,
    "actions_delay_drift": parameters_events.PANELS,
}


def picture(name: str, panels: dict[str, Callable[[Axes], None]]) -> None:
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
    PICTURES.mkdir(exist_ok=True)
    figure.savefig(PICTURES / f"{name}.png", dpi=80)
    plt.close(figure)


def rates(name: str, many: int) -> dict[str, float | int | str]:
    """What a named scenario's truth comes to in a draw."""
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
            picture(name, panels)
    if given.only not in (None, "scenarios"):
        return
    found = {name: rates(name, given.scenario_rows) for name in simulate.scenarios()}
    result = {
        "command": f"python benchmarks/simulated/parameters.py --scenario-rows {given.scenario_rows}",
        "versions": versions(),
        "seed": SEED,
        "scenarios": found,
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for name, row in found.items():
        shown = [f"{value:g}" for value in list(row.values())[:6]]
        print(f"| `{name}` | {simulate.scenarios()[name]} | {' | '.join(shown)} |")


if __name__ == "__main__":
    main()
