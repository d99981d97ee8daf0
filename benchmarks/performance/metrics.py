"""Measure the speed of the metrics, and their distance to scikit-learn, at the size of a real log.

    python -m benchmarks.performance.metrics [--rows 100000000] [--auc-rows 10000000] [--only PART]

Four parts, each with its target:

* ``stream``: every streaming metric in one pass over 100M predictions in parquet, in a separate
  process; rows per second and peak memory (under 2 GB).
* ``auc``: AUC of 10M rows (0.3 s or less, within 1e-6 of scikit-learn), alternating with
  scikit-learn's in the same process.
* ``gauc``: GAUC of 10M rows and 1M users (under 10 s), beside a loop of scikit-learn's over some of
  the users.
* ``bootstrap``: every metric with intervals, 200 resamples of 100,000 users with 1M rows, 6 models,
  5 questions (under 2 minutes), beside as many weighted AUCs of scikit-learn's, timed on a few.

Medians over rounds with the extremes; one seed.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from sklearn.metrics import roc_auc_score
from torchmetrics import MetricCollection

from benchmarks.lib.results_store import path_of
from benchmarks.performance.timing import alone, machine, peak_kb, run_parts, spread, timed
from mtl_seq import metrics
from mtl_seq.functional import auc, grouped_auc
from mtl_seq.report.compute.metrics import EvaluationTarget, measure

MODULE = "benchmarks.performance.metrics"
PARTS = ("stream", "auc", "gauc", "bootstrap")
CHUNK = 1_000_000
SPACES = ("all", "clicks", "non-clicks")


def chunk(rows: int, users: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Predictions of a log with a CTR of about 7% and clicks that favour conversions."""
    z = rng.standard_normal(rows, dtype=np.float32)
    p = 1 / (1 + np.exp(3 - z))
    q = 1 / (1 + np.exp(2.5 - z))
    click = rng.random(rows, dtype=np.float32) < p
    noise = rng.standard_normal((2, rows), dtype=np.float32)
    return {
        "prediction": 1 / (1 + np.exp(2.3 - z - 0.3 * noise[0])),
        "target": q,
        "pctr": 1 / (1 + np.exp(3 - z - 0.3 * noise[1])),
        "true_pctr": p,
        "click": click,
        "conversion": click & (rng.random(rows, dtype=np.float32) < q),
        "group": rng.integers(users, size=rows, dtype=np.int64),
        "field": rng.integers(100, size=rows, dtype=np.int64),
    }


def everything() -> MetricCollection:
    """All streaming metrics on all their spaces."""
    spaced = {
        f"{kind.__name__} {space}": kind(space)
        for space in SPACES
        for kind in (
            *(metrics.AUC, metrics.KS, metrics.ECE, metrics.NullECE, metrics.ReliabilityCurve),
            *(metrics.Recalibration, metrics.LogLoss, metrics.NormalisedEntropy, metrics.PCOC),
            *(metrics.MeanBias, metrics.RelativeBias, metrics.RMSE),
        )
    }
    rest = {
        "GAUC": metrics.GAUC(),
        "FieldRCE": metrics.FieldRCE(100),
        "BiasByPropensity": metrics.BiasByPropensity(),
        "CTCVRAUC": metrics.CTCVRAUC(),
        "ErrorCorrelation": metrics.ErrorCorrelation(),
        "EffectiveSampleSize": metrics.EffectiveSampleSize(),
        "LargestWeightShare": metrics.LargestWeightShare(),
        "Balance": metrics.CovariateBalance(2),
        "IPSAUC": metrics.IPSAUC(),
        "DRAUC": metrics.DRAUC(),
        "IPSLogLoss": metrics.IPSLogLoss(),
        "SNIPSLogLoss": metrics.SNIPSLogLoss(),
        "DRLogLoss": metrics.DRLogLoss(),
    }
    return MetricCollection(spaced | rest)


