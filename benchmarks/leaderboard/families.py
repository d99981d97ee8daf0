"""The other families: calibration, scores that rank, weighted clicks, and balanced tasks.

    python benchmarks/leaderboard/families.py [--rows 50000] [--seeds 3] [--only calibration]

A cell is one fit under a seed; all fits of a seed in a scenario see the same rows, under the one
checkpoint rule and the estimator's defaults, but with as many passes as make 400 steps (three over
50,000 rows), and on raw ids: target encodings carry much of what a balance or a ranker has to learn
(docs/methods.md has every model with them). Cells are written one
at a time into benchmarks/results/families.json, so that an interrupted run goes on where it
stopped. At the end the tables are printed and the front of a fusion is drawn into
docs/fusion_front.png. `--table` does that with what there is and runs nothing.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from study import passes_of

from mtl_seq import FunnelEstimator, models, simulate
from mtl_seq._files import atomic_path
from mtl_seq.data import Encoding
from mtl_seq.errors import DataError
from mtl_seq.experiments.compare import versions
from mtl_seq.fit import CHECKPOINT_RULE, DWA, GradNorm, JacobianDescent, Uncertainty
from mtl_seq.functional import auc
from mtl_seq.fusion import order_within, search_fusion
from mtl_seq.losses import DrawnPairs
from mtl_seq.models import CalibrationConfig
from mtl_seq.records import FunnelTruth

RESULT = Path(__file__).parent / "results" / "families.json"
FIGURE = Path(__file__).parents[1] / "docs" / "fusion_front.png"
TEST_ROWS = 50_000
RAW = Encoding(target_encoding=None)

# Where what is clicked converts, and where it does not: a fusion has something to trade there only.
WORLDS = {"dense": ("dense", 0.8), "opposed": ("dense", -0.8), "cvr_blind": ("cvr_blind", 0.8)}
CALIBRATED = {"multitask": models.multitask, "esmm": models.esmm, "multi_ipw": models.multi_ipw}
RANKING = {
    "esmm": models.esmm,
    "reweighted": models.reweighted,
    "pairwise_ranker": models.pairwise_ranker,
    "pairwise_ranker, pool": partial(models.pairwise_ranker, comparisons=DrawnPairs(pool=True)),
    "lambda_ranker": models.lambda_ranker,
}
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
Figures = dict[str, float]


class Draw:
    """One scenario's training and test rows under a seed."""

    def __init__(self, scenario: str, rows: int, seed: int, **parameters: Any) -> None:
        self.simulator = simulate.scenario(scenario, seed=seed, **parameters)
        self.log, _ = self.simulator.sample(rows, np.random.default_rng([seed, 1]))
        self.test, self.truth = self.simulator.sample(TEST_ROWS, np.random.default_rng([seed, 2]))
        self.seed, self.rho = seed, float(parameters["rho"])

    def fit(self, builder: Callable[..., Any], **settings: Any) -> FunnelEstimator:
        """A model on the training rows."""
        passes = passes_of(len(self.log))
        estimator = FunnelEstimator(
            builder, self.simulator.schema, encoding=RAW, epochs=passes, seed=self.seed, **settings
        )
        return estimator.fit(self.log)


def calibration(draw: Draw, model: str, method: str) -> Figures:
    settings = {} if method == "none" else {"calibrate": CalibrationConfig(method)}
    return cvr(draw.fit(CALIBRATED[model], **settings).predict(draw.test), draw)


def ranking(draw: Draw, model: str) -> Figures:
    scores = draw.fit(RANKING[model]).predict(draw.test)
    score = scores["score"] if "score" in scores else scores["pctcvr"]
    return order(score.to_numpy(), draw)


def fused(draw: Draw, kind: str) -> Figures:
    """Both probabilities of ESMM and a ranker's score; weights searched on rows of their own."""
    valid, _ = draw.simulator.sample(20_000, np.random.default_rng([draw.seed, 3]))
    esmm, ranker = draw.fit(models.esmm), draw.fit(models.pairwise_ranker)

    def components(rows: pd.DataFrame) -> dict[str, pd.Series]:
        said, score = esmm.predict(rows), ranker.predict(rows)["score"]
        # A geometric fusion takes what is positive; the order is the score's.
        return {"pCTR": said["pctr"], "pCVR": said["pcvr"], "ranker": 1 / (1 + np.exp(-score))}

    schema = draw.simulator.schema
    found = search_fusion(components(valid), valid, schema=schema, kind=kind, seed=draw.seed)  # type: ignore[arg-type]
    if kind == "geometric" and draw.seed == 0 and draw.rho < 0:
        found.plot(FIGURE)
    score = found.best.fuse(components(draw.test), draw.test[schema.group])["score"]
    return order(score.to_numpy(), draw)


def weighted_clicks(draw: Draw, beta: float, scale: str) -> Figures:
    build = partial(models.reweighted, engagement={"conversion": beta}, scale=scale)
    score = draw.fit(build).predict(draw.test)["score"].to_numpy()
    clicked = draw.log[draw.log["click"] == 1]
    return {
        "k": float(1 + beta * clicked["conversion"].mean()),
        "PCOC of the sigmoid, clicks": float((1 / (1 + np.exp(-score))).mean())
        / float(draw.truth.pctr.mean()),
        **order(score, draw),
    }


def balanced(draw: Draw, model: str, balance: str) -> Figures:
    start = time.perf_counter()
    builder = {"esmm": models.esmm, "escm2_ips": models.escm2_ips}[model]
    estimator = draw.fit(builder, balance=BALANCES[balance])
    seconds = time.perf_counter() - start
    weights = {
        name: value
        for name, value in estimator.run_.training_history[-1].items()
        if name.startswith("balance/")
    }
    return cvr(estimator.predict(draw.test), draw) | weights | {"seconds": seconds}


