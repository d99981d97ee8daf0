"""Whether lambda's standard error is right: its intervals over replicates of a small scenario.

    python benchmarks/simulated/dependence_coverage.py [--replicates 200]

A scenario of 40 users, 20 items and four positions given at random, in which linear towers on
embeddings have the right form; clicks add lambda to their logit where a conversion would follow.
Each replicate is a log of its own. They are written one at a time, so that an interrupted run goes
on where it stopped.
"""

import argparse
import json
import sys
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mtl_seq import FunnelEstimator, models, nn, simulate
from mtl_seq._files import atomic_path
from mtl_seq.data import Encoding
from mtl_seq.errors import SelectionWarning
from mtl_seq.experiments.compare import versions

RESULT = Path(__file__).parent / "results" / "dependence_coverage.json"
ROWS, LAMBDAS = 20_000, (1.5, 0.0)
BUILDER = partial(
    models.esmm_dependent,
    bottom=partial(nn.SharedBottom, hidden=()),
    head=partial(nn.DependentHead, hidden=()),
)
SETTINGS: dict[str, Any] = {"batch_size": 512, "epochs": 6, "lr": 1e-2}


def replicate(log_odds_ratio: float, seed: int) -> dict[str, float | str]:
    """Draw a log and find lambda in it."""
    scenario = simulate.LogisticFunnel(
        users=40,
        items=20,
        interaction=0.0,
        ctr=0.3,
        cvr=0.3,
        mnar=log_odds_ratio,
        exposure=simulate.Exposure("uniform", slots=4, position_effect=1.5),
    )
    log, _ = scenario.sample(ROWS, np.random.default_rng([seed, 5]))
    encoding = Encoding(embedding=8, target_encoding=None)
    estimator = FunnelEstimator(BUILDER, scenario.schema, encoding=encoding, seed=seed, **SETTINGS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SelectionWarning)
        estimator.fit(log)
    assert estimator.dependence_ is not None
    found = estimator.dependence_.test
    return {
        "true": log_odds_ratio,
        "seed": seed,
        "lambda": round(found.log_odds_ratio, 5),
        "standard error": round(found.standard_error, 5),
        "t": round(found.t, 4),
        "verdict": found.verdict,
    }


def summary(records: list[dict[str, Any]], log_odds_ratio: float) -> dict[str, float]:
    """Coverage of the 90% interval, and the standard error beside the spread."""
    own = [record for record in records if record["true"] == log_odds_ratio]
    found = np.array([record["lambda"] for record in own], dtype=float)
    error = np.array([record["standard error"] for record in own], dtype=float)
    t = np.array([record["t"] for record in own], dtype=float)
    return {
        "replicates": len(own),
        "mean lambda": float(found.mean()),
        "sd of lambda": float(found.std(ddof=1)),
        "mean standard error": float(error.mean()),
        "coverage of the 90% interval": float(
            np.mean(np.abs(found - log_odds_ratio) < 1.644854 * error)
        ),
        "rejects lambda = 0 at 5%": float(np.mean(np.abs(t) > 1.959964)),
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Coverage of lambda's intervals.")
    parser.add_argument("--replicates", type=int, default=200)
    parser.add_argument("--out", type=Path, default=RESULT)
    given = parser.parse_args(arguments)
    records: list[dict[str, Any]] = []
    if given.out.exists():
        records = json.loads(given.out.read_text(encoding="utf-8"))["replicates"]
    known = {(record["true"], record["seed"]) for record in records}
    for seed in range(given.replicates):
        for log_odds_ratio in LAMBDAS:
            if (log_odds_ratio, seed) in known:
                continue
            records.append(replicate(log_odds_ratio, seed))
            content = {
                "command": "python benchmarks/simulated/dependence_coverage.py "
                f"--replicates {given.replicates}",
                "settings": {"rows": ROWS, **SETTINGS},
                "versions": versions(),
                "summary": {str(one): summary(records, one) for one in LAMBDAS if seed > 1},
                "replicates": records,
            }
            with atomic_path(given.out) as aside:
                aside.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    for log_odds_ratio in LAMBDAS:
        said = ", ".join(
            f"{name} {value:.3f}" for name, value in summary(records, log_odds_ratio).items()
        )
        print(f"lambda {log_odds_ratio}: {said}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