def pass_over(path: Path) -> dict[str, Any]:
    """Read a parquet file once, batch by batch."""
    collection = everything()
    start = time.perf_counter()
    rows = 0
    # Buffers read ahead are kept until the file is closed: 20 bytes a row.
    for batch in pq.ParquetFile(path, pre_buffer=False).iter_batches(batch_size=CHUNK // 4):
        columns = {
            name: torch.tensor(batch[name].to_numpy(zero_copy_only=False))
            for name in batch.schema.names
        }
        columns["features"] = torch.stack((columns["pctr"], columns["prediction"]), dim=1)
        collection.update(
            **columns,
            pcvr=columns["prediction"],
            true_pcvr=columns["target"],
            propensity=columns["true_pctr"],
            imputation=columns["prediction"],
        )
        rows += len(batch)
    values = collection.compute()
    seconds = time.perf_counter() - start
    assert all(torch.isfinite(value) for value in values.values() if torch.is_tensor(value))
    return {
        "metrics": len(values),
        "rows": rows,
        "seconds": seconds,
        "rows per second": rows / seconds,
        "peak memory, GB": peak_kb() / 2**20,
        "GAUC's share of the users": collection["GAUC"].share,
    }


def stream(rows: int, folder: Path) -> dict[str, Any]:
    """Write the file, then read it in a new process."""
    path = folder / "predictions.parquet"
    rng = np.random.default_rng(0)
    writer = None
    for start in range(0, rows, CHUNK):
        columns = chunk(min(CHUNK, rows - start), max(rows // 10, 1), rng)
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    writer.close()
    return alone("-m", MODULE, "--pass-over", path) | {"file, GB": path.stat().st_size / 2**30}


def auc_rows(rows: int, rounds: int) -> dict[str, Any]:
    """Alternate with scikit-learn's, at two shares of positives."""
    rng = np.random.default_rng(0)
    by_share = {}
    for share in (0.04, 0.5):
        label = rng.random(rows) < share
        z = rng.standard_normal(rows, dtype=np.float32) + 0.7 * label - 3
        score = (1 / (1 + np.exp(-z))).astype(np.float32)
        ours, theirs = [], []
        for _ in range(rounds):
            _, seconds, value = timed(lambda s=score, y=label: float(auc(s, y)))
            ours.append(seconds)
            if len(theirs) < 3:
                _, seconds, other = timed(lambda s=score, y=label: roc_auc_score(y, s))
                theirs.append(seconds)
        by_share[f"{share:.0%} positive"] = {
            "seconds": spread(ours),
            "scikit-learn, seconds": spread(theirs),
            "ratio": float(np.median(theirs) / np.median(ours)),
            "distance": abs(value - other),
        }
    return {"rows": rows} | by_share


def gauc_rows(rows: int, rounds: int, timed_users: int = 2000) -> dict[str, Any]:
    """Compare with a loop over some of the users, in time and value."""
    rng = np.random.default_rng(0)
    users = max(rows // 10, 1)
    columns = chunk(rows, users, rng)
    score, label, user = columns["prediction"], columns["click"], columns["group"]
    ours = [timed(lambda: grouped_auc(score, label, user))[1] for _ in range(rounds)]
    few = user < min(timed_users, users)
    score, label, user = score[few], label[few], user[few]

    def loop() -> float:
        top = bottom = 0.0
        order = np.argsort(user, kind="stable")
        for index in np.split(order, np.flatnonzero(np.diff(user[order])) + 1):
            if 0 < label[index].sum() < len(index):
                top += len(index) * roc_auc_score(label[index], score[index])
                bottom += len(index)
        return top / bottom

    _, theirs, other = timed(loop)
    return {
        "rows": rows,
        "users": users,
        "seconds": spread(ours),
        "scikit-learn's loop, seconds a user": theirs / len(np.unique(user)),
        "ratio": theirs / len(np.unique(user)) * users / float(np.median(ours)),
        "distance on the users of the loop": abs(
            float(grouped_auc(score, label, user).value) - float(other)
        ),
    }


def bootstrap_rows(
    rows: int, rounds: int, models: int = 6, replicates: int = 200
) -> dict[str, Any]:
    """Five questions of every model, as in a report against a truth."""
    rng = np.random.default_rng(0)
    users = max(rows // 10, 1)
    columns = chunk(rows, users, rng)
    click, group = columns["click"], columns["group"]
    p, q = (columns[name].astype(np.float64) for name in ("true_pctr", "target"))
    everywhere = np.ones(rows, dtype=bool)
    predictions = {}
    for index in range(models):
        pctr, pcvr = (np.clip(each * rng.lognormal(0, 0.2, rows), 0, 1) for each in (p, q))
        predictions[f"model {index}"] = {"pctr": pctr, "pcvr": pcvr, "pctcvr": pctr * pcvr}
    questions = [
        EvaluationTarget("pcvr", "all", everywhere, q),
        EvaluationTarget("pcvr", "clicks", click, q),
        EvaluationTarget("pcvr", "non-clicks", ~click, q),
        EvaluationTarget("pctr", "all", everywhere, p),
        EvaluationTarget("pctcvr", "all", everywhere, p * q),
    ]
    ours = [
        timed(lambda: measure(predictions, questions, group, replicates=replicates, seed=0))[1]
        for _ in range(rounds)
    ]
    weight = rng.poisson(1.0, users)[group].astype(np.float64)
    score = predictions["model 0"]["pcvr"]
    theirs = [timed(lambda: roc_auc_score(click, score, sample_weight=weight))[1] for _ in range(3)]
    needed = models * 4 * replicates  # clicks and the rest make one question of all rows
    return {
        "rows": rows,
        "users": users,
        "models": models,
        "resamples": replicates,
        "seconds": spread(ours),
        "scikit-learn's weighted AUC, seconds each": spread(theirs),
        "ratio": float(np.median(theirs)) * needed / float(np.median(ours)),
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000_000)
    parser.add_argument("--auc-rows", type=int, default=10_000_000)
    parser.add_argument("--bootstrap-rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", choices=PARTS, nargs="*", default=PARTS)
    parser.add_argument("--out", type=Path, default=path_of("metrics"))
    parser.add_argument("--pass-over", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.pass_over:
        print(json.dumps(pass_over(given.pass_over)))
        return 0
    stated = {"command": f"python -m {MODULE}", "threads": torch.get_num_threads(), **machine()}
    with tempfile.TemporaryDirectory() as folder:
        parts = {
            "stream": lambda: stream(given.rows, Path(folder)),
            "auc": lambda: auc_rows(given.auc_rows, given.rounds),
            "gauc": lambda: gauc_rows(given.auc_rows, min(given.rounds, 3)),
            "bootstrap": lambda: bootstrap_rows(given.bootstrap_rows, min(given.rounds, 3)),
        }
        run_parts(given.out, {name: parts[name] for name in given.only}, lambda _: stated)
    return 0


if __name__ == "__main__":
    sys.exit(main())
