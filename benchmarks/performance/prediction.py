"""Measure predictions of a log of 5M rows from parquet to parquet, beside in memory.

    python -m benchmarks.performance.prediction [--rows 5000000] [--only WAY]

An ESMM on MMoE experts over 8 ids with target encodings, a bag and 4 numbers, as fitted to a log of
50,000 impressions, scores a log of `--rows` rows and one of a tenth of them. Each way runs in a
separate process:

* ``stream``: ``mtl-seq predict`` from the folder that `fit` wrote; 65,536 rows at a time.
* ``onnx``: the same from an exported folder, by onnxruntime with one thread.
* ``memory``: the whole log read, encoded and scored at once, then written.

Memory is the greatest resident set of the process, less that of a process that has only loaded the
model.
"""

import argparse
import json
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from benchmarks.lib.results_store import path_of
from benchmarks.performance.timing import alone, machine, peak_kb, run_parts
from mtl_seq import FunnelEstimator, Schema, models
from mtl_seq.data import write_frame
from mtl_seq.export import export_model, load_model

MODULE = "benchmarks.performance.prediction"
WAYS = ("stream", "onnx", "memory")
IDS, NUMBERS = [f"id_{i}" for i in range(8)], [f"number_{i}" for i in range(4)]
SCHEMA = Schema(
    ids=IDS,
    bags=["tags"],
    dense=NUMBERS,
    labels={"click": "click", "conversion": "conversion"},
)
PART = 500_000


def log_of(rows: int, seed: int) -> pd.DataFrame:
    """Draw a log."""
    rng = np.random.default_rng(seed)
    columns = {name: rng.integers(0, 10 ** (1 + i % 5), rows) for i, name in enumerate(IDS)}
    columns |= {name: rng.normal(size=rows) for name in NUMBERS}
    ends = np.cumsum(rng.integers(0, 4, rows))[:-1]
    items = rng.integers(0, 50, int(ends[-1]) + 3)
    columns["tags"] = np.split(items, ends)
    frame = pd.DataFrame(columns)
    rate = 1 / (1 + np.exp(1.5 - frame["number_0"]))
    frame["click"] = (rng.random(rows) < rate).astype(np.int64)
    frame["conversion"] = frame["click"] * (rng.random(rows) < rate)
    return frame


def measure(way: str, folder: Path, rows: int) -> None:
    """Time and memory of a way, in a separate process; prints a record."""
    torch.set_num_threads(1)
    model = load_model(folder / ("exported" if way == "onnx" else "model"))
    if way == "onnx":
        model = type(model).load(folder / "exported", threads=1)
    model.predict(log_of(1_000, 3))
    before = peak_kb() / 2**20
    out = folder / f"{way}-{rows}.parquet"
    start = time.perf_counter()
    if way == "memory":
        write_frame(model.predict(folder / f"log-{rows}"), out)
    else:
        model.predict(folder / f"log-{rows}", out)
    seconds = time.perf_counter() - start
    after = peak_kb() / 2**20
    record = {
        "rows": rows,
        "seconds": seconds,
        "rows per second": rows / seconds,
        "peak memory, GB": after,
        "of which for the rows, GB": after - before,
    }
    print(json.dumps(record))


def write_log(folder: Path, rows: int) -> None:
    """Write a log without labels in parts."""
    place = folder / f"log-{rows}"
    place.mkdir()
    for part, start in enumerate(range(0, rows, PART)):
        frame = log_of(min(PART, rows - start), 100 + part).drop(columns=["click", "conversion"])
        frame.to_parquet(place / f"part-{part:03}.parquet")


def measure_way(way: str, folder: Path, sizes: list[int]) -> dict[str, Any]:
    """A record per size, and the largest difference to the scores of the first way."""
    by_size = [alone("-m", MODULE, "--measure", way, folder, rows) for rows in sizes]
    scores = pd.read_parquet(folder / f"{way}-{sizes[-1]}.parquet").to_numpy()
    if not (folder / "scores.npy").exists():
        np.save(folder / "scores.npy", scores)
    difference = float(np.abs(scores - np.load(folder / "scores.npy")).max())
    return {"by size": by_size, "largest difference to the first way": difference}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--only", choices=WAYS, nargs="*", default=WAYS)
    parser.add_argument("--out", type=Path, default=path_of("prediction"))
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.measure:
        way, place, rows = given.measure
        measure(way, Path(place), int(rows))
        return 0
    sizes = [given.rows // 10, given.rows]
    command = f"python -m {MODULE} --rows {given.rows}"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        estimator = FunnelEstimator(models.esmm, SCHEMA, epochs=1, seed=0).fit(log_of(50_000, 0))
        estimator.save(folder / "model")
        export_model(estimator, folder / "exported")
        for rows in sizes:
            write_log(folder, rows)
        parts = {way: partial(measure_way, way, folder, sizes) for way in given.only}
        run_parts(given.out, parts, lambda _: {"command": command, "threads": 1, **machine()})
    return 0


if __name__ == "__main__":
    sys.exit(main())
