"""ESMM on MMoE experts against ESMM on a shared bottom of as many parameters.

    python benchmarks/papers/esmm_bottoms.py [--raw RAW] [--seeds 10]

Scenarios `dense`, `cvr_blind` (200,000 impressions) and `sparse` (1,000,000), and KuaiRand-Pure where
RAW, the folder of its original files, is given. Figures are differences MMoE minus shared bottom,
paired by seed, with their standard error: the AUC against the true CVR over all impressions and
the absolute relative bias there; on KuaiRand the AUC of CTCVR over all impressions and of CVR on
clicks. The result is kept in benchmarks/results/esmm_bottoms.json; `esmm_factors.py` looks for what
can make MMoE trail.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mtl_seq import BiasReport, FunnelEstimator, Schema, models, nn, simulate
from mtl_seq.data import read_frame
from mtl_seq.experiments.compare import versions
from mtl_seq.fit import CHECKPOINT_RULE
from mtl_seq.functional import auc

ROOT = Path(__file__).parents[1]
CONVERT = ROOT / "datasets" / "kuairand-pure" / "convert.py"
RESULT = Path(__file__).parent / "results" / "esmm_bottoms.json"
WORLDS = {"dense": 200_000, "cvr_blind": 200_000, "sparse": 1_000_000}
TEST_ROWS = 100_000


def size(module: Any) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def equal_shared(in_features: int, towers: int) -> nn.SharedBottom:
    """A shared bottom with as many parameters as the default MMoE, to the nearest width."""
    wanted = size(nn.MMoE(in_features, towers))
    width = round((wanted - 32) / (in_features + 33))
    return nn.SharedBottom(in_features, towers, hidden=(width, 32))


def on_scenario(name: str, rows: int, seed: int, bottom: Any) -> dict[str, float]:
    """Fit once and measure against the truth."""
    scenario = simulate.scenario(name, seed=seed)
    log, _ = scenario.sample(rows, np.random.default_rng([seed, 1]))
    test, truth = scenario.sample(TEST_ROWS, np.random.default_rng([seed, 2]))
    build = partial(models.esmm, bottom=bottom)
    scores = FunnelEstimator(build, scenario.schema, seed=seed).fit(log).predict(test)
    pcvr = scores["pcvr"].to_numpy()
    return {
        "AUC": float(auc(pcvr, truth.pcvr)),
        "|relative bias|": abs(float(pcvr.mean() / truth.pcvr.mean() - 1)),
    }


def on_kuairand(folder: Path, seed: int, bottom: Any) -> dict[str, float]:
    """Fit once and measure on the later days."""
    schema = Schema.from_json(folder / "schema.json")
    test = read_frame(folder / "test.parquet")
    # Two passes, as every other model of this study made on this log.
    builder = partial(models.esmm, bottom=bottom)
    estimator = FunnelEstimator(builder, schema, epochs=2, seed=seed)
    scores = estimator.fit(folder / "train.parquet").predict(test)
    table = BiasReport.from_log({"m": scores}, test, schema=schema, replicates=2).table.loc["m"]
    return {
        "AUC": float(table["CTCVR AUC", "all"]),
        "AUC on clicks": float(table["CVR AUC", "clicks"]),
        "|relative bias|": abs(float(table["CTCVR PCOC", "all"]) - 1),
    }


def paired(measure: Callable[[int, Any], dict[str, float]], seeds: range) -> dict[str, Any]:
    """Both bottoms on every seed: means, and the difference with its standard error."""
    runs = {
        name: pd.DataFrame([measure(seed, bottom) for seed in seeds])
        for name, bottom in (("MMoE", nn.MMoE), ("shared", equal_shared))
    }
    difference = runs["MMoE"] - runs["shared"]
    return {
        figure: {
            "MMoE": round(float(runs["MMoE"][figure].mean()), 5),
            "shared": round(float(runs["shared"][figure].mean()), 5),
            "difference": round(float(difference[figure].mean()), 5),
            "standard error": round(float(difference[figure].sem()), 5),
        }
        for figure in difference
    }


def in_scenario(name: str, seeds: range) -> dict[str, Any]:
    """Both bottoms in a named scenario."""
    return paired(lambda seed, bottom: on_scenario(name, WORLDS[name], seed, bottom), seeds)


def in_kuairand(raw: Path, seeds: range) -> dict[str, Any]:
    """Both bottoms on KuaiRand-Pure."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(CONVERT), str(raw), folder]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return paired(lambda seed, bottom: on_kuairand(Path(folder), seed, bottom), seeds)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--raw", type=Path)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--out", type=Path, default=RESULT)
    given = parser.parse_args()
    seeds = range(given.seeds)
    result: dict[str, Any] = {
        "command": "python benchmarks/papers/esmm_bottoms.py "
        f"{'--raw RAW ' if given.raw else ''}--seeds {given.seeds}",
        "versions": versions(),
        "checkpoint_rule": CHECKPOINT_RULE,
        "bottom parameters at 97 inputs": {
            "MMoE": size(nn.MMoE(97, 2)),
            "shared": size(equal_shared(97, 2)),
        },
    }
    studies: dict[str, Callable[[], dict[str, Any]]] = {
        name: partial(in_scenario, name, seeds) for name in ("dense", "cvr_blind")
    }
    if given.raw:
        studies["kuairand, long_view"] = partial(in_kuairand, given.raw, seeds)
    studies["sparse"] = partial(in_scenario, "sparse", seeds)
    for name, study in studies.items():
        print(f"{name}; seeds {given.seeds}")
        result[name] = study()
        print(json.dumps(result[name], indent=1), flush=True)
        given.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
