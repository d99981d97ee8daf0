"""How fast the metrics are, and how close to scikit-learn, at the sizes of a real log.

    python benchmarks/performance/metrics.py [--rows 100000000] [--auc-rows 10000000] [--rounds 7] [--only PART]

Four parts, each with its target:

* ``stream``: every streaming metric in one pass over 100M predictions in parquet, in a process of
  its own; rows per second and peak memory (under 2 GB).
* ``auc``: AUC of 10M rows (0.3 s or less, within 1e-6 of scikit-learn), beside scikit-learn's in
  the same process, by turns.
* ``gauc``: GAUC of 10M rows and 1M users (under 10 s), beside a loop of scikit-learn's over some of
  the users.
* ``bootstrap``: every figure with intervals, 200 resamples of 100,000 users with 1M rows, 6 models,
  5 questions (under 2 minutes), beside as many weighted AUCs of scikit-learn's, timed on a few.

Medians over rounds with the extremes; one seed. Writes benchmarks/results/metrics.json, part by
part.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from sklearn.metrics import roc_auc_score
from torchmetrics import MetricCollection

from mtl_seq import metrics
from mtl_seq.experiments.compare import versions
from mtl_seq.functional import auc, grouped_auc
from mtl_seq.report.compute.metrics import EvaluationTarget, measure

RESULT = Path(__file__).parent / "results" / "metrics.json"
PARTS = ("stream", "auc", "gauc", "bootstrap")
CHUNK = 1_000_000
SPACES = ("all", "clicks", "non-clicks")


def timed(task: Callable[[], object]) -> tuple[float, object]:
    start = time.perf_counter()
    found = task()
    return time.perf_counter() - start, found


def spread(seconds: list[float]) -> dict[str, float]:
    return {
        "median": float(np.median(seconds)),
        "least": min(seconds),
        "most": max(seconds),
        "rounds": len(seconds),
    }


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
    """Every metric that streams, on all spaces it has."""
    own = {
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
    return MetricCollection(own | rest)


def pass_over(path: Path) -> dict[str, object]:
    """One pass over a parquet file, batch by batch."""
    own = everything()
    start = time.perf_counter()
    rows = 0
    # Buffers read ahead are kept until the file is closed: 20 bytes a row.
    for batch in pq.ParquetFile(path, pre_buffer=False).iter_batches(batch_size=CHUNK // 4):
        columns = {
            name: torch.tensor(batch[name].to_numpy(zero_copy_only=False))
            for name in batch.schema.names
        }
        columns["features"] = torch.stack((columns["pctr"], columns["prediction"]), dim=1)
        own.update(
            **columns,
            pcvr=columns["prediction"],
            true_pcvr=columns["target"],
            propensity=columns["true_pctr"],
            imputation=columns["prediction"],
        )
        rows += len(batch)
    found = own.compute()
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    assert all(torch.isfinite(value) for value in found.values() if torch.is_tensor(value))
    return {
        "metrics": len(found),
        "rows": rows,
        "seconds": seconds,
        "rows per second": rows / seconds,
        "peak memory, GB": peak,
        "GAUC's share of the users": own["GAUC"].share,
    }


def stream(rows: int, folder: Path) -> dict[str, object]:
    """Write the file, then read it in a process that has seen nothing else."""
    path = folder / "predictions.parquet"
    rng = np.random.default_rng(0)
    writer = None
    for start in range(0, rows, CHUNK):
        columns = chunk(min(CHUNK, rows - start), max(rows // 10, 1), rng)
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    writer.close()
    code = [sys.executable, __file__, "--pass-over", str(path)]
    done = subprocess.run(code, check=True, capture_output=True, text=True)
    return json.loads(done.stdout) | {"file, GB": path.stat().st_size / 2**30}


def auc_rows(rows: int, rounds: int) -> dict[str, object]:
    """By turns with scikit-learn's, at two shares of positives."""
    rng = np.random.default_rng(0)
    found = {}
    for share in (0.04, 0.5):
        label = rng.random(rows) < share
        z = rng.standard_normal(rows, dtype=np.float32) + 0.7 * label - 3
        score = (1 / (1 + np.exp(-z))).astype(np.float32)
        ours, theirs = [], []
        for _ in range(rounds):
            seconds, own = timed(lambda s=score, y=label: float(auc(s, y)))
            ours.append(seconds)
            if len(theirs) < 3:
                seconds, other = timed(lambda s=score, y=label: roc_auc_score(y, s))
                theirs.append(seconds)
        found[f"{share:.0%} positive"] = {
            "seconds": spread(ours),
            "scikit-learn, seconds": spread(theirs),
            "ratio": float(np.median(theirs) / np.median(ours)),
            "distance": abs(own - other),
        }
    return {"rows": rows} | found


def gauc_rows(rows: int, rounds: int, timed_users: int = 2000) -> dict[str, object]:
    """Beside a loop over some of the users, which also says whether the values agree."""
    rng = np.random.default_rng(0)
    users = max(rows // 10, 1)
    columns = chunk(rows, users, rng)
    score, label, user = columns["prediction"], columns["click"], columns["group"]
    ours = [timed(lambda: grouped_auc(score, label, user))[0] for _ in range(rounds)]
    few = user < min(timed_users, users)
    score, label, user = score[few], label[few], user[few]

    def loop() -> float:
        top = bottom = 0.0
        order = np.argsort(user, kind="stable")
        for own in np.split(order, np.flatnonzero(np.diff(user[order])) + 1):
            if 0 < label[own].sum() < len(own):
                top += len(own) * roc_auc_score(label[own], score[own])
                bottom += len(own)
        return top / bottom

    theirs, other = timed(loop)
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
) -> dict[str, object]:
    """What a report asks against a truth: five questions of every model."""
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
        timed(lambda: measure(predictions, questions, group, replicates=replicates, seed=0))[0]
        for _ in range(rounds)
    ]
    weight = rng.poisson(1.0, users)[group].astype(np.float64)
    score = predictions["model 0"]["pcvr"]
    theirs = [timed(lambda: roc_auc_score(click, score, sample_weight=weight))[0] for _ in range(3)]
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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000_000)
    parser.add_argument("--auc-rows", type=int, default=10_000_000)
    parser.add_argument("--bootstrap-rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", choices=PARTS, nargs="*", default=PARTS)
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--pass-over", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.pass_over:
        print(json.dumps(pass_over(given.pass_over)))
        return 0
    kept = json.loads(given.out.read_text(encoding="utf-8")) if given.out.is_file() else {}
    with tempfile.TemporaryDirectory() as folder:
        parts = {
            "stream": lambda: stream(given.rows, Path(folder)),
            "auc": lambda: auc_rows(given.auc_rows, given.rounds),
            "gauc": lambda: gauc_rows(given.auc_rows, min(given.rounds, 3)),
            "bootstrap": lambda: bootstrap_rows(given.bootstrap_rows, min(given.rounds, 3)),
        }
        for name in given.only:
            kept[name] = parts[name]()
            print(name, json.dumps(kept[name], indent=1), flush=True)
    kept["command"] = "python benchmarks/performance/metrics.py"
    kept["cores"] = os.cpu_count()
    kept["threads"] = torch.get_num_threads()
    kept["versions"] = versions()
    given.out.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
