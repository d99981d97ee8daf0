"""The other families: calibration, scores that rank, weighted clicks, and balanced tasks.

    python -m benchmarks.leaderboard.families [--seeds 3] [--only calibration]

A cell is one fit under a seed; all fits of a seed in a scenario see the same rows, under the one
checkpoint rule and the estimator's defaults, but with as many epochs as make 400 steps, and on raw
ids: target encodings carry much of what a balance or a ranker has to learn (docs/methods.md has
every model with them). Cells are kept one at a time in benchmarks/results/families.jsonl.gz, so
that an interrupted run resumes. The front of a fusion is drawn into docs/fusion_front.png.
"""

import sys
import time
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from benchmarks.lib.metrics import area, measure
from benchmarks.lib.pages import ROOT
from benchmarks.lib.study import SPACES, Draw, Study, draw, epochs_of, launch, parser_of
from mtl_seq import FunnelEstimator, models, simulate
from mtl_seq.data import Encoding
from mtl_seq.fit import DWA, GradNorm, JacobianDescent, Uncertainty
from mtl_seq.fusion import order_within, search_fusion
from mtl_seq.losses import DrawnPairs
from mtl_seq.models import CalibrationConfig

FIGURE = ROOT / "docs" / "fusion_front.png"
ROWS, TEST_ROWS = 50_000, 50_000
RAW = Encoding(target_encoding=None)

# Where what is clicked converts, and where it does not: only there has a fusion something to trade.
SCENARIOS = {"dense": ("dense", 0.8), "opposed": ("dense", -0.8), "cvr_blind": ("cvr_blind", 0.8)}
CALIBRATED = {"multitask": models.multitask, "esmm": models.esmm, "multi_ipw": models.multi_ipw}
CALIBRATIONS = ("none", "shift", "platt", "isotonic")
RANKING = {
    "esmm": models.esmm,
    "reweighted": models.reweighted,
    "pairwise_ranker": models.pairwise_ranker,
    "pairwise_ranker, pool": partial(models.pairwise_ranker, comparisons=DrawnPairs(pool=True)),
    "lambda_ranker": models.lambda_ranker,
}
BETAS, SCALES = (1.0, 4.0, 16.0), ("raw", "normalised", "corrected")
BALANCED = {"esmm": models.esmm, "escm2_ips": models.escm2_ips}
BALANCES: Mapping[str, Any] = {
    "none": None,
    "uncertainty": Uncertainty,
    "DWA, 100 steps": partial(DWA, steps=100),
    "GradNorm": GradNorm,
    "PCGrad": partial(JacobianDescent, aggregator="PCGrad"),
    "GradVac": partial(JacobianDescent, aggregator="GradVac"),
    "CAGrad": partial(JacobianDescent, aggregator="CAGrad", settings={"c": 0.4}),
    "UPGrad": partial(JacobianDescent, aggregator="UPGrad"),
    "Nash-MTL": partial(
        JacobianDescent, aggregator="NashMTL", settings={"update_weights_every": 10}
    ),
}
Metrics = dict[str, float]


class Cell(NamedTuple):
    """A fit under a seed; `variant` is a calibration, a scale or a balance."""

    seed: int
    part: str
    scenario: str
    model: str
    variant: str = ""


def planned(seed: int) -> list[Cell]:
    """All cells of a seed."""
    ranking = [
        *(("dense", model) for model in RANKING),
        ("opposed", "esmm"),
        *(
            (where, f"fusion, {how}")
            for where in ("dense", "opposed")
            for how in ("geometric", "rank")
        ),
    ]
    return [
        *(
            Cell(seed, "calibration", scenario, model, method)
            for scenario in ("dense", "cvr_blind")
            for model in CALIBRATED
            for method in CALIBRATIONS
        ),
        *(Cell(seed, "ranking", scenario, model) for scenario, model in ranking),
        *(
            Cell(seed, "weighted clicks", "dense", f"beta {beta:g}", scale)
            for beta in BETAS
            for scale in SCALES
        ),
        *(
            Cell(seed, "balance", "dense", model, balance)
            for model in BALANCED
            for balance in BALANCES
        ),
    ]


@lru_cache(maxsize=len(SCENARIOS))
def drawn(name: str, seed: int, rows: int) -> Draw:
    """The rows that all fits of a seed in a scenario see."""
    scenario, rho = SCENARIOS[name]
    return draw(simulate.scenario(scenario, seed=seed, rho=rho), rows, TEST_ROWS, seed)


def fitted(at: Draw, seed: int, builder: Callable[..., Any], **settings: Any) -> FunnelEstimator:
    """A model on the training rows."""
    epochs = epochs_of(len(at.log))
    estimator = FunnelEstimator(
        builder, at.scenario.schema, encoding=RAW, epochs=epochs, seed=seed, **settings
    )
    return estimator.fit(at.log)