def cvr(scores: pd.DataFrame, draw: Draw) -> Figures:
    predicted, truth = scores["pcvr"].to_numpy(), draw.truth.pcvr
    inside = np.clip(predicted, 1e-12, 1 - 1e-12)
    loss = -(truth * np.log(inside) + (1 - truth) * np.log1p(-inside)).mean()
    clicked = (draw.test["click"] == 1).to_numpy()
    given = draw.truth.pcvr_clicked[clicked]
    return {
        "relative bias, all": float(predicted.mean() / truth.mean() - 1),
        "log loss, all": float(loss),
        "AUC, all": area(predicted, truth),
        "PCOC, clicks": float(predicted[clicked].mean() / given.mean()),
    }


def order(score: np.ndarray, draw: Draw) -> Figures:
    users = pd.factorize(draw.test["user_id"])[0]
    labels = {name: draw.test[name].to_numpy(dtype=float) for name in ("click", "conversion")}
    truth: FunnelTruth = draw.truth
    return {
        "CTR AUC, all": area(score, truth.pctr),
        "CTCVR AUC, all": area(score, truth.pctcvr),
        "CTR AUC, within users": order_within(score, labels["click"], users),
        "CTCVR AUC, within users": order_within(score, labels["conversion"], users),
    }


def area(score: np.ndarray, target: np.ndarray) -> float:
    return float(auc(torch.from_numpy(score.copy()), torch.from_numpy(target.copy())))


def cells(rows: int, seed: int) -> Iterator[tuple[str, tuple[str, ...], Callable[[], Figures]]]:
    """Part, its cell, and what computes it; a scenario is drawn when a cell of it runs first."""
    drawn: dict[str, Draw] = {}

    def simulator(name: str) -> Draw:
        scenario, rho = WORLDS[name]
        if name not in drawn:
            drawn[name] = Draw(scenario, rows, seed, rho=rho)
        return drawn[name]

    for scenario in ("dense", "cvr_blind"):
        for model in CALIBRATED:
            for method in ("none", "shift", "platt", "isotonic"):
                cell = (scenario, model, method)
                yield "calibration", cell, lambda c=cell: calibration(simulator(c[0]), *c[1:])
    for model in RANKING:
        yield "ranking", ("dense", model), lambda m=model: ranking(simulator("dense"), m)
    yield "ranking", ("opposed", "esmm"), lambda: ranking(simulator("opposed"), "esmm")
    for where in ("dense", "opposed"):
        for kind in ("geometric", "rank"):
            name = f"fusion, {kind}"
            yield (
                "ranking",
                (where, name),
                partial(lambda w, k: fused(simulator(w), k), where, kind),
            )
    for beta in (1.0, 4.0, 16.0):
        for scale in ("raw", "normalised", "corrected"):
            run = partial(lambda b, s: weighted_clicks(simulator("dense"), b, s), beta, scale)
            yield "weighted clicks", ("dense", f"beta {beta:g}", scale), run
    for model in ("esmm", "escm2_ips"):
        for balance in BALANCES:
            run = partial(lambda m, b: balanced(simulator("dense"), m, b), model, balance)
            yield "balance", ("dense", model, balance), run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", help="calibration, ranking, weighted clicks or balance")
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--table", action="store_true", help="print what there is")
    asked = parser.parse_args()
    kept = json.loads(asked.out.read_text()) if asked.out.exists() else {"cells": []}
    if kept["cells"] and kept["rows"] != asked.rows:
        raise SystemExit(f"{asked.out} holds a run of {kept['rows']} rows: name another --out")
    done = {(c["seed"], c["part"], tuple(c["cell"])) for c in kept["cells"]}
    for seed in range(0 if asked.table else asked.seeds):
        for part, cell, run in cells(asked.rows, seed):
            if (seed, part, cell) in done or asked.only not in (None, part):
                continue
            try:
                figures: dict[str, Any] = run()
            except DataError as error:
                figures = {"refused": str(error)}
            kept["cells"].append({"seed": seed, "part": part, "cell": list(cell), **figures})
            kept |= {"rows": asked.rows, "test_rows": TEST_ROWS, "encoding": "raw ids"}
            kept |= {"checkpoint_rule": CHECKPOINT_RULE, "versions": versions()}
            with atomic_path(asked.out) as aside:
                aside.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
            print(seed, part, *cell, flush=True)
    print_tables(kept["cells"])


def print_tables(found: list[dict[str, Any]]) -> None:
    """Mean and standard deviation over the seeds."""
    table = pd.DataFrame(found)
    for part, some in table.groupby("part", sort=False):
        if "refused" in some:
            for cell in some.loc[some["refused"].notna(), "cell"]:
                print("refused:", *cell)
        names = [c for c in some.columns if c not in ("seed", "part", "cell", "refused")]
        names = [name for name in names if some[name].notna().any()]
        some = some.assign(cell=some["cell"].map(", ".join))
        groups = some.groupby("cell", sort=False)[names]
        mean, spread = groups.mean(), groups.std()
        shown = mean.map("{:.4f}".format) + " ± " + spread.map("{:.4f}".format)
        print(f"\n## {part}\n")
        print("| cell | " + " | ".join(names) + " |\n|" + "---|" * (len(names) + 1))
        for cell, row in shown.iterrows():
            told = ("" if "nan" in value else value for value in row)
            print(f"| {cell} | " + " | ".join(told) + " |")


if __name__ == "__main__":
    main()
