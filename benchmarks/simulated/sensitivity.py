"""The truth on the sensitivity curve of a fitted model, in scenarios with hidden confounding.

    python -m benchmarks.simulated.sensitivity [--rows 300000] [--seed 0]

`mnar` is `dense` with clicks that depend on the potential conversion (1.5 on the click logit: the
true odds ratio is exp(1.5) = 4.48 for every row); `hidden` has an unlogged confounder (the
odds ratio differs from row to row); in `dense` nothing is hidden (it is 1). Multi-task and ESMM are
fitted on one draw, and the curve is computed from their predictions on another. The result is kept
in benchmarks/results/sensitivity.jsonl.gz, the figure in docs/sensitivity.png.
"""

import argparse
import math
import sys
from pathlib import Path

from matplotlib.figure import Figure

from benchmarks.lib.pages import ROOT
from benchmarks.lib.results_store import path_of, write
from benchmarks.lib.study import draw
from mtl_seq import FunnelEstimator, models, simulate
from mtl_seq.experiments.compare import versions
from mtl_seq.functional import mean_odds_ratio_cvr, tipping_point
from mtl_seq.records import Scores
from mtl_seq.report.compute.sensitivity import Sensitivity, sensitivity
from mtl_seq.report.render.plot_bias import save
from mtl_seq.report.render.plot_curves import draw_sensitivity

SCENARIOS = {
    "dense": ("dense", {}, 1.0),
    "mnar": ("dense", {"mnar": 1.5}, math.exp(1.5)),
    "hidden": ("hidden", {}, None),
}
BUILDERS = (models.multitask, models.esmm)
TITLES = {
    "mnar": "mnar: who would convert clicks more",
    "hidden": "hidden: an unlogged confounder",
}
BASE = "multitask"


def study(scenario, parameters, psi, rows, seed) -> tuple[dict, Sensitivity, tuple[float, float]]:
    """Metrics of one scenario, its curve, and the point of the truth."""
    simulator = simulate.scenario(scenario, seed=seed, **parameters)
    _, log, _, test, truth = draw(simulator, rows, rows, seed)
    scores = {}
    for builder in BUILDERS:
        predicted = FunnelEstimator(builder, simulator.schema, seed=seed, progress=True).fit(log)
        columns = predicted.predict(test)[list(Scores._fields)].to_numpy().T
        scores[builder.__name__] = Scores(*columns)
    found = sensitivity(BASE, scores[BASE], scores, BASE)
    mean = float(truth.pcvr.mean())
    # The one odds ratio that, were it the same for all rows, would give the true mean.
    equivalent = tipping_point(truth.pctr, truth.pctcvr, mean).psi
    kept = {
        "scenario": scenario,
        "parameters": parameters,
        "true_mean_cvr": mean,
        "true_cvr_on_clicks": float(truth.pctcvr.sum() / truth.pctr.sum()),
        "true_psi": psi,
        "psi_of_the_true_mean_from_the_truth": equivalent,
        "psi_of_the_true_mean_from_the_model": tipping_point(
            scores[BASE].pctr, scores[BASE].pctcvr, mean
        ).psi,
        "mean_pcvr": {name: float(score.pcvr.mean()) for name, score in scores.items()},
        "mean_at_the_true_psi": float(
            mean_odds_ratio_cvr(scores[BASE].pctr, scores[BASE].pctcvr, equivalent)
        ),
        "ranges": {f"{gamma:g}": ends for gamma, ends in found.ranges.items()},
        "worst": found.worst,
    }
    return kept, found, (equivalent, mean)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=path_of("sensitivity"))
    parser.add_argument("--figure", type=Path, default=ROOT / "docs" / "sensitivity.png")
    given = parser.parse_args()
    figure = Figure(figsize=(11, 4.4), layout="constrained")
    panels = dict(zip(TITLES, figure.subplots(1, len(TITLES), sharey=True), strict=True))
    cells = []
    for name, (scenario, parameters, psi) in SCENARIOS.items():
        cell, found, truth = study(scenario, parameters, psi, given.rows, given.seed)
        cells.append({"name": name, **cell})
        print(name, cell)
        if name in panels:
            draw_sensitivity(panels[name], found, truth=truth)
            panels[name].set_title(TITLES[name], loc="left", fontsize=10, pad=16)
            panels[name].legend(frameon=False, fontsize=9, loc="upper right")
    save(figure, given.figure)
    metadata = {
        "command": f"python -m benchmarks.simulated.sensitivity --rows {given.rows} "
        f"--seed {given.seed}",
        "versions": versions(),
        "space": "all impressions",
        "base": BASE,
    }
    write(given.out, metadata, cells)
    return 0


if __name__ == "__main__":
    sys.exit(main())
