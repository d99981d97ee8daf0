"""Predictions of a log of 5M rows, parquet to parquet: rows a second and memory, beside in memory.

    python benchmarks/performance/prediction.py [--rows 5000000] [--only WAY]

An ESMM on MMoE experts over 8 ids with target encodings, a bag and 4 numbers, as fitted to a log of
50,000 impressions, scores a log of `--rows` rows and one of a tenth of them. Each way runs in a
process of its own:

* ``stream``: ``mtl-seq predict`` from the folder that `fit` wrote; 65,536 rows at a time.
* ``onnx``: the same from an exported folder, by onnxruntime with one thread.
* ``memory``: the whole log read, encoded and scored at once, then written.

Memory is the greatest resident set of the process, less that of a process that has loaded the model
and nothing else. Writes benchmarks/results/predicting.json.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from mtl_seq import FunnelEstimator, Schema, models
from mtl_seq.data import write_frame
from mtl_seq.experiments.compare import versions
from mtl_seq.export import export_model, load_model

RESULT = Path(__file__).parent / "results" / "predicting.json"
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


def peak() -> float:
    """Greatest resident set, GB, of this process alone; `resource` counts its parent's too."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 2**20


def measure(way: str, folder: Path, rows: int) -> None:
    """In a process of its own: what a way takes."""
    torch.set_num_threads(1)
    model = load_model(folder / ("exported" if way == "onnx" else "model"))
    if way == "onnx":
        model = type(model).load(folder / "exported", threads=1)
    model.predict(log_of(1_000, 3))
    before = peak()
    out = folder / f"{way}-{rows}.parquet"
    start = time.perf_counter()
    if way == "memory":
        write_frame(model.predict(folder / f"log-{rows}"), out)
    else:
        model.predict(folder / f"log-{rows}", out)
    seconds = time.perf_counter() - start
    after = peak()
    found = {
        "rows": rows,
        "seconds": seconds,
        "rows per second": rows / seconds,
        "peak memory, GB": after,
        "of which for the rows, GB": after - before,
    }
    print(json.dumps(found))


def write_log(folder: Path, rows: int) -> None:
    place = folder / f"log-{rows}"
    place.mkdir()
    for part, start in enumerate(range(0, rows, PART)):
        frame = log_of(min(PART, rows - start), 100 + part).drop(columns=["click", "conversion"])
        frame.to_parquet(place / f"part-{part:03}.parquet")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--only", choices=WAYS, nargs="*", default=WAYS)
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        way, folder, rows = given.measure
        measure(way, Path(folder), int(rows))
        return 0
    kept = json.loads(given.out.read_text(encoding="utf-8")) if given.out.is_file() else {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        estimator = FunnelEstimator(models.esmm, SCHEMA, epochs=1, seed=0).fit(log_of(50_000, 0))
        estimator.save(folder / "model")
        export_model(estimator, folder / "exported")
        sizes = [given.rows // 10, given.rows]
        for rows in sizes:
            write_log(folder, rows)
        for way in given.only:
            kept[way] = []
            for rows in sizes:
                command = [sys.executable, __file__, "--measure", way, name, str(rows)]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                kept[way].append(json.loads(done.stdout))
                print(way, kept[way][-1], flush=True)
        outputs = [folder / f"{way}-{given.rows}.parquet" for way in given.only]
        scores = [pd.read_parquet(out).to_numpy() for out in outputs]
        kept["largest difference"] = float(max(np.abs(x - scores[0]).max() for x in scores))
    kept["command"] = "python benchmarks/performance/prediction.py"
    kept["cores"], kept["threads"], kept["versions"] = os.cpu_count(), 1, versions()
    given.out.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