def fit(cell: Cell, rows: int) -> Metrics:
    """Metrics of a cell."""
    parts = {
        "calibration": calibrated,
        "ranking": fused if cell.model.startswith("fusion") else ranked,
        "weighted clicks": weighted_clicks,
        "balance": balanced,
    }
    return parts[cell.part](cell, drawn(cell.scenario, cell.seed, rows))


def calibrated(cell: Cell, at: Draw) -> Metrics:
    settings = {} if cell.variant == "none" else {"calibrate": CalibrationConfig(cell.variant)}  # type: ignore[arg-type]
    return cvr(fitted(at, cell.seed, CALIBRATED[cell.model], **settings).predict(at.test), at)


def ranked(cell: Cell, at: Draw) -> Metrics:
    scores = fitted(at, cell.seed, RANKING[cell.model]).predict(at.test)
    return order(scores["score"] if "score" in scores else scores["pctcvr"], at)


def fused(cell: Cell, at: Draw) -> Metrics:
    """Both probabilities of ESMM and a ranker's score; weights searched on separate rows."""
    valid, _ = at.scenario.sample(20_000, np.random.default_rng([cell.seed, 3]))
    esmm, ranker = (fitted(at, cell.seed, b) for b in (models.esmm, models.pairwise_ranker))

    def components(rows: pd.DataFrame) -> dict[str, pd.Series]:
        scores, score = esmm.predict(rows), ranker.predict(rows)["score"]
        # A geometric fusion needs positive values; the order is the score's.
        return {"pCTR": scores["pctr"], "pCVR": scores["pcvr"], "ranker": 1 / (1 + np.exp(-score))}

    schema, kind = at.scenario.schema, cell.model.removeprefix("fusion, ")
    found = search_fusion(components(valid), valid, schema=schema, kind=kind, seed=cell.seed)  # type: ignore[arg-type]
    if (kind, cell.scenario, cell.seed) == ("geometric", "opposed", 0):
        found.plot(FIGURE)
    return order(found.best.fuse(components(at.test), at.test[schema.group])["score"], at)


def weighted_clicks(cell: Cell, at: Draw) -> Metrics:
    beta = float(cell.model.removeprefix("beta "))
    build = partial(models.reweighted, engagement={"conversion": beta}, scale=cell.variant)
    score = fitted(at, cell.seed, build).predict(at.test)["score"]
    clicked = at.log[at.log["click"] == 1]
    probability = (1 / (1 + np.exp(-score))).mean()
    return {
        "k": float(1 + beta * clicked["conversion"].mean()),
        "PCOC of the sigmoid, clicks": float(probability / at.test_truth.pctr.mean()),
        **order(score, at),
    }


def balanced(cell: Cell, at: Draw) -> Metrics:
    start = time.perf_counter()
    estimator = fitted(at, cell.seed, BALANCED[cell.model], balance=BALANCES[cell.variant])
    seconds = time.perf_counter() - start
    weights = {
        name: value
        for name, value in estimator.run_.training_history[-1].items()
        if name.startswith("balance/")
    }
    return cvr(estimator.predict(at.test), at) | weights | {"seconds": seconds}


def cvr(scores: pd.DataFrame, at: Draw) -> Metrics:
    found = measure(scores, at.click, at.test_truth)
    names = ("relative bias, all", "log loss, all", "AUC, all")
    return {name: found[name] for name in names} | {
        "PCOC, clicks": 1 + found["relative bias, clicks"]
    }


def order(scores: pd.Series, at: Draw) -> Metrics:
    users, score = pd.factorize(at.test["user_id"])[0], scores.to_numpy()
    labels = {name: at.test[name].to_numpy(dtype=float) for name in ("click", "conversion")}
    return {
        "CTR AUC, all": area(score, at.test_truth.pctr),
        "CTCVR AUC, all": area(score, at.test_truth.pctcvr),
        "CTR AUC, within users": order_within(score, labels["click"], users),
        "CTCVR AUC, within users": order_within(score, labels["conversion"], users),
    }


def main(arguments: list[str] | None = None) -> int:
    parser = parser_of(__doc__, "families")
    parser.add_argument("--only", help="calibration, ranking, weighted clicks or balance")
    given = parser.parse_args(arguments)
    rows = int(given.scale * ROWS)
    study = Study(
        f"python -m benchmarks.leaderboard.families --seeds {given.seeds}",
        Cell,
        partial(fit, rows=rows),
        {"rows": rows, "test_rows": TEST_ROWS, "encoding": "raw ids"},
        given.out,
        {"spaces": SPACES},
        ("relative bias, all", "CTCVR AUC, all"),
    )
    cells = [c for s in range(given.seeds) for c in planned(s) if given.only in (None, c.part)]
    found = study.kept() if given.table else study.run(cells, given.workers)
    table = pd.DataFrame(found.values()).groupby(list(Cell._fields[1:]), sort=False)
    print(table.mean(numeric_only=True).drop(columns="seed").to_string(na_rep=""))
    return 0


if __name__ == "__main__":
    sys.exit(launch(__spec__))
